"""Writes ``report.html``, ``junit.xml`` and ``report.md`` into a finished run folder, from what is in it."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError
from harness.files import shown, write_whole
from reports.folder import read_folder
from reports.html import html_page
from reports.junit import Inconclusive, junit_xml
from reports.markdown import markdown

PAGE, JUNIT, SUMMARY = "report.html", "junit.xml", "report.md"


def render(folder: Path, *, inconclusive: Inconclusive = Inconclusive.SKIPPED) -> Path:
    """Write the three files anew and return the page's path. A reader sees an old file or a whole new one, never half
    of one.

    `inconclusive`: what an INCONCLUSIVE check becomes in the JUnit file. Raises UsageError (no folder, no result.json,
    not writable) and InvalidFile (a result.json that this version does not read).
    """
    run = read_folder(folder)
    written = {
        PAGE: html_page(run),
        JUNIT: junit_xml(run.result, inconclusive=inconclusive),
        SUMMARY: markdown(run.result),
    }
    for name, text in written.items():
        try:
            write_whole(folder / name, text.encode("utf-8", "replace"))
        except OSError as error:
            raise UsageError(f"{shown(folder / name)} cannot be written: {error.strerror}") from error
    return folder / PAGE
