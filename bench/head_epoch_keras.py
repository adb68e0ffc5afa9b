"""Keras's side of head_epoch.ts: one epoch of fit for each line read, its seconds written as a line."""
import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np

n, d, batch = map(int, sys.argv[1:4])
rng = np.random.default_rng(0)
x = rng.random((n, d), dtype=np.float32)
y = (rng.random(n) < 0.5).astype(np.float32)
model = keras.Sequential([keras.Input((d,)), keras.layers.Dense(1, activation="sigmoid")])
model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
print(keras.__version__, flush=True)

for _ in sys.stdin:
    start = time.perf_counter()
    model.fit(x, y, batch_size=batch, epochs=1, shuffle=True, verbose=0)
    print(time.perf_counter() - start, flush=True)
