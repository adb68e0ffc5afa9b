"""Two workers of one thread inside Spark and inside Ray, over two processes of `permafrost worker` that nothing stands before.

    npm run build && build/cluster/bin/python bench/cluster.py [BASE] [SECONDS]

All compute the same JPEGs of about 500x375 with made weights; each worker is pinned to a core of its own, on every side. The bare
processes read all they compute from a file and are read by a thread each. Spark reads the folder as `binaryFile` and Ray as
`read_binary_files`, with their own defaults. Counted is what is answered from the moment at which every worker has answered once, to
the last answer: the starts of Spark, of Ray and of the base are not. Bare processes run before and after each, and a ratio is to the
mean of both: machines drift. Takes some six minutes. Needs python/requirements.txt, Linux and two cores.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 2
PHOTOS = 256
BARE_ROWS = 16
RAY_ROWS = 32


def pinned(slots: str, command: list[str]) -> None:
    """Become a command on the first core that no other one has; it has it until it ends."""
    cores = sorted(os.sched_getaffinity(0))[:WORKERS]
    for core in cores:
        slot = os.open(f"{slots}/{core}", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(slot)
            continue
        os.set_inheritable(slot, True)
        os.sched_setaffinity(0, {core})
        os.execvp(command[0], command)
    sys.exit(f"all of the cores {cores} have a worker already")


if len(sys.argv) > 3 and sys.argv[1] == "--pinned":
    pinned(sys.argv[2], sys.argv[3:])

sys.path.insert(0, str(ROOT / "python/src"))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "python/src"), os.environ.get("PYTHONPATH")]))
os.environ["PYSPARK_PYTHON"] = sys.executable

import pyarrow as pa  # noqa: E402

import permafrost  # noqa: E402
from permafrost._command import flags  # noqa: E402

Stamps = list[tuple[str, float, int]]


def stamp(batch: pa.RecordBatch | pa.Table) -> dict[str, list]:
    """Who has answered how many images, and when; an image that was not computed is no answer."""
    if batch.column("error").null_count < batch.num_rows:
        raise RuntimeError("an image could not be used")
    return {"who": [str(os.getpid())], "when": [time.time()], "rows": [batch.num_rows]}


def bare(files: list[Path], work: Path, argv: list[str]) -> Stamps:
    stamps: Stamps = []

    def read(number: int) -> None:
        mine = files[number::WORKERS]
        source = work / f"{number}.arrow"
        schema = pa.schema([("bytes", pa.binary())])
        with pa.OSFile(str(source), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
            for from_ in range(0, len(mine), BARE_ROWS):
                some = mine[from_ : from_ + BARE_ROWS]
                stream.write_batch(pa.record_batch([pa.array([file.read_bytes() for file in some])], schema=schema))
        with source.open("rb") as given, subprocess.Popen(argv, stdin=given, stdout=subprocess.PIPE) as process:
            for batch in pa.ipc.open_stream(process.stdout):
                done = stamp(batch)
                stamps.append((str(number), done["when"][0], done["rows"][0]))
        if process.returncode != 0:
            raise RuntimeError(f"the worker ended with {process.returncode}")

    threads = [threading.Thread(target=read, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return stamps


def in_spark(folder: Path, base: str, settings: dict) -> Stamps:
    from pyspark.sql import SparkSession

    import permafrost.spark

    builder = SparkSession.builder.master(f"local[{WORKERS}]").config("spark.ui.enabled", "false")
    session = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    images = session.read.format("binaryFile").load(str(folder)).select("path", "content")
    vectors = permafrost.spark.features(images, base, **settings)

    def stamped(batches):
        for batch in batches:
            yield pa.RecordBatch.from_pydict(stamp(batch))

    rows = vectors.mapInArrow(stamped, "who string, when double, rows long").collect()
    session.stop()
    return [tuple(row) for row in rows]


def in_ray(folder: Path, base: str, settings: dict) -> Stamps:
    import ray

    import permafrost.ray

    class Stamped(permafrost.ray.Features):
        def __call__(self, batch: pa.Table) -> pa.Table:
            return pa.table(stamp(super().__call__(batch)))

    # A core more than workers, for reading: it waits for them to end otherwise.
    ray.init(num_cpus=WORKERS + 1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    vectors = ray.data.read_binary_files(str(folder), include_paths=True).map_batches(
        Stamped,
        fn_constructor_kwargs={"base": base, **settings},
        batch_format="pyarrow",
        batch_size=RAY_ROWS,
        compute=ray.data.ActorPoolStrategy(size=WORKERS),
    )
    rows = vectors.take_all()
    ray.shutdown()
    return [(row["who"], row["when"], row["rows"]) for row in rows]


def rate(stamps: Stamps, expected: int) -> tuple[float, int, float]:
    """Images a second, images and seconds, from when all workers have answered once."""
    if sum(rows for _, _, rows in stamps) != expected:
        raise RuntimeError(f"{sum(rows for _, _, rows in stamps)} of {expected} images were answered")
    first: dict[str, float] = {}
    for who, when, _ in stamps:
        first[who] = min(when, first.get(who, when))
    from_ = max(first.values())
    images = sum(rows for _, when, rows in stamps if when > from_)
    seconds = max(when for _, when, _ in stamps) - from_
    return images / seconds, images, seconds


def shown(side: str, stamps: Stamps, expected: int) -> float:
    found, images, seconds = rate(stamps, expected)
    print(f"{side:16} {images:6} images in {seconds:6.1f} s  {found:7.2f} images/s", flush=True)
    return found


def main() -> None:
    base = sys.argv[1] if len(sys.argv) > 1 else "xception"
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 62
    work = Path(tempfile.mkdtemp(prefix="permafrost-bench-"))
    try:
        script = f"import('{ROOT}/dist/bench/photos.js').then((m) => m.drawPhotos({PHOTOS}, '{work}'))"
        subprocess.run(["node", "-e", script], check=True)
        photos = sorted((work / "photos").glob("*.jpg"))
        (work / "slots").mkdir()
        cli = ["node", str(ROOT / "dist/pipeline/cli.js")]
        command = [sys.executable, __file__, "--pinned", str(work / "slots"), *cli]
        settings = {"threads": 1, "cache": str(work / "cache"), "command": command}
        if base != "xception-mini":
            settings["weights"] = "random:1"
        # The base is opened and proved once, and kept.
        permafrost.describe(base, **settings)
        options = {name: value for name, value in settings.items() if name != "command"}
        argv = [*command, "worker", *flags({"base": base, "quiet": True, **options})]

        guess, _, _ = rate(bare(photos[:64], work, argv), 64)
        # Whole rounds of tasks, so that no worker waits long at the end for the other.
        images = -(-int(guess * seconds * 1.06) // 64) * 64
        folder = work / "images"
        folder.mkdir()
        files = [folder / f"{i:05}.jpg" for i in range(images)]
        for i, file in enumerate(files):
            os.link(photos[i % PHOTOS], file)
        engines = {"in Spark": in_spark, "in Ray": in_ray}
        around = [shown("bare processes", bare(files, work, argv), images)]
        over = {}
        for side, run in engines.items():
            inside = shown(side, run(folder, base, settings), images)
            around.append(shown("bare processes", bare(files, work, argv), images))
            over[side] = 2 * inside / (around[-2] + around[-1])
        for side, ratio in over.items():
            print(f"{side} over bare processes: {ratio:.3f}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
