"""scikit-learn's side of closed_forms.ts.

closed_forms.py draws FOLDER: x.f32, y.i32 and draws.json, lists of rows to train on; prints for each draw, as JSON, the accuracy on all other
rows and the seconds of logistic regression (lbfgs, ten penalties by five-fold cross-validation, by as many folds as images a class
where they are fewer).
closed_forms.py large FOLDER N: for each line read, `lda` or `ridge`, the seconds of one fit to x.f32, y.i32 and alphas.json.
"""
import json
import sys
import time
import warnings

import numpy as np
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegressionCV, RidgeCV

warnings.filterwarnings("ignore")
what, folder = sys.argv[1:3]
y = np.fromfile(f"{folder}/y.i32", np.int32)
x = np.fromfile(f"{folder}/x.f32", np.float32).reshape(len(y), -1)

if what == "draws":
    for rows in json.load(open(f"{folder}/draws.json")):
        rest = np.setdiff1d(np.arange(len(y)), rows)
        fewest = int(np.bincount(y[rows]).min())
        model = LogisticRegressionCV(Cs=10, cv=min(5, fewest), scoring="neg_log_loss", max_iter=1000)
        start = time.perf_counter()
        model.fit(x[rows].astype(np.float64), y[rows])
        seconds = time.perf_counter() - start
        print(json.dumps(dict(accuracy=float((model.predict(x[rest]) == y[rest]).mean()), seconds=seconds)), flush=True)
else:
    alphas = json.load(open(f"{folder}/alphas.json"))
    print(sklearn.__version__, flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        if line.strip() == "lda":
            LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, y)
        else:
            RidgeCV(alphas).fit(x, 2.0 * y - 1)
        print(time.perf_counter() - start, flush=True)
