"""Rows that are sent and answered together: how batches are cut into them, and how answers come back to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .description import Description
from .feature_set import KnownVectors

Batches: TypeAlias = pa.RecordBatch | pa.Table | Iterable[pa.RecordBatch]

ANSWERS = ("sha256", "features", "error")
#: Rows and bytes of what is sent at once; one image may be larger.
_PIECE_ROWS = 256
_PIECE_BYTES = 2**24


def each(batches: Batches) -> Iterator[pa.RecordBatch]:
    """Go through the batches of whatever has some."""
    if isinstance(batches, pa.RecordBatch):
        yield batches
    elif isinstance(batches, pa.Table):
        yield from batches.to_batches()
    else:
        for batch in batches:
            yield from each(batch)


@dataclass
class _Lookup:
    """Some images, looked up in a set of known vectors."""

    known: KnownVectors
    keys: Sequence[bytes | None]
    """Of all rows."""
    places: np.ndarray
    """Where the set holds them; -1 of those it does not."""
    sent: np.ndarray
    """The rows of those."""


@dataclass
class Piece:
    """Some rows that are answered together."""

    batch: pa.RecordBatch
    """All columns that go along."""
    images: pa.RecordBatch
    """Those that are sent, in a column `bytes` or `path`."""
    bytes: int
    lookup: _Lookup | None = None
    """Where not all need be sent."""
    tries: int = 1

    @property
    def column(self) -> str:
        """What is sent: `bytes` or `path`."""
        return self.images.schema.names[0]

    def merged(self, answer: pa.RecordBatch | None, description: Description) -> pa.RecordBatch:
        """Return the rows with what was answered; `answer` is None where nothing was sent."""
        metadata = {**(self.batch.schema.metadata or {}), **description.metadata}
        schema = pa.schema([*self.batch.schema, *description.fields], metadata)
        if self.lookup is not None:
            columns = _filled(self.lookup, answer, description)
        else:
            assert answer is not None
            columns = [answer.column(name) for name in ANSWERS]
        return pa.RecordBatch.from_arrays([*self.batch.columns, *columns], schema=schema)


def image_column(schema: pa.Schema, column: str | None) -> tuple[str, str]:
    """Find the column of images, by default `bytes`, else `content`, else `path`.

    Returns:
        Its name, and whether it holds `bytes` or a `path`.

    Raises:
        TypeError: it is neither binary nor text.
        ValueError: there is none, or another column has the name of an answer.
    """
    name = column or next((one for one in ("bytes", "content", "path") if one in schema.names), "bytes")
    if schema.get_field_index(name) < 0:
        raise ValueError(f"there is no column {name} in {schema.names}: give the name of the column of images")
    kind = _kind(name, schema.field(name).type)
    taken = [one for one in schema.names if one in ANSWERS and (one != name or kind == "path")]
    if taken:
        raise ValueError(f"there is a column {taken[0]} already, which the answer has too: rename or drop it")
    return name, kind


def pieces(batch: pa.RecordBatch, name: str, kind: str, known: KnownVectors | None) -> Iterator[Piece]:
    """Cut a batch into pieces of few rows and few bytes. What `known` holds need not be sent."""
    rest = [one for one in batch.schema.names if one != name or kind == "path"]
    for from_, rows in _cuts(batch.column(name), kind):
        cut = batch.slice(from_, rows)
        values = cut.column(name).cast(pa.binary() if kind == "bytes" else pa.string())
        lookup = None
        images = values
        if known is not None:
            keys = [_key(value) for value in values.to_pylist()]
            places = known.find(keys)
            lookup = _Lookup(known, keys, places, np.flatnonzero(places < 0))
            images = values.take(pa.array(lookup.sent))
        yield Piece(cut.select(rest), pa.record_batch([images], [kind]), values.nbytes, lookup)


def _filled(lookup: _Lookup, answer: pa.RecordBatch | None, description: Description) -> list[pa.Array]:
    """What was sent from the answer, the rest from the known set."""
    keys = list(lookup.keys)
    rows = len(keys)
    dim = description.dim
    values = np.zeros((rows, dim), description.value_type.to_pandas_dtype())
    missing = np.zeros(rows, bool)
    errors: list[str | None] = [None] * rows
    held = np.flatnonzero(lookup.places >= 0)
    values[held] = lookup.known.vectors(lookup.places[held])
    if answer is not None:
        vectors = answer.column("features")
        missing[lookup.sent] = vectors.is_null().to_numpy(zero_copy_only=False)
        flat = vectors.values.slice(vectors.offset * dim, len(vectors) * dim)
        values[lookup.sent] = flat.to_numpy(zero_copy_only=False).reshape(-1, dim)
        answered = zip(answer.column("sha256").to_pylist(), answer.column("error").to_pylist(), strict=True)
        for row, (key, error) in zip(lookup.sent, answered, strict=True):
            keys[row], errors[row] = key, error
    flat = pa.array(values.reshape(-1), description.value_type)
    return [
        pa.array(keys, pa.binary(32)),
        pa.FixedSizeListArray.from_arrays(flat, dim, mask=pa.array(missing)),
        pa.array(errors, pa.string()),
    ]


def _kind(name: str, kind: pa.DataType) -> str:
    types = pa.types
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "bytes"
    if types.is_string(kind) or types.is_large_string(kind):
        return "path"
    if kind in (pa.binary_view(), pa.string_view()):
        return "bytes" if kind == pa.binary_view() else "path"
    raise TypeError(f"the column {name} is {kind}, and must be binary (bytes of image files) or text (paths)")


def _cuts(values: pa.Array, kind: str) -> Iterator[tuple[int, int]]:
    """Where to cut a column so that a piece has few rows and few bytes: (from, rows)."""
    if kind == "path":
        for from_ in range(0, len(values), _PIECE_ROWS):
            yield from_, min(_PIECE_ROWS, len(values) - from_)
        return
    if values.type == pa.binary_view():
        values = values.cast(pa.large_binary())
    sizes = pc.fill_null(pc.binary_length(values), 0).to_pylist()
    from_ = size = 0
    for row, more in enumerate(sizes):
        if row > from_ and (row - from_ == _PIECE_ROWS or size + more > _PIECE_BYTES):
            yield from_, row - from_
            from_, size = row, 0
        size += more
    if from_ < len(sizes):
        yield from_, len(sizes) - from_


def _key(value: bytes | str | None) -> bytes | None:
    """The SHA-256 of an image; None where it cannot be read, which the worker will say."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return hashlib.sha256(value).digest()
    try:
        # A pipe would be waited for.
        return hashlib.sha256(Path(value).read_bytes()).digest() if Path(value).is_file() else None
    except (OSError, ValueError):
        return None
