import concurrent.futures
import hashlib
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pytest
from conftest import BASE, permafrost_command, vectors

import permafrost
from permafrost import FeatureSetError, Worker, read_set, write_set
from permafrost.crc32c import crc32c


@pytest.fixture(scope="module")
def answers(images):
    """Vectors of the pictures, twice, and of one that is none."""
    with Worker(BASE) as worker:
        table = pa.table({"path": [str(file) for file in [*images, *images, "/no/such.jpg"]]})
        return pa.Table.from_batches(list(worker.map(table)))


def slow_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_crc32c_is_that_of_rfc_3720_and_of_a_loop():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    random = np.random.default_rng(0)
    for length in (0, 1, 1023, 1024, 1025, 1024 * 7 + 3, 1024 * 13):
        data = random.bytes(length)
        assert crc32c(data) == slow_crc(data), length


def test_a_set_of_ours_is_one_that_the_command_line_opens(answers, images, one_process, tmp_path):
    _, expected = one_process
    cache = tmp_path / "cache"
    described = permafrost.Description.of(answers.schema.metadata)
    folder = cache / f"mine-{described.fingerprint[:12]}"
    done = write_set(answers, folder)
    assert (done.rows, done.failed, len(done.parts)) == (60, 1, 1)
    permafrost_command("cache", "verify", "--cache", cache)
    assert vectors(read_set(folder)) == expected
    data = tmp_path / "data"
    data.mkdir()
    for file in images:
        shutil.copy(file, data)
    said = json.loads(permafrost_command("features", "--data", data, "--base", BASE, "--cache", cache, "--json", "--quiet"))
    assert (said["dir"], said["extracted"], said["reused"]) == (str(folder), 0, 60)
    assert len(list(folder.glob("_quarantine-*.jsonl"))) == 1
    trained = permafrost_command(
        *("train", "--data", images[0].parents[1], "--features", folder, "--missing", "skip"),
        *("--cache", cache, "--epochs", "2", "--json", "--quiet"),
    )
    assert json.loads(trained)["train"] > 30
    assert pyarrow.dataset.dataset(folder, format="ipc").count_rows() == 60


def test_written_twice_or_by_four_at_once_it_is_the_same_set(answers, tmp_path):
    first = write_set(answers, tmp_path / "a")
    again = write_set(answers.slice(0, 61), tmp_path / "a")
    assert (again.rows, again.held, list(again.parts)) == (0, 61, [])
    shuffled = answers.take(pa.array(np.random.default_rng(1).permutation(60)))
    assert write_set(shuffled, tmp_path / "b").parts == first.parts
    shares = [answers.slice(i * 20, 40) for i in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda share: write_set(share, tmp_path / "c", skip_held=False), shares))
    assert vectors(read_set(tmp_path / "c")) == vectors(read_set(tmp_path / "a"))
    assert not list((tmp_path / "c").glob("_tmp*"))


def test_any_file_system_of_pyarrow(answers, tmp_path):
    memory = pyarrow.fs._MockFileSystem()
    assert write_set(answers, "bucket/set", filesystem=memory).rows == 60
    assert write_set(answers, "bucket/set", filesystem=memory).held == 120
    assert vectors(read_set("bucket/set", filesystem=memory)) == vectors(answers)


def test_what_a_set_holds_is_not_sent(answers, images, tmp_path):
    half = answers.slice(0, 30)
    write_set(half, tmp_path / "set")
    with Worker(BASE, known=tmp_path / "set") as worker:
        sent = []
        process = worker._running("bytes")
        send = process.send
        process.send = lambda batch: (sent.append(batch.num_rows), send(batch))
        found = worker.features([*(file.read_bytes() for file in images), b"none"])
    assert sum(sent) == 31
    assert found.slice(0, 60).equals(answers.slice(0, 60).select(["sha256", "features", "error"]))
    assert found["error"][60].as_py() == "it is no image"
    with pytest.raises(FeatureSetError, match="another base, size"):
        Worker(BASE, known=tmp_path / "set", input_size=128).features([b"x"])


