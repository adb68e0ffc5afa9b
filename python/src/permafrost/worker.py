"""Vectors of images, from a process of `permafrost worker`."""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs

from ._command import Command, default_cache, find_command, flags
from ._process import Died, WorkerProcess
from .description import Description
from .errors import FeatureSetError, WorkerError
from .feature_set import FeatureSet, KnownVectors

Batches = pa.RecordBatch | pa.Table | Iterable[pa.RecordBatch]

#: Rows and bytes of what is sent at once; one image may be larger.
_PIECE_ROWS = 256
_PIECE_BYTES = 2**24
#: Bytes, and pieces, that may be under way.
_UNDER_WAY_BYTES = 2**26
_UNDER_WAY = 4
#: How often the same images are sent to a worker that is killed: a second time, and then no more.
_TRIES = 2

ANSWERS = ("sha256", "features", "error")


@dataclass
class _Piece:
    """Some rows that are answered together."""

    batch: pa.RecordBatch
    """All columns that go along."""
    images: pa.RecordBatch
    """Those that are sent."""
    sent: np.ndarray | None
    """Which rows they are, where not all."""
    keys: list[bytes | None]
    """Of all rows, where they are not all sent."""
    stored: np.ndarray | None
    """Of the others, where in the known set they are."""
    bytes: int
    tries: int = 1


