"""Sets in an object store: moto's, on this machine."""

import json
import multiprocessing

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pytest
from conftest import BASE, permafrost_command, permafrost_refuses, vectors

import permafrost

moto_server = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")

ROWS = 3000
WRITERS = 4
KEYS = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}


@pytest.fixture(scope="module")
def address():
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(address, tmp_path):
    name = "".join(letter if letter.isalnum() else "-" for letter in tmp_path.name.lower())
    found = boto3.resource("s3", endpoint_url=f"http://{address}", **KEYS).Bucket(name)
    found.create()
    return found


def filesystem(address):
    return pyarrow.fs.S3FileSystem(
        access_key="any", secret_key="any", region="us-east-1", endpoint_override=address, scheme="http"
    )


@pytest.fixture(scope="module")
def description():
    return permafrost.describe(BASE)


def made(description, rows=ROWS, seed=0):
    """Made vectors of made contents, and every hundredth one that could not be used."""
    random = np.random.default_rng(seed)
    keys = [random.bytes(32) for _ in range(rows)]
    values = pa.array(random.standard_normal(rows * description.dim, np.float32))
    failed = np.arange(rows) % 100 == 99
    columns = [
        pa.array([f"{i}.jpg" for i in range(rows)]),
        pa.array(keys, pa.binary(32)),
        pa.FixedSizeListArray.from_arrays(values, description.dim, mask=pa.array(failed)),
        pa.array(["it is no image" if bad else None for bad in failed]),
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema([("path", pa.string()), *description.fields], description.metadata))


def share(table, number):
    """What a writer has: two thirds of all, in its own order; the first half of it is that of its neighbour too."""
    size = len(table) // 3
    rows = np.concatenate([np.arange(size) + size * (number // 2), np.arange(size) + size * 2])
    return table.take(pa.array(np.random.default_rng(number).permutation(rows)))


def write(address, folder, description, number, ready, answers):
    mine = share(made(description), number)
    store = filesystem(address)
    ready.wait(60)
    done = permafrost.write_set(mine.to_batches(max_chunksize=100), folder, filesystem=store)
    answers.put((done.rows, done.held, done.failed, list(done.parts)))


def copied_down(bucket, prefix, folder):
    folder.mkdir(parents=True)
    for one in bucket.objects.filter(Prefix=prefix):
        bucket.download_file(one.key, str(folder / one.key.rsplit("/", 1)[1]))
    return folder


def test_four_processes_write_overlapping_shares_into_one_prefix_at_once(address, bucket, description, tmp_path):
    name = f"{BASE}-{description.fingerprint[:12]}"
    folder = f"{bucket.name}/cache/{name}"
    spawn = multiprocessing.get_context("spawn")
    ready, answers = spawn.Barrier(WRITERS), spawn.Queue()
    writers = [spawn.Process(target=write, args=(address, folder, description, i, ready, answers)) for i in range(WRITERS)]
    for writer in writers:
        writer.start()
    done = [answers.get(timeout=90) for _ in writers]
    for writer in writers:
        writer.join(30)
        assert writer.exitcode == 0
    whole = made(description)
    expected = vectors(whole)
    assert [rows + held + failed for rows, held, failed, _ in done] == [2000] * WRITERS
    store = filesystem(address)
    assert vectors(permafrost.read_set(folder, filesystem=store)) == expected

    features = permafrost.FeatureSet(folder, filesystem=store)
    named = {part for *_, parts in done for part in parts}
    assert set(features.parts()) == named
    keys = {part: features.read_part(part)["sha256"].to_pylist() for part in named}
    assert all(held == sorted(set(held)) for held in keys.values()), "a part holds a content once"
    found = {one.key.rsplit("/", 1)[1] for one in bucket.objects.all()}
    assert all(one == "_set.json" or one.startswith(("part-", "_quarantine-")) for one in found)

    again = permafrost.write_set(whole, folder, filesystem=store)
    assert (again.rows, again.held, list(again.parts)) == (0, len(expected), []), "what it holds is not written again"
    here = copied_down(bucket, f"cache/{name}/", tmp_path / "cache" / name)
    (verified,) = json.loads(permafrost_command("cache", "verify", "--cache", tmp_path / "cache", "--json", "--quiet"))
    assert (verified["parts"], verified["damaged"], verified["rows"]) == (len(named), [], sum(map(len, keys.values())))
    assert vectors(permafrost.read_set(here)) == expected
    permafrost_command("cache", "compact", "--cache", tmp_path / "cache", "--quiet")
    permafrost_command("cache", "verify", "--cache", tmp_path / "cache", "--quiet")
    compacted = permafrost.read_set(here)
    assert len(compacted) == len(expected)
    assert vectors(compacted) == expected


def test_the_same_share_from_two_writers_is_the_same_objects(address, bucket, description):
    table = made(description, 400)
    store = filesystem(address)
    for seed in range(2):
        mine = table.take(pa.array(np.random.default_rng(seed).permutation(400)))
        permafrost.write_set(mine, f"{bucket.name}/set", filesystem=store, skip_held=False)
    names = [one.key for one in bucket.objects.all() if "part-" in one.key]
    assert len(names) == 1


@pytest.mark.parametrize("order", ["description first", "description last", "anyhow"])
def test_a_copy_is_a_valid_set_after_every_file(address, bucket, description, tmp_path, order):
    source = tmp_path / "source"
    table = made(description, 300)
    for from_ in range(0, 300, 100):
        permafrost.write_set(table.slice(from_, 100), source)
    files = sorted(file.name for file in source.iterdir())
    assert len(files) == 3 + 3 + 1
    expected = vectors(table)
    np.random.default_rng(len(order)).shuffle(files)
    if order != "anyhow":
        files.sort(key=lambda file: (file == "_set.json") is (order == "description last"))
    name = f"{BASE}-{description.fingerprint[:12]}"
    rows = 0
    for i, file in enumerate(files):
        bucket.put_object(Key=f"cache/{name}/{file}", Body=(source / file).read_bytes())
        cache = tmp_path / f"after-{i}"
        here = copied_down(bucket, f"cache/{name}/", cache / name)
        if "_set.json" not in files[: i + 1]:
            with pytest.raises(permafrost.FeatureSetError, match=r"is not a feature set: it has no _set\.json"):
                permafrost.read_set(here)
            assert json.loads(permafrost_command("cache", "verify", "--cache", cache, "--json", "--quiet")) == []
            if i == 0:
                said = permafrost_refuses("cache", "verify", name, "--cache", cache)
                assert "has files of a feature set but no _set.json" in said
            continue
        part_of_it = vectors(permafrost.read_set(here))
        assert part_of_it.items() <= expected.items()
        rows = len(part_of_it)
        assert rows == 99 * sum(one.startswith("part-") for one in files[: i + 1])
        (verified,) = json.loads(permafrost_command("cache", "verify", "--cache", cache, "--json", "--quiet"))
        assert (verified["rows"], verified["damaged"]) == (rows, [])
    assert rows == len(expected)
