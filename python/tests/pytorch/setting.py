"""What record.py and the test share: network, data, start and names. No PyTorch here."""

import numpy as np

WIDTHS = (3, 6, 5, 2)
ROWS, BATCH, EPOCHS = 20, 10, 100  # 200 steps
TOLD = slice(9, None, 10)  # the epochs whose mean loss is kept
# Small steps, and an epsilon that is no smaller than a gradient of rounding noise: the two runs' last bits must not grow to
# digits by themselves.
EPSILON = 1e-3
RATES = {
    "momentum:0.9": 0.004,
    "nesterov:0.9": 0.004,
    f"adam:0.9:0.999:{EPSILON}": 0.002,
    f"adamw:0.9:0.999:{EPSILON}": 0.002,
    f"rmsprop:0.99:{EPSILON}": 0.001,
}


def rate(optimizer, norm):
    """The learning rate of a run. A layer norm divides by a row's own spread, so that under the rates above three optimizers
    grow a difference in the start's last bit to 1e-12 and, RMSprop, to 1e-3, on any program's arithmetic; under a quarter none
    grows it beyond 2e-13."""
    return RATES[optimizer] / (1 if norm != "layer_norm" or optimizer.startswith("adam") else 4)


DECAY = 0.05  # of adamw, on weights only
NORMS = ("dense", "batch_norm", "layer_norm")
ACTIVATIONS = (
    "identity",
    "relu",
    "leaky_relu:0.1",
    "elu:1.5",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "tanh",
    "logistic",
)
LOSSES = ("squared_error", "absolute_error", "huber:0.7", "binary_cross_entropy", "cross_entropy", "poisson")


def data(loss):
    """Inputs and targets: the same numbers for PyTorch and for us."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(ROWS, WIDTHS[0]))
    Y = X @ rng.normal(size=(WIDTHS[0], WIDTHS[-1])) + 0.3 * rng.normal(size=(ROWS, WIDTHS[-1]))
    if loss == "binary_cross_entropy":
        return X, (Y > 0).astype(float)
    if loss == "cross_entropy":
        return X, Y.argmax(axis=1).astype(float).reshape(-1, 1)
    if loss == "poisson":
        return X, np.floor(np.abs(Y))
    return X, Y


def start(norm):
    """(name, array) of every parameter in the order of the layers: weights [n_in, n_out], biases, scale, shift."""
    rng = np.random.default_rng(12)
    parameters = []
    for l, (n_in, n_out) in enumerate(zip(WIDTHS, WIDTHS[1:]), 1):
        parameters.append((f"W{l}", rng.normal(size=(n_in, n_out)) / np.sqrt(n_in)))
        parameters.append((f"b{l}", rng.normal(size=n_out) * 0.1))
        if norm != "dense" and l < len(WIDTHS) - 1:
            parameters.append((f"scale{l}", 1 + 0.1 * rng.normal(size=n_out)))
            parameters.append((f"shift{l}", 0.1 * rng.normal(size=n_out)))
    return parameters
