/* Conveniences on top of a page that is complete without them: a cursor across all panels, zoom, and open details in print. */
(() => {
  "use strict";
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));

  const island = document.getElementById("series-data");
  const root = document.getElementById("panels");
  if (!island || !root) return;
  const data = JSON.parse(island.textContent);
  const plots = [...root.querySelectorAll("svg.plot")];
  const ns = "http://www.w3.org/2000/svg";
  const outputs = [...root.querySelectorAll("output[data-key]")];
  const clock = document.getElementById("cursor-time");
  const started = Date.parse(data.started);
  const full = [data.start, data.end];
  let view = [...full];

  const make = (name, attributes) => {
    const element = document.createElementNS(ns, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const percent = (t) => `${((t - view[0]) / (view[1] - view[0]) * 100).toFixed(3)}%`;
  const inView = (t) => t >= view[0] && t <= view[1];

  /* numbers, as reports.words writes them */
  const digits = (v) => {
    if (v === 0) return "0";
    const decimals = Math.min(9, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(v)))));
    return v.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  };
  const bytes = (v) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let n = 0;
    while (Math.abs(v) >= 1024 && n < 4) { v /= 1024; n += 1; }
    return `${digits(v)} ${units[n]}`;
  };
  const show = (v, unit) => {
    if (v === null || v === undefined) return "no data";
    if (unit === "ms") return v < 1000 ? `${digits(v)} ms` : `${digits(v / 1000)} s`;
    if (unit.endsWith("ratio")) return `${Number((v * 100).toFixed(2))} %`;
    if (unit === "bytes" || unit === "B") return bytes(v);
    if (unit === "bad") return v > 0 ? `(${v.toLocaleString("en-US")} bad)` : "";
    if (unit === "count" || unit === "rate") return v.toLocaleString("en-US", { maximumFractionDigits: 1 });
    return `${digits(v)} ${unit}`.trim();
  };
  const signed = (t) => `${t < 0 ? "-" : "+"}${Math.abs(t).toFixed(1)} s`;

  /* the cursor */
  const cursors = plots.map((plot) => plot.appendChild(make("line", { class: "cursor", y1: 0, y2: "100%", visibility: "hidden" })));
  let at = -1;
  const point = (index) => {
    at = index;
    const t = data.t[index];
    cursors.forEach((line) => {
      line.setAttribute("x1", percent(t));
      line.setAttribute("x2", percent(t));
      line.setAttribute("visibility", inView(t) ? "visible" : "hidden");
    });
    outputs.forEach((output) => {
      const series = data.series[output.dataset.key];
      output.textContent = series ? show(series.v[index], series.unit) : "";
    });
    clock.textContent = signed(t - data.origin);
    clock.title = Number.isNaN(started) ? "" : new Date(started + t * 1000).toISOString();
  };
  const leave = () => {
    at = -1;
    cursors.forEach((line) => line.setAttribute("visibility", "hidden"));
    outputs.forEach((output) => { output.textContent = ""; });
    clock.textContent = "";
  };
  const nearest = (t) => {
    let low = 0;
    let high = data.t.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (data.t[middle] <= t) low = middle; else high = middle;
    }
    return Math.abs(data.t[low] - t) <= Math.abs(data.t[high] - t) ? low : high;
  };
  const moment = (event) => {
    const box = plots[0].getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return view[0] + share * (view[1] - view[0]);
  };

  /* zoom */
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
  const label = (t, unit) => {
    if (Math.abs(t) < 1e-9) return "0";
    return `${Number((t / { s: 1, min: 60, h: 3600 }[unit]).toFixed(4))} ${unit}`;
  };
  const ticks = () => {
    const group = root.querySelector("g.ticks");
    const span = view[1] - view[0];
    const step = steps.find((size) => span / size <= 8) || 86400;
    const unit = span >= 36000 ? "h" : span >= 600 ? "min" : "s";
    group.replaceChildren();
    for (let n = Math.ceil((view[0] - data.origin) / step - 1e-9); n * step + data.origin <= view[1] + 1e-9; n += 1) {
      const t = data.origin + n * step;
      const share = (t - view[0]) / span;
      const anchor = share < 0.02 ? "start" : share > 0.97 ? "end" : "middle";
      const text = make("text", { class: "tick-text", x: percent(t), y: 19, "text-anchor": anchor });
      text.textContent = label(n * step, unit);
      group.append(make("line", { class: "tick", x1: percent(t), x2: percent(t), y1: 0, y2: 5 }), text);
    }
  };
  const draw = () => {
    const width = (view[1] - view[0]) / (full[1] - full[0]) * 1000;
    const left = (view[0] - full[0]) / (full[1] - full[0]) * 1000;
    root.querySelectorAll("svg.zoom").forEach((inner) => {
      inner.setAttribute("viewBox", `${left} 0 ${width} ${inner.getAttribute("height")}`);
    });
    root.querySelectorAll("[data-t]").forEach((mark) => {
      mark.setAttribute("x", percent(Number(mark.dataset.t)));
      mark.setAttribute("visibility", inView(Number(mark.dataset.t)) ? "visible" : "hidden");
    });
    root.querySelectorAll("[data-t0]").forEach((mark) => {
      const first = Number(mark.dataset.t0);
      const last = Number(mark.dataset.t1);
      mark.setAttribute("x", percent(Math.max(first, view[0])));
      mark.setAttribute("visibility", last > view[0] && first < view[1] ? "visible" : "hidden");
    });
    ticks();
    leave();
  };
  const zoom = (from, to) => {
    const least = 4 * ((data.t[1] ?? 1) - (data.t[0] ?? 0));
    if (to - from < least) return;
    view = [from, to];
    draw();
  };

  let down = null;
  let selections = [];
  const clear = () => { selections.forEach((part) => part.remove()); selections = []; down = null; };
  plots.forEach((plot) => {
    plot.style.touchAction = "pan-y";
    plot.addEventListener("pointerdown", (event) => { down = moment(event); });
    plot.addEventListener("pointermove", (event) => {
      const t = moment(event);
      if (data.t.length) point(nearest(t));
      if (down === null || !(event.buttons & 1)) return;
      if (!selections.length) {
        selections = plots.map((part) => part.appendChild(make("rect", { class: "selection", y: 0, height: "100%" })));
      }
      const [from, to] = [Math.min(down, t), Math.max(down, t)];
      selections.forEach((part) => {
        part.setAttribute("x", percent(from));
        part.setAttribute("width", `${(to - from) / (view[1] - view[0]) * 100}%`);
      });
    });
    plot.addEventListener("pointerup", (event) => {
      const t = moment(event);
      const from = down;
      const dragged = selections.length > 0;
      clear();
      if (dragged && from !== null) zoom(Math.min(from, t), Math.max(from, t));
    });
    plot.addEventListener("dblclick", () => { view = [...full]; draw(); });
  });
  root.addEventListener("pointerleave", () => { clear(); leave(); });
  root.tabIndex = 0;
  root.setAttribute("aria-label", "Timeline; arrow keys move the cursor, Escape shows everything");
  root.addEventListener("keydown", (event) => {
    if (!data.t.length) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      point(Math.min(data.t.length - 1, Math.max(0, at + (event.key === "ArrowRight" ? 1 : -1))));
      event.preventDefault();
    } else if (event.key === "Escape") { view = [...full]; draw(); }
  });
  document.querySelectorAll(".hint").forEach((hint) => { hint.hidden = false; });
})();
