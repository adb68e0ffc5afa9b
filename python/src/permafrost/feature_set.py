"""Feature sets as they lie on disk: docs/format.md of Permafrost is the contract."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.fs

from ._storage import Folder, Storage
from .crc32c import crc32c
from .description import Description
from .errors import FeatureSetError

SPEC = "_set.json"
PART = re.compile(r"part-[0-9a-f]{32}\.arrow")
CHECKSUMS = b"permafrost.crc32c"
#: Parts that are kept open while vectors are looked up.
_OPEN_PARTS = 16


def canonical(value: object) -> str:
    """Write JSON as `_set.json` is written: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class FeatureSet:
    """A folder of vectors by content.

    >>> features = FeatureSet("cache/xception-mini-6fc0ed184c01")
    >>> features.to_table()  # sha256, features: an image a row
    """

    def __init__(self, folder: Folder, *, filesystem: pyarrow.fs.FileSystem | None = None) -> None:
        """Open it.

        Args:
            folder: the set's own folder, or its address (`s3://bucket/cache/xception-…`).
            filesystem: where it lies. Default: what the address says, else this machine.

        Raises:
            FeatureSetError: it is no set, or one of a format that this version does not read.
        """
        self.storage = Storage(folder, filesystem)
        self.folder = self.storage.name
        text = self.storage.read(SPEC)
        if text is None:
            raise FeatureSetError(f"{self.folder} is not a feature set: it has no {SPEC}; make one with permafrost features")
        try:
            self.set: dict[str, object] = json.loads(text)
            layout = (self.set["format"], self.set["features"], self.set["type"])
        except (ValueError, KeyError, TypeError):
            raise FeatureSetError(f"{self.folder}/{SPEC} is damaged: put it back from a copy") from None
        if layout[0] != 1:
            raise FeatureSetError(f"{self.folder} is of format {layout[0]}, and this version reads format 1: use a newer one")
        self.text = canonical(self.set)
        self.fingerprint = hashlib.sha256(self.text.encode()).hexdigest()
        self.dim = int(str(layout[1]))
        self.value_type = pa.float16() if layout[2] == "float16" else pa.float32()

    @property
    def schema(self) -> pa.Schema:
        """`sha256` and `features`; the metadata name the fingerprint and the set."""
        metadata = {b"permafrost.fingerprint": self.fingerprint.encode(), b"permafrost.set": self.text.encode()}
        fields = [
            pa.field("sha256", pa.binary(32), nullable=False),
            pa.field("features", pa.list_(self.value_type, self.dim), nullable=False),
        ]
        return pa.schema(fields, metadata)

    def parts(self) -> list[str]:
        """Name the parts, in order."""
        return [name for name in self.storage.names() if PART.fullmatch(name)]

    def read_part(self, name: str) -> pa.Table:
        """Read the vectors of one part, whose checksums are verified.

        Raises:
            FeatureSetError: it is damaged, or belongs to another set.
        """
        return self._read(name, self.schema)

    def read_keys(self, name: str) -> np.ndarray:
        """Read the keys of one part, `[n]` of 32 bytes each, without its vectors.

        Raises:
            FeatureSetError: its keys are damaged, or it belongs to another set.
        """
        return _keys(self._read(name, pa.schema([self.schema.field(0)])))

    def _read(self, name: str, wanted: pa.Schema) -> pa.Table:
        """The columns that are wanted, from the first on."""
        try:
            with self.storage.open(name) as file:
                options = pa.ipc.IpcReadOptions(included_fields=list(range(len(wanted))))
                reader = pa.ipc.open_file(file, options=options)
                metadata = reader.schema.metadata or {}
                batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
                for batch in batches:
                    batch.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(name, "it is not a whole Arrow file") from error
        owner = metadata.get(b"permafrost.fingerprint", b"").decode(errors="replace")
        if owner != self.fingerprint:
            raise self._damaged(name, f"it belongs to the set {owner[:12] or 'of nobody'}, not {self.fingerprint[:12]}")
        types = [batch.schema.types for batch in batches]
        if any(one != wanted.types for one in types) or reader.schema.names != wanted.names:
            raise self._damaged(name, f"its columns must be {', '.join(str(field) for field in wanted)}")
        try:
            sums = json.loads(metadata.get(CHECKSUMS, b"{}"))
            sums = {column: [str(one) for one in sums[column]] for column in wanted.names}
        except (ValueError, KeyError, TypeError):
            raise self._damaged(name, "it has no checksums, so Permafrost did not make it") from None
        for i, batch in enumerate(batches):
            for column in wanted.names:
                expected = sums[column]
                if batch.column(column).null_count or len(expected) != len(batches):
                    raise self._damaged(name, f"its column {column} has nulls, or no checksums")
                if f"{crc32c(column_bytes(batch.column(column))):08x}" != expected[i]:
                    raise self._damaged(name, f"the checksum of its column {column} is wrong")
        return pa.Table.from_batches(batches, reader.schema).replace_schema_metadata(None).cast(wanted)

    def to_table(self) -> pa.Table:
        """Read all vectors: a row a content, in no order that means anything. Of a content in two parts the first counts."""
        tables = [self.read_part(name) for name in self.parts()]
        if not tables:
            return self.schema.empty_table()
        whole = pa.concat_tables(tables)
        _, first = np.unique(_keys(whole), return_index=True)
        if len(first) == len(whole):
            return whole
        return whole.take(pa.array(np.sort(first)))

    def _damaged(self, name: str, why: str) -> FeatureSetError:
        return FeatureSetError(f"the part {name} of {self.folder} is damaged: {why}; delete it, and compute its images again")


