import pyarrow as pa
import pytest
from conftest import BASE, vectors

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def computed(images, **settings):
    import permafrost.ray

    contents = [*(file.read_bytes() for file in images), b"none"]
    table = pa.table({"path": [*map(str, images), "broken"], "bytes": contents})
    blocks = ray.data.from_arrow([table.slice(from_, 16) for from_ in range(0, 61, 16)])
    return blocks.map_batches(
        permafrost.ray.Features,
        fn_constructor_kwargs={"base": BASE, **settings},
        batch_format="pyarrow",
        batch_size=16,
        compute=ray.data.ActorPoolStrategy(size=2),
    ).materialize()


def whole(dataset):
    return pa.concat_tables(ray.get(dataset.to_arrow_refs()))


def test_the_same_vectors_a_broken_image_is_a_row_and_a_set_comes_of_it(images, one_process, tmp_path):
    import permafrost.ray

    _, expected = one_process
    dataset = computed(images)
    found = whole(dataset)
    assert vectors(found) == expected
    errors = {row["path"]: row["error"] for row in found.to_pylist() if row["error"] is not None}
    assert errors == {"broken": "it is no image"}
    done = permafrost.ray.write_set(dataset, str(tmp_path / "set"), base=BASE)
    assert (done.rows, done.failed) == (60, 1)
    assert vectors(permafrost.read_set(tmp_path / "set")) == expected


def test_an_actor_that_is_killed_is_retried_by_ray(images, one_process, killed_once):
    _, expected = one_process
    found = whole(computed(images, command=killed_once(1, "parent")))
    assert vectors(found) == expected
    assert found.num_rows == 61