def test_vectors_of_float16_come_back_as_they_are_stored(images, tmp_path):
    with Worker(BASE, store="float16") as worker:
        table = pa.Table.from_batches(list(worker.map(pa.table({"path": [str(file) for file in images[:9]]}))))
    write_set(table, tmp_path / "set")
    read = read_set(tmp_path / "set")
    assert read.schema.field("features").type == pa.list_(pa.float16(), 512)
    assert vectors(read) == vectors(table)
    wide = table.set_column(
        table.schema.get_field_index("features"), "features", table["features"].cast(pa.list_(pa.float32(), 512))
    )
    assert write_set(wide, tmp_path / "set").held == 9


def test_what_cannot_be_a_set_is_refused(answers, tmp_path):
    bare = answers.replace_schema_metadata(None)
    with pytest.raises(FeatureSetError, match="give description="):
        write_set(bare, tmp_path / "a")
    other = permafrost.describe(BASE, input_size=128)
    with pytest.raises(FeatureSetError, match="and the description given is of"):
        write_set(answers, tmp_path / "a", description=other)

    def overtaken():
        yield answers.slice(0, 30)
        (tmp_path / "raced/_set.json").unlink()
        write_set([], tmp_path / "raced", description=other)
        yield answers.slice(30)

    with pytest.raises(FeatureSetError, match="give another folder"):
        write_set(overtaken(), tmp_path / "raced")
    write_set([], tmp_path / "other", description=other)
    with pytest.raises(FeatureSetError, match="give another folder"):
        write_set(answers, tmp_path / "other")
    described = permafrost.Description.of(answers.schema.metadata)
    key = hashlib.sha256(b"x").digest()
    for values, said in [([1.0] * 511, "have 512 values, found 511"), ([float("nan")] * 512, "is not finite")]:
        with pytest.raises(FeatureSetError, match=said):
            write_set(pa.table({"sha256": [key], "features": [values]}), tmp_path / "b", description=described)
    row = pa.table({"sha256": [key], "features": pa.array([None], pa.list_(pa.float32()))})
    with pytest.raises(FeatureSetError, match="neither a vector nor an error"):
        write_set(row, tmp_path / "b", description=described)
    with pytest.raises(FeatureSetError, match="is not a feature set"):
        read_set(tmp_path / "nowhere")


def test_every_byte_of_a_part_that_changes_is_noticed_or_changes_nothing(answers, tmp_path):
    write_set(answers.slice(0, 3), tmp_path / "set")
    expected = vectors(read_set(tmp_path / "set"))
    (part,) = (tmp_path / "set").glob("part-*.arrow")
    whole = part.read_bytes()
    noticed = 0
    places = range(0, len(whole), 37)
    for at in places:
        part.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            assert vectors(read_set(tmp_path / "set")) == expected, at
        except FeatureSetError:
            noticed += 1
    # Every byte of a key or a value; others are padding, or stand in the file twice.
    assert noticed >= 3 * (32 + 4 * 512) // 37
    for length in range(0, len(whole), 397):
        part.write_bytes(whole[:length])
        with pytest.raises(FeatureSetError):
            read_set(tmp_path / "set")


def test_keys_are_read_without_vectors_and_vectors_are_verified_when_they_are_asked_for(answers, tmp_path):
    from permafrost.feature_set import FeatureSet, KnownVectors

    some = answers.slice(0, 30)
    write_set(some, tmp_path / "set")
    (part,) = (tmp_path / "set").glob("part-*.arrow")
    whole = part.read_bytes()
    keys = some["sha256"].to_pylist()

    def damaged(value):
        at = whole.index(value)
        part.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        return FeatureSet(tmp_path / "set")

    known = KnownVectors(damaged(np.array(some["features"][7].as_py(), "f4").tobytes()))
    assert (known.find([*keys, hashlib.sha256(b"other").digest()]) >= 0).tolist() == [True] * 30 + [False]
    with pytest.raises(FeatureSetError, match="checksum of its column features"):
        known.vectors(known.find(keys[:1]))
    with pytest.raises(FeatureSetError, match="checksum of its column sha256"):
        KnownVectors(damaged(keys[7]))
