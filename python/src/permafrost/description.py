"""What vectors are: the feature set they belong to, and what computed them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

_FIELDS = {
    "fingerprint": b"permafrost.fingerprint",
    "text": b"permafrost.set",
    "engine": b"permafrost.engine",
    "engine_version": b"permafrost.engine_version",
    "version": b"permafrost.version",
}


@dataclass(frozen=True)
class Description:
    """What a worker says of its vectors, in the metadata of its schema."""

    fingerprint: str
    """64 hex digits."""
    text: str
    """All of `_set.json`, as it stands there."""
    engine: str
    engine_version: str
    version: str
    """Of Permafrost."""

    @cached_property
    def set(self) -> dict[str, object]:
        """`_set.json`, parsed."""
        return json.loads(self.text)

    @property
    def dim(self) -> int:
        """Values a vector."""
        return int(str(self.set["features"]))

    @property
    def value_type(self) -> pa.DataType:
        """`float32` or `float16`, as the set stores them."""
        return pa.float16() if self.set["type"] == "float16" else pa.float32()

    @property
    def fields(self) -> list[pa.Field]:
        """The columns of answers: `sha256`, `features` (a fixed-size list) and `error`."""
        return [
            pa.field("sha256", pa.binary(32)),
            pa.field("features", pa.list_(self.value_type, self.dim)),
            pa.field("error", pa.string()),
        ]

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """The description as metadata of a schema."""
        return {key: getattr(self, name).encode() for name, key in _FIELDS.items()}

    @classmethod
    def of(cls, metadata: Mapping[bytes, bytes] | None) -> Description | None:
        """Read the metadata of a schema; None where it has no description."""
        if metadata is None or any(key not in metadata for key in _FIELDS.values()):
            return None
        return cls(**{name: metadata[key].decode() for name, key in _FIELDS.items()})