class Worker:
    """A base in a process of its own that turns images into vectors, as `permafrost features` does, to the bit.

    >>> with Worker("xception-mini") as worker:
    ...     answers = worker.features([Path("a.jpg").read_bytes()])
    ...     answers["features"][0].as_py()  # 512 numbers, or None where answers["error"][0] says why

    The process starts with the first image and stays until the end of the `with`, or `close`. One that the system kills
    is started anew, and what it had not answered is sent again, once. A worker is for one thread at a time.
    """

    def __init__(
        self,
        base: str | os.PathLike[str],
        *,
        command: Command | None = None,
        known: str | os.PathLike[str] | None = None,
        filesystem: pyarrow.fs.FileSystem | None = None,
        **options: object,
    ) -> None:
        """Say what is to be computed; nothing starts yet.

        Args:
            base: a name (`xception`, `mobilenet-v2`, …) or the file of a model.
            command: how Permafrost is started. Default: see `permafrost.find_command`.
            known: a feature set of this base. Images that it holds are not sent: their vectors are read from it.
            filesystem: where `known` lies. Default: what its address says, else this machine.
            options: of `permafrost worker --help`, with underscores: `weights="random:1"`, `input_size=(200, 200)`,
                `threads=1`, `precision="int8"`. `cache` is by default `~/.cache/permafrost`.
        """
        self.base = os.fspath(base)
        self._options = {"cache": default_cache(), **options}
        self._command = command
        self._known_at = known
        self._filesystem = filesystem
        self._known: KnownVectors | None = None
        self._process: WorkerProcess | None = None
        self._column = "bytes"
        self._busy = threading.Lock()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self.kill()

    @property
    def description(self) -> Description:
        """What the vectors are. Starts the process, where it does not run."""
        return self._running(self._column).description

    def close(self) -> None:
        """End the process.

        Raises:
            WorkerError: where it does not end well.
        """
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def features(self, images: Sequence[bytes | str | os.PathLike[str]] | pa.Array | pa.ChunkedArray) -> pa.Table:
        """Compute the vectors of some images.

        Args:
            images: the bytes of image files, or paths that the worker can open.

        Returns:
            A row an image, in order: `sha256` (32 bytes of the file, null where it could not be read), `features`
            (`fixed_size_list<float32>[d]`, or of float16 with `store="float16"`; null where the image cannot be used)
            and `error` (why, as a sentence about the image, else null).

        Raises:
            WorkerError: the worker ended before it had answered all.
        """
        if not isinstance(images, (pa.Array, pa.ChunkedArray)):
            texts = all(isinstance(image, (str, os.PathLike)) for image in images) and len(images) > 0
            values: list[Any] = [os.fspath(image) for image in images] if texts else list(images)  # type: ignore[arg-type]
            images = pa.array(values, pa.large_string() if texts else pa.large_binary())
        table = pa.table({"image": images})
        answers = list(self.map(table, "image"))
        if not answers:
            description = self.description
            return pa.schema(description.fields, description.metadata).empty_table()
        return pa.Table.from_batches(answers).select(list(ANSWERS))

    def map(self, batches: Batches, column: str | None = None) -> Iterator[pa.RecordBatch]:
        """Go through batches of any size and give them back with their vectors, in order, some rows at a time.

        What is under way is bounded by bytes, not rows. When the caller stops early the process ends.

        Args:
            batches: a table, a batch, or any number of batches of one schema.
            column: the images: binary, or text for paths. Default: `bytes`, else `content`, else `path`.

        Yields:
            Batches with the other columns (a column of paths among them) and `sha256`, `features` and `error` as of
            `features`. The metadata of the schema say what the vectors are.

        Raises:
            TypeError: the column is neither binary nor text.
            ValueError: there is no such column, or one has the name of an answer.
            WorkerError: the worker ended before it had answered all.
        """
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("a worker is for one thread at a time: make another Worker")
        done = False
        try:
            yield from self._map(_each(batches), column)
            done = True
        finally:
            if not done:
                self.kill()
            self._busy.release()

    def _map(self, batches: Iterator[pa.RecordBatch], column: str | None) -> Iterator[pa.RecordBatch]:
        pieces = self._pieces(batches, column)
        under_way: deque[_Piece] = deque()
        left = True
        while True:
            while left and (len(under_way) < _UNDER_WAY or sum(piece.bytes for piece in under_way) < _UNDER_WAY_BYTES):
                piece = next(pieces, None)
                if piece is None:
                    left = False
                else:
                    self._send(piece)
                    under_way.append(piece)
            if not under_way:
                return
            yield self._answer(under_way)

    def _send(self, piece: _Piece) -> None:
        # A batch without rows is answered with the next, so none is sent.
        if piece.images.num_rows > 0:
            self._running(piece.images.schema.names[0]).send(piece.images)

    def _answer(self, under_way: deque[_Piece]) -> pa.RecordBatch:
        """The answer to the first piece; where the worker was killed, by another to whom all are sent again."""
        while True:
            first = under_way[0]
            process = self._running(first.images.schema.names[0])
            try:
                answer = process.receive() if first.images.num_rows > 0 else None
            except Died as death:
                self._process = None
                if first.tries >= _TRIES:
                    raise WorkerError(
                        f"{death} twice at the same {first.images.num_rows} images: give it more memory, "
                        "fewer threads or a smaller batch_size"
                    ) from None
                first.tries += 1
                for piece in under_way:
                    self._send(piece)
                continue
            except BaseException:
                self._process = None
                raise
            under_way.popleft()
            return self._merged(first, answer, process.description)

    def _running(self, column: str) -> WorkerProcess:
        if self._process is not None and self._process.schema.names[0] != column:
            self.close()
        if self._process is None:
            self._column = column
            argv = [*find_command(self._command), "worker", *flags({"base": self.base, "quiet": True, **self._options})]
            try:
                self._process = WorkerProcess(argv, column)
            except Died as death:
                raise WorkerError(f"{death} as it opened {self.base}") from None
            # Also where nobody closes it: threads that read must not outlive the interpreter.
            weakref.finalize(self, self._process.kill)
            self._open_known(self._process.description)
        return self._process

    def _open_known(self, description: Description) -> None:
        if self._known_at is None or self._known is not None:
            return
        known = FeatureSet(self._known_at, filesystem=self._filesystem)
        if known.fingerprint != description.fingerprint:
            self.kill()
            raise FeatureSetError(
                f"{known.folder} holds the set {known.fingerprint[:12]} and this base gives {description.fingerprint[:12]}: "
                "another base, size, preprocessing, pooling, precision or version made it; give the folder of that set"
            )
        self._known = KnownVectors(known)

    def _pieces(self, batches: Iterator[pa.RecordBatch], column: str | None) -> Iterator[_Piece]:
        for batch in batches:
            name = column or next((one for one in ("bytes", "content", "path") if one in batch.schema.names), "bytes")
            if batch.schema.get_field_index(name) < 0:
                raise ValueError(f"there is no column {name} in {batch.schema.names}: give the name of the column of images")
            kind = _kind(name, batch.schema.field(name).type)
            rest = [one for one in batch.schema.names if one != name or kind == "path"]
            taken = [one for one in rest if one in ANSWERS]
            if taken:
                raise ValueError(f"there is a column {taken[0]} already, which the answer has too: rename or drop it")
            self._running(kind)
            for from_, rows in _cuts(batch.column(name), kind):
                cut = batch.slice(from_, rows)
                values = cut.column(name).cast(pa.binary() if kind == "bytes" else pa.string())
                yield self._piece(cut.select(rest), values, kind)

    def _piece(self, batch: pa.RecordBatch, values: pa.Array, kind: str) -> _Piece:
        size = values.nbytes
        if self._known is None:
            return _Piece(batch, pa.record_batch([values], [kind]), None, [], None, size)
        keys = [_key(value, kind) for value in values.to_pylist()]
        stored = self._known.find(keys)
        sent = np.flatnonzero(stored < 0)
        images = pa.record_batch([values.take(pa.array(sent))], [kind])
        return _Piece(batch, images, sent, keys, stored, size)

    def _merged(self, piece: _Piece, answer: pa.RecordBatch | None, description: Description) -> pa.RecordBatch:
        batch = piece.batch
        metadata = {**(batch.schema.metadata or {}), **description.metadata}
        schema = pa.schema([*batch.schema, *description.fields], metadata)
        if piece.sent is None:
            assert answer is not None
            columns = [answer.column(name) for name in ANSWERS]
        else:
            columns = self._filled(piece, answer, description)
        return pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema)

    def _filled(self, piece: _Piece, answer: pa.RecordBatch | None, description: Description) -> list[pa.Array]:
        """What was sent from the answer, the rest from the known set."""
        assert self._known is not None
        assert piece.sent is not None
        assert piece.stored is not None
        rows = len(piece.keys)
        dim = description.dim
        values = np.zeros((rows, dim), description.value_type.to_pandas_dtype())
        missing = np.zeros(rows, bool)
        keys = list(piece.keys)
        errors: list[str | None] = [None] * rows
        held = np.flatnonzero(piece.stored >= 0)
        values[held] = self._known.vectors(piece.stored[held])
        if answer is not None:
            vectors = answer.column("features")
            missing[piece.sent] = vectors.is_null().to_numpy(zero_copy_only=False)
            flat = vectors.values.slice(vectors.offset * dim, len(vectors) * dim)
            values[piece.sent] = flat.to_numpy(zero_copy_only=False).reshape(-1, dim)
            for row, key, error in zip(
                piece.sent, answer.column("sha256").to_pylist(), answer.column("error").to_pylist(), strict=True
            ):
                keys[row], errors[row] = key, error
        flat = pa.array(values.reshape(-1), description.value_type)
        return [
            pa.array(keys, pa.binary(32)),
            pa.FixedSizeListArray.from_arrays(flat, dim, mask=pa.array(missing)),
            pa.array(errors, pa.string()),
        ]


def describe(base: str | os.PathLike[str], *, command: Command | None = None, **options: object) -> Description:
    """Say what the vectors of a base are, without an image. Arguments as of `Worker`."""
    with Worker(base, command=command, **options) as worker:
        return worker.description


def _each(batches: Batches) -> Iterator[pa.RecordBatch]:
    if isinstance(batches, pa.RecordBatch):
        yield batches
    elif isinstance(batches, pa.Table):
        yield from batches.to_batches()
    else:
        for batch in batches:
            yield from _each(batch)


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


def _key(value: bytes | str | None, kind: str) -> bytes | None:
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
