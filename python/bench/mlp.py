"""Training beside scikit-learn's MLP: same data, same settings, seconds a run; the least of some runs of each, in turn.

``python python/bench/mlp.py`` in an environment that has both (`./test python` leaves one in target/python/venv; its wheel is
cargo's profile `dev`: PROFILE=release for figures).
"""

import platform
import sys
import time
import warnings

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

import chainrule

warnings.simplefilter("ignore")
SETTINGS = {
    "10k x 20, (64, 64), batch 32": (10_000, 20, 2, {"hidden_layer_sizes": (64, 64), "batch_size": 32, "max_iter": 3}),
    "784-256-128-10, batch 128": (10_000, 784, 10, {"hidden_layer_sizes": (256, 128), "batch_size": 128, "max_iter": 2}),
}


def seconds(cls, X, y, options):
    start = time.perf_counter()
    cls(random_state=0, tol=0.0, n_iter_no_change=np.inf, **options).fit(X, y)
    return time.perf_counter() - start


def main(runs=5):
    print(f"chainrule {chainrule.__version__}, scikit-learn {sklearn.__version__}, NumPy {np.__version__}, {platform.machine()}")
    for name, (rows, columns, classes, options) in SETTINGS.items():
        rng = np.random.default_rng(0)
        wide = rng.normal(size=(rows, columns))
        y = (wide @ rng.normal(size=(columns, classes))).argmax(axis=1)
        for dtype in (np.float64, np.float32):
            X = wide.astype(dtype)
            times = [(seconds(MLPClassifier, X, y, options), seconds(chainrule.MLPClassifier, X, y, options)) for _ in range(runs)]
            theirs, ours = np.min(times, axis=0)
            print(f"{name}, {np.dtype(dtype).name}: scikit-learn {theirs:.3f} s, ours {ours:.3f} s, {theirs / ours:.1f} times as fast")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
