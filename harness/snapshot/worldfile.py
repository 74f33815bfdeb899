"""World files: a v1 List as JSON, gzip or not, read in bounded memory; ours add what a plain List cannot say.

The array of items is cut into pieces at places that look like the start of an item; a piece that was cut wrongly does
not parse, and is tried again with an earlier cut, so that a right answer never rests on how the text looks.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Raw, Struct

from harness.errors import UsageError
from harness.model.state import ClusterState, Subject
from harness.snapshot import wire
from harness.snapshot.convert import SUBJECTS, Builder
from harness.snapshot.templates import grouped

VERSION = 1
_CHUNK_BYTES = 4 << 20
_LOOK_BACK_BYTES = 1 << 14
_HEAD_BYTES = 1 << 20
_MAX_CUTS = 50
MAX_ITEM_BYTES = 16 << 20
"""etcd takes 1.5 MiB; a group of pods of ours holds some hundred."""
MAX_TOTAL_BYTES = 4 << 30
_FREE_BYTES, _MAX_RATIO = 64 << 20, 100
"""What a packed file may unpack to: so many bytes, and so many times its size. Snapshots pack 5 to 40 times."""
_FREE_WASTE_BYTES, _MAX_WASTE = 64 << 20, 6
"""Bytes that may be decoded in vain at wrong cuts, and how often that is the bytes read."""
MAX_OBJECTS = 500_000
"""Kubernetes is tested with 150,000 pods and 5,000 nodes."""
_GZIP_MAGIC = b"\x1f\x8b"
_ITEMS = re.compile(rb'"items"\s*:\s*\[')
_FIRST_KEY = re.compile(rb'\s*\{\s*("[A-Za-z]+")')
_KINDS: Mapping[str, type[Any]] = {kind.__struct_config__.tag: kind for kind in SUBJECTS}


class Header(Struct, omit_defaults=True):
    """What `WorldWriter` adds. `missing`: why, by resource. `taken`: RFC 3339. `flags`: of the control plane, as far as
    known, ``COMPONENT=--name=value``.
    """

    version: int = 0
    kubernetes: str = ""
    taken: str | None = None
    cluster: str = ""
    missing: dict[str, str] | None = None
    flags: list[str] | None = None


class _Frame(Struct):
    """A List without its items."""

    kind: str = ""
    taintlab: Header | None = None


class _Tail(Struct):
    """The rest of a List from one of its items on."""

    items: list[Raw]
    kind: str = ""
    taintlab: Header | None = None


class _Kind(Struct):
    kind: str = ""


def read_world(path: Path) -> ClusterState:
    """The inventory in the file `path`: what `WorldWriter` wrote, or a plain v1 List of Nodes and Pods (and whatever
    else of interest is in it). What a plain List does not hold is marked as missing. UsageError for anything else.
    """
    try:
        with _opened(path) as file:
            return _read(path, _limited(file, _decompressed(file)))
    except (OSError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is nested too deep"
        raise UsageError(f"cannot read {path}: {why}") from error
    except (zlib.error, EOFError) as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}: {error}: is it a v1 List in JSON, as kubectl get -o json prints it?") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def _opened(path: Path) -> IO[bytes]:
    """A regular file, open; UsageError for a pipe or device, which might never end. OSError as open has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL byte in the name
        raise UsageError(f"cannot read {path}: {error}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"cannot read {path}: is no regular file")
    return os.fdopen(descriptor, "rb")


def _limited(file: IO[bytes], chunks: Iterator[bytes]) -> Iterator[bytes]:
    """`chunks` of `file`; ValueError when a small file unpacks to something huge."""
    most = min(MAX_TOTAL_BYTES, max(os.fstat(file.fileno()).st_size * _MAX_RATIO, _FREE_BYTES))
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > most:
            raise ValueError(f"it unpacks to more than {most >> 20:,} MiB, which no snapshot of its size does")
        yield chunk


def _read(path: Path, chunks: Iterator[bytes]) -> ClusterState:
    builder = Builder()
    pieces = _Pieces(_ahead(chunks))
    pieces.feed(_ItemDecoder(pieces.frame.kind, builder))
    kind, header = pieces.frame.kind, pieces.frame.taintlab
    if not kind.endswith("List"):
        raise UsageError(f"{path}: kind is {kind or 'missing'}, not List")
    if header is not None and header.version > VERSION:
        raise UsageError(f"{path}: written by a newer taintlab (version {header.version}, this one reads {VERSION})")
    if header is None:
        present = builder.kinds
        missing = {subject: f"not in {path.name}" for subject in Subject if subject not in present}
    else:
        why = header.missing or {}
        missing = {subject: why[subject] for subject in Subject if subject in why}
    inventory = builder.build(
        kubernetes_version=header.kubernetes if header else "", taken=header.taken if header else None, missing=missing
    )
    if header is not None:
        inventory = replace(inventory, flags=tuple(header.flags or ()))
    if not inventory.nodes:
        raise UsageError(f"{path}: no Node in it: kubectl get nodes,pods -A -o json prints what is needed")
    return inventory


def _decompressed(file: IO[bytes]) -> Iterator[bytes]:
    """The file's content in chunks, whatever it is packed with. zlib.error and EOFError when gzip is damaged."""
    first = file.read(_CHUNK_BYTES)
    if not first.startswith(_GZIP_MAGIC):
        while first:
            yield first
            first = file.read(_CHUNK_BYTES)
        return
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    packed = first
    while packed:
        yield inflate.decompress(packed, _CHUNK_BYTES)
        packed = inflate.unconsumed_tail
        if inflate.eof and (packed := inflate.unused_data or file.read(_CHUNK_BYTES)):
            inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        elif not packed:
            packed = file.read(_CHUNK_BYTES >> 3)
    if not inflate.eof:
        raise EOFError("the gzip stream ends in the middle")


def _ahead(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """`chunks`, the next one being made by another thread meanwhile (zlib lets go of the interpreter)."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, chunks, None)
            yield chunk


class _ItemDecoder:
    """Feeds a builder from JSON arrays of items."""

    def __init__(self, list_kind: str, builder: Builder) -> None:
        """`list_kind`: ``List``, or ``PodList`` and the like, whose items do not repeat their kind."""
        self._builder = builder
        self._own_kind = _KINDS.get(list_kind.removesuffix("List"))
        self._mixed = msgspec.json.Decoder(list[wire.Item])
        self._seen = self._held = 0

    def take(self, piece: bytes) -> None:
        """Add the items of known kinds, all or none; the others are passed over. msgspec.DecodeError when the piece is
        no JSON array, ValueError naming the item when one has a field of the wrong type.
        """
        try:
            items = self._mixed.decode(piece)
        except msgspec.ValidationError:
            items = self._one_by_one(piece)
        self._builder.add(items)
        self._seen += len(items)
        self._held += sum(len(item.own) if type(item) is wire.PodGroup else 1 for item in items)
        if self._held > MAX_OBJECTS:
            raise ValueError(f"more than {MAX_OBJECTS:,} objects")

    def _one_by_one(self, piece: bytes) -> list[wire.Item]:
        out: list[wire.Item] = []
        for number, raw in enumerate(msgspec.json.decode(piece, type=list[Raw]), start=self._seen):
            try:
                named = msgspec.json.decode(raw, type=_Kind).kind
                kind = _KINDS.get(named) if named else self._own_kind
                if kind is not None:
                    out.append(msgspec.json.decode(raw, type=kind))
            except msgspec.ValidationError as error:
                raise ValueError(f"item {number} of the list: {error}") from error
        return out


class _Pieces:
    """Cuts a List into JSON arrays of whole items. `frame`: the List without its items; what stands behind the items is
    known when all have been fed.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Reads up to the first item. msgspec.DecodeError when this is no List."""
        self._chunks = chunks
        head = b""
        match = None
        while match is None and len(head) < _HEAD_BYTES and (chunk := next(chunks, None)) is not None:
            head += chunk
            match = _ITEMS.search(head)
        if match is None:
            msgspec.json.decode(head)  # raises, with a place, when it is no JSON at all
            raise msgspec.DecodeError("there are no items")
        self.frame = msgspec.json.decode(head[: match.end()] + b"]}", type=_Frame)
        self._rest = b"[" + head[match.end() :]
        first = _FIRST_KEY.match(self._rest, 1)
        key = re.escape(first[1]) if first else b'"apiVersion"'
        self._start = re.compile(rb"\}\s{0,99},\s{0,99}(?=\{\s{0,99}" + key + rb")")
        self._wasted = -_FREE_WASTE_BYTES

    def feed(self, decoder: _ItemDecoder) -> None:
        """Give every item to `decoder`. msgspec.DecodeError when the text is no JSON."""
        for chunk in self._chunks:
            self._wasted -= _MAX_WASTE * len(chunk)
            self._rest += chunk
            self._rest = self._fed(decoder)
            if len(self._rest) > MAX_ITEM_BYTES + _CHUNK_BYTES:
                raise ValueError(f"an item of more than {MAX_ITEM_BYTES >> 20} MiB")
        tail = msgspec.json.decode(b'{"items":' + self._rest, type=_Tail)
        self.frame = _Frame(tail.kind or self.frame.kind, tail.taintlab or self.frame.taintlab)
        decoder.take(b"[" + b",".join(bytes(item) for item in tail.items) + b"]")

    def _fed(self, decoder: _ItemDecoder) -> bytes:
        """Feed the longest run of whole items that is there; the rest (from a bracket on), which is everything when no
        cut makes sense.
        """
        rest = self._rest
        view = memoryview(rest)
        near = max(0, len(rest) - _LOOK_BACK_BYTES)
        last = deque(self._start.finditer(rest, near), _MAX_CUTS) or deque(self._start.finditer(rest), _MAX_CUTS)
        for match in reversed(last):
            try:
                decoder.take(b"".join((view[: match.start() + 1], b"]")))
            except msgspec.DecodeError:  # that was no end of an item
                self._wasted += match.start()
                if self._wasted > 0:
                    raise ValueError("its items cannot be told apart: too much in them looks like one") from None
                continue
            return b"".join((b"[", view[match.end() :]))
        return rest


class WorldWriter:
    """Writes a world file to a binary stream, some objects at a time; `close` ends it."""

    def __init__(self, stream: IO[bytes], *, packed: bool) -> None:
        """`packed`: as gzip. The stream stays open."""
        self._packed = gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=3) if packed else None
        self._file: IO[bytes] | gzip.GzipFile = self._packed or stream
        self._encode = msgspec.json.Encoder().encode
        self._file.write(b'{"apiVersion":"v1","items":[')
        self._separator = b"\n"

    def add(self, items: Iterable[wire.Item]) -> None:
        """Some more objects, one a line; pods that are alike go into one."""
        pods: list[wire.Pod] = []
        rest: list[wire.Item] = []
        for item in items:
            if isinstance(item, wire.Pod):
                pods.append(item)
            else:
                rest.append(item)
        for item in (*rest, *grouped(pods)):
            self._file.write(self._separator + self._encode(item))
            self._separator = b",\n"

    def close(self, header: Header) -> None:
        """What a plain List cannot say, and the end."""
        self._file.write(b'\n],"kind":"List","metadata":{},"taintlab":' + self._encode(header) + b"}\n")
        if self._packed is not None:
            self._packed.close()
