"""Vectors of images in Ray Data: `Features` for `map_batches`, `write_set` and `read_set`.

>>> images = ray.data.read_binary_files("s3://bucket/images", include_paths=True)
>>> vectors = images.map_batches(
...     permafrost.ray.Features,
...     fn_constructor_kwargs={"base": "xception"},
...     batch_format="pyarrow", batch_size=256, compute=ray.data.ActorPoolStrategy(size=2),
... )

Every node needs this package, Node and the npm package `permafrost`.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pyarrow as pa

from ._command import Command
from ._shared import held_once
from ._storage import Storage
from .description import Description
from .worker import Worker, describe
from .writing import WrittenSet, write_rows
from .writing import write_set as write_batches

if TYPE_CHECKING:
    from ray.data import Dataset


class Features:
    """A base in an actor. By default it computes in one thread, as Ray reserves one core for an actor."""

    def __init__(
        self,
        base: str,
        *,
        column: str | None = None,
        known: str | None = None,
        command: Command | None = None,
        **options: object,
    ) -> None:
        """Open it with the first batch.

        Args:
            base: a name (`xception`, …), or the file of a model that all nodes can open.
            column: the images: binary, or text for paths. Default: `bytes`, else `content`, else `path`.
            known: a feature set of this base that all nodes can read; images that it holds are not computed.
            command: how Permafrost is started. Default: see `permafrost.find_command`.
            options: of `permafrost worker --help`, with underscores.
        """
        self._worker = Worker(base, command=command, known=known, **{"threads": 1, **options})
        self._column = column

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the batch with `sha256`, `features` (d values a row, null where the image cannot be used) and `error`.

        A binary column of images is left out. An image that cannot be used costs its row, never the job.
        """
        done = list(self._worker.map(batch, self._column))
        if done:
            return pa.Table.from_batches(done)
        fields = [field for field in batch.schema if field.name != self._column]
        return pa.schema([*fields, *self._worker.description.fields]).empty_table()


def write_set(
    vectors: Dataset,
    folder: str,
    *,
    description: Description | None = None,
    base: str | None = None,
    path_column: str | None = "path",
    skip_held: bool = True,
    **options: object,
) -> WrittenSet:
    """Write vectors as a feature set, all nodes at once.

    Args:
        vectors: as `Features` makes them.
        folder: the set's own folder on a disk that all nodes share, or its address (`s3://bucket/…`).
        description: what the vectors are. Default: that of `base` with `options`.
        base: as of `Features`.
        path_column: names the images in quarantine.
        skip_held: leave out rows that the set holds.
        options: as of `Features`.

    Raises:
        ValueError: neither `description` nor `base` is given.
        FeatureSetError: as of `permafrost.write_set`.
    """
    if description is None:
        if base is None:
            raise ValueError("give base, with the options that made the vectors, or description=permafrost.describe(…)")
        description = describe(base, **options)  # type: ignore[arg-type]
    write_batches([], folder, description=description)
    given = description
    job = secrets.token_hex(8)

    def write(batch: pa.Table) -> pa.Table:
        done = write_rows(batch, Storage(folder, None), given, path_column, held_once(job) if skip_held else None)
        return pa.table(
            {"rows": [done.rows], "held": [done.held], "failed": [done.failed], "parts": [json.dumps(list(done.parts))]}
        )

    done = vectors.map_batches(write, batch_format="pyarrow", batch_size=1024, zero_copy_batch=True).take_all()
    parts = sorted({name for row in done for name in json.loads(row["parts"])})
    rows, held, failed = (sum(int(row[name]) for row in done) for name in ("rows", "held", "failed"))
    return WrittenSet(folder, rows, held, failed, parts)
