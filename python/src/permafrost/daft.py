"""Vectors of images in Daft: `features` makes a function of a column.

>>> features = permafrost.daft.features("xception", workers=2)
>>> df = df.with_column("vector", features(df["bytes"]))
>>> df.select("path", df["vector"].get("features"))

Every machine needs this package, Node and the npm package `permafrost`.
"""

from __future__ import annotations

from typing import Any

import daft
import pyarrow as pa
from daft import DataType, Expression, Series

from ._command import Command
from .description import Description
from .worker import Worker, describe


class features:  # noqa: N801  a function of a column, as Daft's own
    """A base as a function of a column of images: binary (the bytes of image files), or text (paths).

    Calling it gives a struct: `sha256` (32 bytes, null where the image could not be read), `features` (d values, null where it
    cannot be used) and `error` (why, else null). An image that cannot be used costs its row, never the query.
    """

    def __init__(
        self,
        base: str,
        *,
        workers: int | None = None,
        batch_size: int = 256,
        known: str | None = None,
        command: Command | None = None,
        **options: object,
    ) -> None:
        """Open the base once, to learn what its vectors are.

        Args:
            base: a name (`xception`, …), or the file of a model that all machines can open.
            workers: how many processes compute at once. Default: as Daft chooses.
            batch_size: rows that are handed over at once.
            known: a feature set of this base that all machines can read; images that it holds are not computed.
            command: how Permafrost is started. Default: see `permafrost.find_command`.
            options: of `permafrost worker --help`, with underscores; `threads` is 1 by default.

        Raises:
            PermafrostError: the base cannot be opened.
        """
        self.description: Description = describe(base, command=command, **options)
        value = DataType.from_arrow_type(self.description.value_type)
        answer = DataType.struct(
            {
                "sha256": DataType.fixed_size_binary(32),
                "features": DataType.fixed_size_list(value, self.description.dim),
                "error": DataType.string(),
            }
        )
        settings: dict[str, Any] = {"command": command, "known": known, "threads": 1, **options}

        class Features:
            def __init__(self) -> None:
                self.worker = Worker(base, **settings)

            @daft.method.batch(return_dtype=answer, batch_size=batch_size)
            def __call__(self, images: Series) -> pa.Array:
                return self.worker.features(images.to_arrow()).to_struct_array().combine_chunks()

        self._function = daft.cls(Features, max_concurrency=workers, use_process=workers is not None)()

    def __call__(self, images: Expression) -> Expression:
        """Return the column of vectors of a column of images."""
        return self._function(images)
