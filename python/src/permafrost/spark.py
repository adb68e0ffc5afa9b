"""Vectors of images in Spark: `features` over a DataFrame of image files, `write_set` and `read_set`.

>>> images = spark.read.format("binaryFile").option("pathGlobFilter", "*.jpg").load("s3a://bucket/images")
>>> vectors = permafrost.spark.features(images, "xception")
>>> permafrost.spark.write_set(vectors, "s3://bucket/cache/xception-6fc0ed184c01")

Every executor needs this package, Node and the npm package `permafrost`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql.types import ArrayType, BinaryType, FloatType, LongType, StringType, StructField, StructType

from ._command import Command
from ._pieces import ANSWERS
from ._shared import held_once, shared_worker
from ._storage import Storage
from .description import Description
from .errors import FeatureSetError
from .feature_set import FeatureSet
from .worker import describe
from .writing import WrittenSet, write_rows
from .writing import write_set as write_batches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_KEY = "permafrost"
_OWN_WORKERS = "PERMAFROST_PYTHON_WORKERS"


def features(
    df: DataFrame,
    base: str,
    *,
    column: str = "content",
    known: str | None = None,
    command: Command | None = None,
    **options: object,
) -> DataFrame:
    """Compute the vectors of a DataFrame of images.

    A base is opened once a Python worker of Spark, and stays. By default it computes in one thread, as Spark runs a task a
    core. The driver opens the base once too, to learn what its vectors are.

    Args:
        df: with a binary column (the bytes of image files) or a text column (paths that executors can open).
        base: a name (`xception`, …), or the file of a model that all executors can open.
        column: the images. A binary one is not in the result.
        known: a feature set of this base that executors can read; images that it holds are not computed.
        command: how Permafrost is started. Default: see `permafrost.find_command`.
        options: of `permafrost worker --help`, with underscores.

    Returns:
        The other columns and `sha256` (binary, null where the image could not be read), `features` (array of d floats, null
        where it cannot be used) and `error` (why, else null). An image that cannot be used costs its row, never the job.

    Raises:
        ValueError: there is no such column, or one has the name of an answer.
        PermafrostError: the base cannot be opened.
    """
    settings = {"threads": 1, "known": known, "command": command, **options}
    if column not in df.columns:
        raise ValueError(f"there is no column {column} in {df.columns}: give the name of the column of images")
    is_text = isinstance(df.schema[column].dataType, StringType)
    rest = [field for field in df.schema if field.name != column or is_text]
    for field in rest:
        if field.name in ANSWERS:
            raise ValueError(f"there is a column {field.name} already, which the answer has too: rename or drop it")
    description = describe(base, command=command, **options)
    answers = [
        StructField("sha256", BinaryType()),
        StructField("features", ArrayType(FloatType(), containsNull=False), metadata={_KEY: asdict(description)}),
        StructField("error", StringType()),
    ]

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in shared_worker(base, settings).map(batches, column):
            found = Description.of(batch.schema.metadata)
            if found is None or found.fingerprint != description.fingerprint:
                raise FeatureSetError(
                    f"this executor computes the set {found and found.fingerprint[:12]}, the driver "
                    f"{description.fingerprint[:12]}: give all the same versions and the same file of the model"
                )
            yield _plain(batch)

    with _own_workers(df.sparkSession, f"{base} {sorted(settings.items())}"):
        return df.mapInArrow(run, StructType([*rest, *answers]))


def write_set(
    df: DataFrame,
    folder: str,
    *,
    description: Description | None = None,
    path_column: str | None = "path",
    skip_held: bool = True,
) -> WrittenSet:
    """Write vectors as a feature set, all executors at once.

    Args:
        df: as `features` returns it.
        folder: the set's own folder on a disk that all executors share, or its address (`s3://bucket/…`).
        description: what the vectors are, where `df.schema["features"].metadata` do not say it any more.
        path_column: names the images in quarantine.
        skip_held: leave out rows that the set holds.

    Raises:
        FeatureSetError: as of `permafrost.write_set`.
    """
    said = df.schema["features"].metadata.get(_KEY) if "features" in df.columns else None
    given = description or (Description(**said) if said else None)
    if given is None:
        raise FeatureSetError("it is not said which set the vectors belong to: give description=permafrost.describe(…)")
    # The set exists before the executors write, so that they need not race for its description.
    write_batches([], folder, description=given)
    job = secrets.token_hex(8)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        done = write_rows(batches, Storage(folder, None), given, path_column, held_once(job) if skip_held else None)
        counts = {
            "rows": [done.rows],
            "held": [done.held],
            "failed": [done.failed],
            "parts": [json.dumps(list(done.parts))],
        }
        yield pa.RecordBatch.from_pydict(counts)

    numbers = [StructField(name, LongType()) for name in ("rows", "held", "failed")]
    done = df.mapInArrow(run, StructType([*numbers, StructField("parts", StringType())])).collect()
    parts = sorted({name for row in done for name in json.loads(row["parts"])})
    rows, held, failed = (sum(int(row[name]) for row in done) for name in ("rows", "held", "failed"))
    return WrittenSet(folder, rows, held, failed, parts)


def read_set(spark: SparkSession, folder: str) -> DataFrame:
    """Read a feature set, a part a task: `sha256` (binary) and `features` (array of d floats).

    A content that stands in two parts, as two machines may have computed it, is there twice: `dropDuplicates(["sha256"])`.

    Raises:
        FeatureSetError: it is no set. A damaged part fails its task.
    """
    found = FeatureSet(folder)
    names = found.parts()
    schema = StructType(
        [StructField("sha256", BinaryType()), StructField("features", ArrayType(FloatType(), containsNull=False))]
    )
    parts = spark.createDataFrame([(name,) for name in names], "part string").repartition(max(1, len(names)))

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        features = FeatureSet(folder)
        for batch in batches:
            for name in batch.column("part").to_pylist():
                for one in features.read_part(name).to_batches():
                    yield _plain(one)

    return parts.mapInArrow(run, schema)


@contextlib.contextmanager
def _own_workers(session: SparkSession, name: str) -> Iterator[None]:
    """Give the functions made meanwhile Python workers of their own.

    Spark hands a job's Python workers to its functions in turn, so that with `write_set` behind `features` twice as many of them
    would come to open the base. It keeps those of different environments apart.
    """
    environment: dict[str, str] = {}
    # Spark Connect has none: there the server makes the workers.
    with contextlib.suppress(Exception):
        environment = session.sparkContext.environment
    environment[_OWN_WORKERS] = hashlib.sha256(name.encode()).hexdigest()[:16]
    try:
        yield
    finally:
        del environment[_OWN_WORKERS]


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Types that Spark has: bytes of any length, lists of any length, float32 (float16 fits into it)."""
    columns: list[Any] = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if field.name == "sha256":
            column = column.cast(pa.binary())
        elif field.name == "features":
            column = column.cast(pa.list_(pa.float32()))
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


__all__ = ["features", "read_set", "write_set"]
