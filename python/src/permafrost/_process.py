"""One `permafrost worker`: batches of one column go in, their answers come out in order."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Sequence

import pyarrow as pa

from .description import Description
from .errors import WorkerError

_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_PATIENCE = 10.0


class Died(Exception):
    """The process was ended by the system, not by itself: what it was asked may be asked again."""


class WorkerProcess:
    """A process with a stream in and a stream out; a thread writes, so that neither side waits for the other."""

    def __init__(self, argv: Sequence[str], column: str) -> None:
        """Start it; `column` is `bytes` or `path`."""
        self.argv = list(argv)
        self.schema = pa.schema([pa.field(column, pa.binary() if column == "bytes" else pa.string())])
        self._process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._said: deque[str] = deque(maxlen=50)
        self._waiting: queue.SimpleQueue[pa.RecordBatch | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._listener.start()
        self._writer.start()
        self._reader: pa.RecordBatchStreamReader | None = None
        self.description = self._describe()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, batch: pa.RecordBatch) -> None:
        """Hand over a batch; it is written as soon as the worker takes it."""
        self._waiting.put(batch)

    def receive(self) -> pa.RecordBatch:
        """Return the next answer.

        Raises:
            Died: the process was killed.
            WorkerError: it ended by itself, with what it said.
        """
        try:
            if self._reader is not None:
                return self._reader.read_next_batch()
        except (StopIteration, pa.ArrowInvalid, OSError):
            pass
        raise self._fault()

    def close(self) -> None:
        """End the stream and wait for the process.

        Raises:
            WorkerError: it did not end well.
        """
        self._waiting.put(None)
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return
        self._release()
        if code != 0:
            raise self._fault()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._waiting.put(None)
        self._release()

    def _release(self) -> None:
        self._writer.join()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _describe(self) -> Description:
        try:
            self._reader = pa.ipc.open_stream(self._process.stdout)
        except (pa.ArrowInvalid, OSError):
            raise self._fault() from None
        except BaseException:
            self.kill()
            raise
        found = Description.of(self._reader.schema.metadata)
        protocol = (self._reader.schema.metadata or {}).get(b"permafrost.worker")
        if found is None or protocol != b"1":
            self.kill()
            raise WorkerError(
                f"{' '.join(self.argv[:2])} does not speak version 1 of the worker's protocol: "
                "install versions of permafrost and permafrost-features that belong together"
            )
        return found

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        # What cannot be written is told by the reader, who finds the process dead.
        with contextlib.suppress(OSError, ValueError):
            pipe.write(self.schema.serialize())
            pipe.flush()
            while (batch := self._waiting.get()) is not None:
                pipe.write(batch.serialize())
                pipe.flush()
            pipe.write(_END)
            pipe.close()

    def _listen(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None
        for line in pipe:
            text = line.decode(errors="replace").strip()
            if text:
                self._said.append(text)

    def _fault(self) -> Exception:
        """What to raise of a process that has ended, or that sends what is no stream."""
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        said = self._said[-1].removeprefix("permafrost: ") if self._said else "it said nothing"
        if code is None:
            return WorkerError(f"the worker's answers cannot be read: {said}")
        if code < 0 or code >= 128:
            return Died(f"the worker was ended by signal {-code if code < 0 else code - 128}")
        return WorkerError(f"the worker ended with {code}: {said}")
