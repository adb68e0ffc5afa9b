"""Many images over a cluster of two machines' worth of processes."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from conftest import BASE, permafrost_command, vectors

pyspark = pytest.importorskip("pyspark")

IMAGES = 20_000
BROKEN = 20


def bitmap(random):
    """Noise of 16x12 pixels."""
    pixels = random.bytes(16 * 12 * 3)
    file = struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54)
    return file + struct.pack("<IiiHHIIiiII", 40, 16, 12, 1, 24, 0, len(pixels), 0, 0, 0, 0) + pixels


@pytest.fixture
def session(monkeypatch):
    from pyspark.sql import SparkSession

    monkeypatch.setenv("SPARK_HOME", str(Path(pyspark.__file__).parent))
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    # Executors have no environment but what they are given.
    for name in ("PATH", "PYTHONPATH", "PERMAFROST"):
        builder = builder.config(f"spark.executorEnv.{name}", os.environ.get(name, ""))
    running = builder.getOrCreate()
    running.sparkContext.setLogLevel("OFF")
    yield running
    running.stop()


@pytest.mark.long
def test_twenty_thousand_images_over_a_cluster_are_those_of_one_process(session, tmp_path):
    import permafrost.spark

    data = tmp_path / "data"
    data.mkdir()
    random = np.random.default_rng(0)
    for i in range(IMAGES):
        content = bitmap(random)
        (data / f"{i:05}.bmp").write_bytes(content[: 40 if i % (IMAGES // BROKEN) == 7 else None])
    images = session.read.format("binaryFile").load(str(data)).select("path", "content")
    folder = tmp_path / "spark" / "set"
    done = permafrost.spark.write_set(permafrost.spark.features(images, BASE), str(folder))
    assert (done.rows, done.failed) == (IMAGES - BROKEN, BROKEN)
    permafrost_command("cache", "verify", "--cache", tmp_path / "spark", "--quiet")
    permafrost_command("features", "--data", data, "--base", BASE, "--cache", tmp_path / "one", "--quiet")
    (one,) = (tmp_path / "one").glob(f"{BASE}-*")
    found = vectors(permafrost.read_set(folder))
    assert len(found) == IMAGES - BROKEN
    assert found == vectors(permafrost.read_set(one))
