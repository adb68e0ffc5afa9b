import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import permafrost

ROOT = Path(__file__).parents[2]
CLI = ROOT / "dist" / "pipeline" / "cli.js"
SHARED = ROOT.parent / "shared" / "real" / "hymenoptera"
BASE = "xception-mini"

os.environ.setdefault("PERMAFROST", str(CLI))
os.environ["PYSPARK_PYTHON"] = sys.executable


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("long") and not os.environ.get("PERMAFROST_LONG"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: set PERMAFROST_LONG=1"))


def permafrost_command(*args):
    done = subprocess.run(["node", str(CLI), *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def permafrost_refuses(*args):
    done = subprocess.run(["node", str(CLI), *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    return done.stderr


@pytest.fixture(scope="session")
def images():
    """Sixty pictures of ants and bees."""
    files = sorted(SHARED.rglob("*.jpg"))[::6][:60]
    if not files:
        if os.environ.get("CI"):
            pytest.fail(f"{SHARED} is absent")
        pytest.skip(f"{SHARED} is absent")
    return files


@pytest.fixture(scope="session")
def one_process(images, tmp_path_factory):
    """The set that the command line makes of them, and its vectors: SHA-256 to bytes."""
    work = tmp_path_factory.mktemp("one")
    data = work / "data"
    data.mkdir()
    for file in images:
        shutil.copy(file, data)
    permafrost_command("features", "--data", data, "--base", BASE, "--cache", work / "cache", "--quiet")
    (folder,) = (work / "cache").glob(f"{BASE}-*")
    return folder, vectors(permafrost.read_set(folder))


def vectors(table):
    """SHA-256 to the bytes of its vector, of rows that have one."""
    rows = zip(table["sha256"].to_pylist(), table["features"].to_pylist(), strict=True)
    return {bytes(key): np.array(vector, "f4").tobytes() for key, vector in rows if vector is not None}


@pytest.fixture
def killed_once(tmp_path):
    """A command whose n-th process is killed in the middle."""

    def command(which, whom):
        script = Path(__file__).parent / "killed_once.py"
        return [sys.executable, str(script), str(tmp_path / "runs"), str(which), whom, "node", str(CLI)]

    return command
