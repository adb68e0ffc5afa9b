import pyarrow as pa
import pytest
from conftest import BASE, permafrost_command, vectors

pyspark = pytest.importorskip("pyspark")


@pytest.fixture(scope="module")
def session():
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
    running = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    running.sparkContext.setLogLevel("OFF")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def pictures(session, images):
    rows = [(str(file), bytearray(file.read_bytes())) for file in images]
    return session.createDataFrame([*rows, ("broken", bytearray(b"none"))], "path string, content binary").repartition(4)


def table(df):
    return pa.Table.from_pylist([row.asDict() for row in df.collect()])


def test_the_same_vectors_a_broken_image_is_a_row_and_a_set_comes_of_it(session, pictures, one_process, tmp_path):
    import permafrost.spark

    _, expected = one_process
    df = permafrost.spark.features(pictures, BASE)
    assert df.columns == ["path", "sha256", "features", "error"]
    found = table(df)
    assert vectors(found) == expected
    errors = {row["path"]: row["error"] for row in found.to_pylist() if row["error"] is not None}
    assert errors == {"broken": "it is no image"}
    folder = str(tmp_path / "cache" / "set-6fc0ed184c01")
    done = permafrost.spark.write_set(df.filter("path != 'x'"), folder)
    assert (done.rows, done.failed) == (60, 1)
    permafrost_command("cache", "verify", "--cache", tmp_path / "cache")
    assert vectors(permafrost.read_set(folder)) == expected
    assert vectors(table(permafrost.spark.read_set(session, folder))) == expected
    known = permafrost.spark.features(pictures, BASE, known=folder)
    assert vectors(table(known)) == expected


def test_a_python_worker_that_is_killed_is_retried_by_spark(pictures, one_process, killed_once):
    import permafrost.spark

    _, expected = one_process
    df = permafrost.spark.features(pictures, BASE, command=killed_once(2, "parent"))
    found = table(df)
    assert vectors(found) == expected
    assert found.num_rows == 61


def test_other_functions_in_python_open_no_base(pictures, killed_once, tmp_path):
    import permafrost.spark

    def same(batches):
        yield from batches

    df = pictures.mapInArrow(same, pictures.schema)
    df.mapInArrow(same, df.schema).collect()
    df = permafrost.spark.features(df.repartition(8), BASE, command=killed_once(0, "nobody"))
    assert df.mapInArrow(same, df.schema).count() == 61
    driver_and_tasks = (tmp_path / "runs").stat().st_size
    assert driver_and_tasks <= 1 + 2


def test_paths_and_wrong_columns(session, images, one_process):
    import permafrost.spark

    _, expected = one_process
    names = session.createDataFrame([(str(file),) for file in images], "name string")
    assert vectors(table(permafrost.spark.features(names, BASE, column="name"))) == expected
    with pytest.raises(ValueError, match="there is no column content"):
        permafrost.spark.features(names, BASE)
    with pytest.raises(permafrost.WorkerError, match="there is no base"):
        permafrost.spark.features(names, "nothing", column="name")
