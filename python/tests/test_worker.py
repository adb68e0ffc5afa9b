import os
import signal
import subprocess
import sys

import pyarrow as pa
import pytest
from conftest import BASE, vectors

import permafrost
from permafrost import Worker


@pytest.fixture(scope="module")
def worker():
    with Worker(BASE) as running:
        yield running


def test_vectors_are_those_of_features_to_the_bit(worker, images, one_process):
    _, expected = one_process
    from_bytes = worker.features([file.read_bytes() for file in images])
    assert vectors(from_bytes) == expected
    assert from_bytes["error"].null_count == len(images)
    assert worker.features(images).equals(from_bytes)
    assert worker.features(pa.chunked_array([[images[0].read_bytes()], []], pa.binary_view())).num_rows == 1


def test_what_is_no_image_is_a_row_with_an_error(worker, images):
    answers = worker.features([b"", images[0].read_bytes(), b"no image", None])
    assert answers["error"].to_pylist()[:3] == ["it is empty", None, "it is no image"]
    assert answers["features"].is_null().to_pylist() == [True, False, True, True]
    assert answers["sha256"].is_null().to_pylist() == [True, False, False, True]
    missing = worker.features(["/no/such/file.jpg"])
    assert missing["sha256"][0].as_py() is None
    assert "there is no such file" in missing["error"][0].as_py()


def test_other_columns_go_along_in_order_and_pieces_are_bounded(worker, images):
    numbers = list(range(700))
    table = pa.table({"n": numbers, "content": [images[n % 20].read_bytes()[: None if n % 7 else 9] for n in numbers]})
    batches = list(worker.map(table.to_reader(max_chunksize=650)))
    assert max(batch.num_rows for batch in batches) <= 256
    whole = pa.Table.from_batches(batches)
    assert whole.column_names == ["n", "sha256", "features", "error"]
    assert whole["n"].to_pylist() == numbers
    assert [error is None for error in whole["error"].to_pylist()] == [n % 7 > 0 for n in numbers]
    assert permafrost.Description.of(whole.schema.metadata) == worker.description


def test_no_images_give_no_rows(worker):
    assert worker.features([]).schema.names == ["sha256", "features", "error"]
    assert list(worker.map(pa.table({"bytes": pa.array([], pa.binary())}))) == []


def test_a_killed_process_is_started_anew_and_nothing_is_lost(images, one_process):
    _, expected = one_process
    table = pa.table({"path": [str(file) for file in images * 9], "n": range(540)})
    with Worker(BASE) as worker:
        done = []
        for i, batch in enumerate(worker.map(table)):
            if i == 0:
                os.kill(worker._process.pid, signal.SIGKILL)
            done.append(batch)
    whole = pa.Table.from_batches(done)
    assert whole["n"].to_pylist() == list(range(540))
    assert vectors(whole) == expected


def test_images_that_kill_a_worker_twice_end_it_with_a_sentence():
    code = "import os,sys; sys.stdin.buffer.read(10); os.kill(os.getpid(), 9)"
    with pytest.raises(permafrost.WorkerError, match="signal 9"):
        Worker(BASE, command=[sys.executable, "-c", code]).features([b"x"])


def test_a_consumer_that_stops_early_leaves_no_process(images):
    worker = Worker(BASE)
    for _ in worker.map(pa.table({"path": [str(file) for file in images * 20]})):
        pid = worker._process.pid
        break
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert worker.features(images[:1]).num_rows == 1, "and can be used again"
    worker.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [({"base": "no-such-base"}, "there is no base"), ({"base": BASE, "input_size": "wide"}, "--input-size must be")],
)
def test_a_worker_that_cannot_begin_says_what_the_command_says(options, said):
    with pytest.raises(permafrost.WorkerError, match=said):
        Worker(**options).features([b"x"])


def test_wrong_columns_are_refused(worker):
    with pytest.raises(ValueError, match="there is no column bytes"):
        list(worker.map(pa.table({"a": [1]})))
    with pytest.raises(TypeError, match="must be binary"):
        list(worker.map(pa.table({"a": [1]}), "a"))
    with pytest.raises(ValueError, match="a column error already"):
        list(worker.map(pa.table({"bytes": [b"x"], "error": [""]})))


def test_the_command_is_found_or_how_to_install_it_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("PERMAFROST")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(permafrost.NotInstalledError, match="npm install permafrost"):
        permafrost.find_command()
    script = tmp_path / "node_modules/permafrost/dist/pipeline/cli.js"
    script.parent.mkdir(parents=True)
    script.touch()
    (tmp_path / "deep/er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep/er")
    with pytest.raises(permafrost.NotInstalledError, match="install Node 20"):
        permafrost.find_command()
    node = tmp_path / "node"
    node.touch(mode=0o755)
    assert permafrost.find_command() == [str(node), str(script)]
    with pytest.raises(permafrost.NotInstalledError, match="is not there"):
        permafrost.find_command("/no/cli.js")


def test_describing_needs_no_image():
    described = permafrost.describe(BASE, store="float16")
    assert (described.dim, described.value_type) == (512, pa.float16())
    assert described.set["type"] == "float16"


def test_nothing_is_left_running():
    code = f"import permafrost\nw = permafrost.Worker('{BASE}')\nprint(w.features([b'x'])['error'][0], w._process.pid)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout.split()[-1]), 0)
