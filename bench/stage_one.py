"""Keras's Xception at 200x200 without top, average pooled, over a folder of JPEGs with predict: images a second.

    python stage_one.py FOLDER [COUNT]

Files are decoded and resized ahead by tf.data (parallel, prefetched), the best that Keras's own documentation shows; the first
batches, which build the graph, are not counted.
"""
import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import tensorflow as tf

folder, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 256
files = sorted(os.path.join(folder, name) for name in os.listdir(folder))[:count]


def load(path):
    image = tf.image.decode_jpeg(tf.io.read_file(path), channels=3)
    return tf.image.resize(image, (200, 200), antialias=True) / 127.5 - 1


def dataset(paths):
    return tf.data.Dataset.from_tensor_slices(paths).map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(2)


model = keras.applications.Xception(weights=None, include_top=False, input_shape=(200, 200, 3), pooling="avg")
model.predict(dataset(files[:64]), verbose=0)
start = time.perf_counter()
model.predict(dataset(files), verbose=0)
print("images_per_second", len(files) / (time.perf_counter() - start))