def read_set(folder: Folder, *, filesystem: pyarrow.fs.FileSystem | None = None) -> pa.Table:
    """Read a feature set.

    Args:
        folder: its own folder, or its address (`s3://bucket/cache/xception-…`).
        filesystem: where it lies. Default: what the address says, else this machine.

    Returns:
        `sha256` (32 bytes) and `features` (`fixed_size_list<float32>[d]`, or of float16), a row an image. The metadata have
        `permafrost.fingerprint` and `permafrost.set`.

    Raises:
        FeatureSetError: it is no set, or a part is damaged.
    """
    return FeatureSet(folder, filesystem=filesystem).to_table()


class KnownVectors:
    """The keys of a set in memory, 44 bytes each, and its vectors where they lie."""

    def __init__(self, features: FeatureSet) -> None:
        """Read all keys."""
        self._set = features
        self._names = features.parts()
        keys = [features.read_keys(name) for name in self._names]
        rows = [len(one) for one in keys]
        flat = np.concatenate(keys) if keys else np.zeros(0, "S32")
        part = np.repeat(np.arange(len(rows), dtype=np.int32), rows)
        row = np.concatenate([np.arange(n, dtype=np.int32) for n in rows]) if rows else np.zeros(0, np.int32)
        self._keys, first = np.unique(flat, return_index=True)
        self._part, self._row = part[first], row[first]
        self._read = lru_cache(maxsize=_OPEN_PARTS)(self._matrix)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, keys: Sequence[bytes | None]) -> np.ndarray:
        """Return where each key is, for `vectors`; -1 where it is not."""
        if len(self._keys) == 0:
            return np.full(len(keys), -1)
        asked = np.array([key or b"" for key in keys], "S32")
        place = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
        is_there = (self._keys[place] == asked) & np.array([key is not None for key in keys], bool)
        return np.where(is_there, place, -1)

    def vectors(self, places: np.ndarray) -> np.ndarray:
        """Return the vectors at some places, `[n, d]` as they are stored."""
        result = np.empty((len(places), self._set.dim), self._set.value_type.to_pandas_dtype())
        for part in np.unique(self._part[places]):
            mine = np.flatnonzero(self._part[places] == part)
            result[mine] = self._read(int(part))[self._row[places[mine]]]
        return result

    def _matrix(self, part: int) -> np.ndarray:
        return matrix(self._set.read_part(self._names[part]).column("features").combine_chunks(), self._set.dim)


def _keys(table: pa.Table) -> np.ndarray:
    column = table.column("sha256").combine_chunks()
    return np.frombuffer(column_bytes(column), "S32")


def matrix(column: pa.Array | pa.ChunkedArray, dim: int) -> np.ndarray:
    """Return a column of vectors without nulls as `[n, d]`."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    values = column.values.slice(column.offset * dim, len(column) * dim)
    return values.to_numpy(zero_copy_only=False).reshape(-1, dim)


def column_bytes(column: pa.Array) -> np.ndarray:
    """Return the bytes of the values of `sha256`, or of `features`."""
    if pa.types.is_fixed_size_binary(column.type):
        width = column.type.byte_width
        return np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width : (column.offset + len(column)) * width]
    return np.ascontiguousarray(matrix(column, column.type.list_size)).reshape(-1).view(np.uint8)


def description_of(schema: pa.Schema, given: Description | None) -> Description:
    """Return what vectors are, of what stands in the metadata of their schema and of what is given.

    Raises:
        FeatureSetError: neither says it, or they differ.
    """
    found = Description.of(schema.metadata)
    if found is None and given is None:
        raise FeatureSetError(
            "the data do not say which set their vectors belong to: give description=permafrost.describe(base, …) "
            "with the base and the options that made them"
        )
    if found is not None and given is not None and found.fingerprint != given.fingerprint:
        raise FeatureSetError(
            f"the vectors are of the set {found.fingerprint[:12]}, and the description given is of {given.fingerprint[:12]}"
        )
    return found or given  # type: ignore[return-value]
