"""Training beside a PyTorch loop: RealMLP's network (3 x 256, batch 256, dropout 0.15, Adam), a thread each, in turn.

``python python/bench/pytorch.py [PAIRS]`` in an environment with chainrule and torch. Both get the same rows in float32 and
train the same epochs; a pair is one run of each, the order changing; told is the median of the pairs' ratios. The loop is the
plain one: rows by index from a tensor in memory, no loader. Of RealMLP (Holzmüller et al. 2024) its network and its steps are
here; its numeric embedding, parametric activation and schedules are not, as neither side has them ready-made.
"""

import os
import platform
import statistics
import sys
import time
import warnings

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit("this needs an environment with torch beside chainrule")

import chainrule

torch.set_num_threads(1)
warnings.simplefilter("ignore")
ROWS, COLUMNS, EPOCHS, BATCH, WIDTHS, DROPOUT = 10_240, 64, 4, 256, (256, 256, 256), 0.15
COMMON = {
    "hidden_layer_sizes": WIDTHS,
    "dropout": DROPOUT,
    "batch_size": BATCH,
    "learning_rate_init": 0.001,
    "beta_2": 0.95,
    "alpha": 0.0,
    "max_iter": EPOCHS,
    "tol": 0.0,
    "n_iter_no_change": np.inf,
    "random_state": 0,
    "n_jobs": 1,
}


def ours(X, y, classes):
    if classes:
        model = chainrule.MLPClassifier(activation="selu", loss="cross_entropy:0.1", **COMMON)
    else:
        model = chainrule.MLPRegressor(activation="mish", **COMMON)
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start, model.loss_


def theirs(X, y, classes):
    start = time.perf_counter()
    torch.manual_seed(0)
    layers, inputs = [], X.shape[1]
    for width in WIDTHS:
        layers += [nn.Linear(inputs, width), nn.SELU() if classes else nn.Mish(), nn.Dropout(DROPOUT)]
        inputs = width
    network = nn.Sequential(*layers, nn.Linear(inputs, classes or 1))
    for layer in network[::3]:
        nn.init.xavier_uniform_(layer.weight)  # as ours
    cost = nn.CrossEntropyLoss(label_smoothing=0.1) if classes else lambda z, y: 0.5 * ((z - y) ** 2).sum(1).mean()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001, betas=(0.9, 0.95))
    x, y = torch.from_numpy(X), torch.from_numpy(y if classes else y[:, None])
    for _ in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss = cost(network(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
    return time.perf_counter() - start, total / len(x)


def main(pairs=7):
    n = 512
    a, b = torch.randn(n, n), torch.randn(n, n)
    speed = max(2 * n**3 / seconds(lambda: a @ b) / 1e9 for _ in range(20))
    print(f"chainrule {chainrule.__version__}, torch {torch.__version__} (its products: {speed:.0f} GFLOP/s), {platform.machine()}")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    for name, classes in (("3 classes, SELU, label smoothing 0.1", 3), ("regression, Mish", 0)):
        y = np.tanh(X @ rng.normal(size=(COLUMNS, classes or 1)).astype(np.float32) / 4)
        y = y.argmax(axis=1) if classes else y[:, 0]
        ratios, best, losses = [], [np.inf, np.inf], [0.0, 0.0]
        for pair in range(pairs):
            took = [0.0, 0.0]
            for side in (0, 1) if pair % 2 else (1, 0):
                took[side], losses[side] = (ours, theirs)[side](X, y, classes)
            best = np.minimum(best, took)
            ratios.append(took[1] / took[0])
        print(
            f"{name}: ours {best[0]:.3f} s (loss {losses[0]:.3f}), PyTorch {best[1]:.3f} s (loss {losses[1]:.3f}); "
            f"{statistics.median(ratios):.2f} times as fast (pairs {min(ratios):.2f} to {max(ratios):.2f})"
        )


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
