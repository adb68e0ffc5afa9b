"""Vectors of images, from a process of `permafrost worker`."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.fs

from ._command import Command, default_cache, find_command, flags
from ._pieces import ANSWERS, Batches, Piece, each, image_column, pieces
from ._process import Died, WorkerProcess
from .description import Description
from .errors import FeatureSetError, WorkerError
from .feature_set import FeatureSet, KnownVectors

#: Bytes, and pieces, that may be under way.
_UNDER_WAY_BYTES = 2**26
_UNDER_WAY = 4
#: How often the same images are sent to a worker that is killed: a second time, and then no more.
_TRIES = 2


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
            values: list[Any] = [os.fspath(image) for image in images] if texts else list(images)
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
            yield from self._map(each(batches), column)
            done = True
        finally:
            if not done:
                self.kill()
            self._busy.release()

    def _map(self, batches: Iterator[pa.RecordBatch], column: str | None) -> Iterator[pa.RecordBatch]:
        coming = self._pieces(batches, column)
        under_way: deque[Piece] = deque()
        left = True
        while True:
            while left and (len(under_way) < _UNDER_WAY or sum(piece.bytes for piece in under_way) < _UNDER_WAY_BYTES):
                piece = next(coming, None)
                if piece is None:
                    left = False
                else:
                    self._send(piece)
                    under_way.append(piece)
            if not under_way:
                return
            yield self._answer(under_way)

    def _send(self, piece: Piece) -> None:
        # A batch without rows is answered with the next, so none is sent.
        if piece.images.num_rows > 0:
            self._running(piece.column).send(piece.images)

    def _answer(self, under_way: deque[Piece]) -> pa.RecordBatch:
        """The answer to the first piece; where the worker was killed, by another to whom all are sent again."""
        while True:
            first = under_way[0]
            process = self._running(first.column)
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
            return first.merged(answer, process.description)

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

    def _pieces(self, batches: Iterator[pa.RecordBatch], column: str | None) -> Iterator[Piece]:
        for batch in batches:
            name, kind = image_column(batch.schema, column)
            # It opens the known set too.
            self._running(kind)
            yield from pieces(batch, name, kind, self._known)


def describe(base: str | os.PathLike[str], *, command: Command | None = None, **options: Any) -> Description:
    """Say what the vectors of a base are, without an image. Arguments as of `Worker`."""
    with Worker(base, command=command, **options) as worker:
        return worker.description
