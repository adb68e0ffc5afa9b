"""scikit-learn's side of lbfgs.ts: fits LogisticRegression(lbfgs) to the vectors of a file, a line for each answer.

For each line read, `tol`, one fit: its seconds, its iterations and the largest component of its gradient (of the mean loss).
"""
import sys
import time

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

folder, n, d, classes, l2 = sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5])
x = np.fromfile(f"{folder}/x.f32", np.float32).reshape(n, d).astype(np.float64)
y = np.fromfile(f"{folder}/y.i32", np.int32)
print(sklearn.__version__, flush=True)

for line in sys.stdin:
    model = LogisticRegression(C=1 / (2 * n * l2), tol=float(line), max_iter=10_000)
    start = time.perf_counter()
    model.fit(x, y)
    seconds = time.perf_counter() - start
    w, b = model.coef_, model.intercept_
    z = x @ w.T + b
    if classes == 2:
        off = 1 / (1 + np.exp(-z)) - y[:, None]
    else:
        off = np.exp(z - z.max(1, keepdims=True))
        off = off / off.sum(1, keepdims=True) - (y[:, None] == np.arange(classes))
    gradient = np.abs(off.T @ x / n + 2 * l2 * w).max()
    gradient = max(gradient, np.abs(off.mean(0)).max())
    print(seconds, int(model.n_iter_[0]), gradient, flush=True)
