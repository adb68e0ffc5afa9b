import pyarrow as pa
import pyarrow.compute as pc
import pytest
from conftest import BASE, vectors

import permafrost

daft = pytest.importorskip("daft")


def computed(images, **settings):
    import permafrost.daft

    features = permafrost.daft.features(BASE, workers=2, batch_size=16, **settings)
    contents = [*(file.read_bytes() for file in images), b"none"]
    df = daft.from_arrow(pa.table({"path": [*map(str, images), "broken"], "bytes": contents})).into_batches(16)
    found = df.with_column("vector", features(df["bytes"])).select("path", "vector").to_arrow()
    columns = {name: pc.struct_field(found["vector"], name) for name in ("sha256", "features", "error")}
    return features, pa.table({"path": found["path"], **columns})


def test_the_same_vectors_a_broken_image_is_a_row_and_a_set_comes_of_it(images, one_process, tmp_path):
    _, expected = one_process
    features, found = computed(images)
    assert vectors(found) == expected
    errors = {row["path"]: row["error"] for row in found.to_pylist() if row["error"] is not None}
    assert errors == {"broken": "it is no image"}
    assert permafrost.write_set(found, tmp_path / "set", description=features.description).rows == 60
    assert vectors(permafrost.read_set(tmp_path / "set")) == expected


def test_a_worker_that_is_killed_is_started_anew(images, one_process, killed_once):
    _, expected = one_process
    _, found = computed(images, command=killed_once(2, "it"))
    assert vectors(found) == expected
    assert found.num_rows == 61
