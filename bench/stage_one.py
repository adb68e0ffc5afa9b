"""Peers of stage_one.ts: each as its own documentation recommends for many images on a CPU.

    python stage_one.py PEER BASE SIZE FOLDER GRAPH

PEER is keras, torch-eager, torch-compiled, torch-bfloat16, openvino-float32, openvino-bfloat16 or openvino-int8; GRAPH an ONNX file of the
base with raw pixels in, which OpenVINO runs. Writes its version when it is ready, then for each line read (files or arrays) the images a
second of that: `files` decodes, resizes and runs all JPEGs of the folder, `arrays` runs pixels that are ready (Keras only).
"""
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

peer, base, size, folder, graph = sys.argv[1:6]
# Libraries print to stdout as they work: that goes to stderr.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
size = int(size)
files = sorted(Path(folder).rglob("*.jpg"))
BATCH = 32


def keras_peer():
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np
    import tensorflow as tf

    applications, options = keras.applications, dict(weights=None, include_top=False, input_shape=(size, size, 3), pooling="avg")
    if base == "xception":
        model, scale = applications.Xception(**options), applications.xception.preprocess_input
    elif base == "mobilenet":
        model, scale = applications.MobileNet(alpha=0.25, **options), applications.mobilenet.preprocess_input
    elif base == "efficientnet-b0":
        model, scale = applications.EfficientNetB0(**options), applications.efficientnet.preprocess_input
    else:
        cut = keras.saving.load_model(Path(__file__).parent.parent / "base/xception_mini.keras")
        model = cut if len(cut.output_shape) == 2 else keras.Sequential([cut, keras.layers.GlobalAveragePooling2D()])
        scale = applications.xception.preprocess_input
    images = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=(size, size), batch_size=BATCH, shuffle=False, verbose=False
    )
    images = images.map(scale, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    ready = np.random.default_rng(0).uniform(-1, 1, (min(len(files), 256), size, size, 3)).astype("float32")

    def run(what):
        if what == "arrays":
            model.predict(ready, batch_size=BATCH, verbose=0)
            return len(ready)
        model.predict(images, verbose=0)
        return len(files)

    model.predict(ready[:BATCH], batch_size=BATCH, verbose=0)
    return f"Keras {keras.__version__}, TensorFlow {tf.__version__}", run


def torch_peer(kind):
    import timm
    import torch
    import torchvision
    from torchvision.transforms import v2

    if base == "xception":
        model = timm.create_model("legacy_xception", num_classes=0)
    elif base == "efficientnet-b0":
        model = timm.create_model("efficientnet_b0", num_classes=0)
    elif base == "mobilenet":
        from timm.models.efficientnet import _gen_mobilenet_v1

        model = _gen_mobilenet_v1("mobilenetv1_100", 0.25, num_classes=0)
    else:
        sys.exit(f"there is no PyTorch model of {base}")
    model = model.eval().to(memory_format=torch.channels_last)
    if kind == "compiled":
        model = torch.compile(model)
    transform = v2.Compose(
        [
            v2.Resize((size, size), antialias=True),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )

    class Files(torch.utils.data.Dataset):
        def __len__(self):
            return len(files)

        def __getitem__(self, i):
            return transform(torchvision.io.decode_image(str(files[i]), mode="RGB"))

    loader = torch.utils.data.DataLoader(Files(), batch_size=BATCH, num_workers=os.cpu_count(), persistent_workers=True)

    def run(what):
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "bfloat16"):
            for images in loader:
                model(images.to(memory_format=torch.channels_last))
        return len(files)

    return f"PyTorch {torch.__version__}, timm {timm.__version__}", run


def openvino_peer(kind):
    import numpy as np
    import openvino
    from PIL import Image

    core = openvino.Core()
    model = core.read_model(graph)

    def load(path):
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))[None]

    version = f"OpenVINO {openvino.__version__.split('-')[0]}"
    if kind == "int8":
        import nncf

        nncf.set_log_level("ERROR")
        model = nncf.quantize(model, nncf.Dataset(files[:300], load))
        version += f", NNCF {nncf.__version__}"
    hints = {"PERFORMANCE_HINT": "THROUGHPUT"}
    if kind != "int8":
        hints["INFERENCE_PRECISION_HINT"] = {"float32": "f32", "bfloat16": "bf16"}[kind]
    compiled = core.compile_model(model, "CPU", hints)
    queue = openvino.AsyncInferQueue(compiled)
    vectors = [None] * len(files)

    def keep(request, i):
        vectors[i] = request.get_output_tensor(0).data.copy()

    queue.set_callback(keep)

    def run(what):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for i, pixels in enumerate(pool.map(load, files)):
                queue.start_async({0: pixels}, i)
        queue.wait_all()
        return len(files)

    return version, run


name, _, kind = peer.partition("-")
version, run = keras_peer() if name == "keras" else torch_peer(kind) if name == "torch" else openvino_peer(kind)
run("files")
print(version, file=answers, flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    count = run(line.strip())
    print(count / (time.perf_counter() - start), file=answers, flush=True)
