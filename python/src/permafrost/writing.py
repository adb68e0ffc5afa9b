"""Writing feature sets that the command line opens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.fs

from ._pieces import Batches, each
from ._storage import Folder, Storage
from .crc32c import crc32c
from .description import Description
from .errors import FeatureSetError
from .feature_set import CHECKSUMS, SPEC, FeatureSet, KnownVectors, canonical, column_bytes, description_of

#: Rows of a part, and bytes of the vectors of one.
_PART_ROWS = 1024
_PART_BYTES = 2**26


@dataclass(frozen=True)
class WrittenSet:
    """What `write_set` has done."""

    folder: str
    rows: int = 0
    """Vectors that are in place now; a content that came twice counts once a part."""
    held: int = 0
    """Rows that the set held already."""
    failed: int = 0
    """Rows with an error, which are in quarantine now."""
    parts: Sequence[str] = field(default_factory=list)
    """The names of the parts that were written."""


def write_set(
    data: Batches,
    folder: Folder,
    *,
    filesystem: pyarrow.fs.FileSystem | None = None,
    description: Description | None = None,
    path_column: str | None = "path",
    skip_held: bool = True,
) -> WrittenSet:
    """Write vectors as a feature set, or add them to one. Any number of writers may do so at once, on any number of machines.

    Every part is named by its content and appears whole, so the same rows may be written twice without harm.

    Args:
        data: `sha256` (32 bytes), `features` (a list of d float32, or float16) and `error`, as a `Worker` gives them.
            A row with an error and no vector goes into quarantine.
        folder: the set's own folder, or its address (`s3://bucket/cache/xception-…`).
        filesystem: where it lies. Default: what the address says, else this machine.
        description: what the vectors are, where the metadata of the data's schema do not say it.
        path_column: names the images in quarantine.
        skip_held: leave out rows that the set holds. Its keys take 44 bytes each in memory.

    Raises:
        FeatureSetError: the folder holds another set, a vector has another length or a value that cannot be stored, or
            nothing says what the vectors are.
        OSError: it cannot be written.
    """
    return write_rows(data, Storage(folder, filesystem), description, path_column, KnownVectors if skip_held else None)


def write_rows(
    data: Batches,
    storage: Storage,
    description: Description | None,
    path_column: str | None,
    held: Callable[[FeatureSet], KnownVectors] | None,
) -> WrittenSet:
    """As `write_set`; `held` reads what a set holds already, where it is to be left out."""
    writer: _Writer | None = None
    for batch in each(data):
        if writer is None:
            writer = _Writer(storage, description_of(batch.schema, description), path_column, held)
        elif (found := Description.of(batch.schema.metadata)) and found.fingerprint != writer.description.fingerprint:
            raise FeatureSetError("the data are vectors of two sets: write each to a folder of its own")
        writer.add(batch)
    if writer is None:
        if description is not None:
            return _Writer(storage, description, path_column, None).close()
        return WrittenSet(storage.name)
    return writer.close()


class _Writer:
    def __init__(
        self,
        storage: Storage,
        description: Description,
        path_column: str | None,
        held: Callable[[FeatureSet], KnownVectors] | None,
    ) -> None:
        self.storage, self.description, self.path_column = storage, description, path_column
        self.capacity = max(1, min(_PART_ROWS, _PART_BYTES // (4 * description.dim)))
        self.keys: list[bytes] = []
        self.vectors: list[np.ndarray] = []
        self.lines: dict[str, str] = {}
        self.parts: list[str] = []
        self.rows = self.held = self.failed = 0
        self.known: KnownVectors | None = None
        text = canonical(description.set)
        if hashlib.sha256(text.encode()).hexdigest() != description.fingerprint:
            raise FeatureSetError("the description of the vectors does not fit its fingerprint: take it as a worker gave it")
        if storage.read(SPEC) is None:
            storage.put(SPEC, text.encode())
            return
        found = self._same_set()
        self.known = held(found) if held is not None else None

    def _same_set(self) -> FeatureSet:
        found = FeatureSet(self.storage.path, filesystem=self.storage.filesystem)
        if found.fingerprint != self.description.fingerprint:
            raise FeatureSetError(
                f"{self.storage.name} holds the set {found.fingerprint[:12]} and these vectors are of "
                f"{self.description.fingerprint[:12]}: give another folder"
            )
        return found

    def add(self, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        for name in ("sha256", "features"):
            if name not in names:
                raise FeatureSetError(f"the data have no column {name}, but {', '.join(names) or 'none at all'}")
        keys: list[bytes | None] = batch.column("sha256").to_pylist()
        vectors = self._matrix(batch.column("features"))
        empty = [None] * len(keys)
        errors = batch.column("error").to_pylist() if "error" in names else empty
        paths = batch.column(self.path_column).to_pylist() if self.path_column in names else empty
        has = batch.column("features").is_valid().to_pylist()
        held = self.known.find(keys) if self.known is not None else np.full(len(keys), -1)
        for row, (key, error) in enumerate(zip(keys, errors, strict=True)):
            if key is not None and len(key) != 32:
                raise FeatureSetError(f"sha256 must have 32 bytes, found {len(key)}")
            if has[row]:
                self._vector(key, vectors[row], held[row] >= 0)
            elif error is not None:
                self._error(key, paths[row], error)
            else:
                raise FeatureSetError("a row has neither a vector nor an error: leave it out")

    def _vector(self, key: bytes | None, vector: np.ndarray, is_held: bool) -> None:
        if key is None:
            raise FeatureSetError("a row has a vector and no sha256: its image cannot be found again")
        if is_held:
            self.held += 1
            return
        if not np.isfinite(vector).all():
            raise FeatureSetError(f"the vector of the image {key.hex()} is not finite: it cannot be stored")
        self.keys.append(key)
        self.vectors.append(vector)
        if len(self.keys) == self.capacity:
            self._close_part()

    def _error(self, key: bytes | None, path: object, error: str) -> None:
        self.failed += 1
        sha256 = key.hex() if key is not None else None
        name = str(path) if path is not None else (sha256 or "")
        entry = {
            "sha256": sha256,
            "path": name,
            "stage": "read" if key is None else "decode",
            "message": error.removeprefix("it "),
        }
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
        self.lines.setdefault(sha256 or f"path:{name}", f"{line}\n")

    def _matrix(self, column: pa.Array) -> np.ndarray:
        """Vectors as `[rows, d]` float32 or float16; those of null rows are of no account."""
        dim = self.description.dim
        kind = column.type
        types = pa.types
        if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
            raise FeatureSetError(f"features must be lists of {self.description.value_type}, found {kind}")
        if not types.is_floating(kind.value_type):
            raise FeatureSetError(f"features must be lists of {self.description.value_type}, found {kind}")
        lengths = set(column.drop_null().value_lengths().to_pylist()) if len(column) else set()
        if lengths - {dim}:
            raise FeatureSetError(f"vectors of this set have {dim} values, found {max(lengths - {dim})}")
        dtype = self.description.value_type.to_pandas_dtype()
        result = np.zeros((len(column), dim), dtype)
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        values = column.drop_null().flatten()
        if values.null_count:
            raise FeatureSetError("a vector has a null among its values")
        wide = values.to_numpy(zero_copy_only=False)
        narrow = wide.astype(dtype)
        if not np.array_equal(narrow.astype(wide.dtype), wide, equal_nan=True):
            raise FeatureSetError(f"values do not fit into {self.description.value_type}, as which this set stores them")
        result[valid] = narrow.reshape(-1, dim)
        return result

    def _close_part(self) -> None:
        if not self.keys:
            return
        name, data, rows = encode_part(self.keys, np.stack(self.vectors), self.description)
        self.storage.put(name, data)
        self.parts.append(name)
        self.rows += rows
        self.keys, self.vectors = [], []

    def close(self) -> WrittenSet:
        self._close_part()
        if self.lines:
            data = "".join(self.lines.values()).encode()
            self.storage.put(f"_quarantine-{hashlib.sha256(data).hexdigest()[:32]}.jsonl", data)
        # Of two writers that began at once with vectors of two bases, one has lost its description.
        self._same_set()
        return WrittenSet(self.storage.name, self.rows, self.held, self.failed, self.parts)


def encode_part(keys: Sequence[bytes], vectors: np.ndarray, description: Description) -> tuple[str, bytes, int]:
    """Encode rows as one part: the same rows in any order give the same bytes.

    Args:
        keys: 32 bytes each; of two rows of one key the first stays.
        vectors: `[rows, d]`, as they are stored.
        description: what they are.

    Returns:
        Its name, its bytes, and how many rows it holds.
    """
    sorted_keys, first = np.unique(np.frombuffer(b"".join(keys), "S32"), return_index=True)
    rows = len(first)
    flat = pa.array(np.ascontiguousarray(vectors[first]).reshape(-1), description.value_type)
    columns = [
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), rows, [None, pa.py_buffer(sorted_keys.tobytes())]),
        pa.FixedSizeListArray.from_arrays(flat, description.dim),
    ]
    names = ("sha256", "features")
    sums = {name: [f"{crc32c(column_bytes(column)):08x}"] for name, column in zip(names, columns, strict=True)}
    metadata = {key: value for key, value in description.metadata.items() if key != b"permafrost.set"}
    metadata[CHECKSUMS] = json.dumps(dict(sorted(sums.items())), separators=(",", ":")).encode()
    fields = [pa.field(name, column.type, nullable=False) for name, column in zip(names, columns, strict=True)]
    schema = pa.schema(fields, metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as file:
        file.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    data = sink.getvalue().to_pybytes()
    return f"part-{hashlib.sha256(data).hexdigest()[:32]}.arrow", data, rows
