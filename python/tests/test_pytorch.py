"""The same 200 steps as PyTorch's, in float64: its traces were recorded by pytorch/record.py.

``CHAINRULE_LIVE_PYTORCH=1`` records them anew in this environment (which must then have PyTorch) and compares with those.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule import _native

HOME = Path(__file__).parent / "pytorch"
sys.path.insert(0, str(HOME))
from setting import ACTIVATIONS, BATCH, DECAY, EPOCHS, LOSSES, NORMS, RATES, TOLD, WIDTHS, data, rate, start  # noqa: E402


@pytest.fixture(scope="module")
def traces():
    if os.environ.get("CHAINRULE_LIVE_PYTORCH"):
        subprocess.run([sys.executable, "record.py"], cwd=HOME, check=True)
    with np.load(HOME / "traces.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def ours(optimizer, norm, activation, loss):
    layers = []
    for width in WIDTHS[1:-1]:
        layers += [f"dense:{width}", *([norm] if norm != "dense" else []), activation]
    layers.append(f"dense:{WIDTHS[-1]}")
    named = start(norm)
    flat = np.concatenate([array.ravel() for _, array in named])
    running = _native.initial(layers, WIDTHS[0], "zeros", 0)[1]
    given = {
        "loss": loss,
        "optimizer": optimizer,
        "learning_rate": rate(optimizer, norm),
        "weight_decay": DECAY if optimizer.startswith("adamw") else 0.0,
        "batch_size": BATCH,
        "shuffle": False,
        "epochs": EPOCHS,
    }
    losses = []
    rows = (*data(loss), None)
    _native.train(
        (layers, WIDTHS[0], flat, running), rows, None, given, {}, EPOCHS, 1, lambda facts: losses.append(facts["loss"])
    )
    parts, at = [("losses", np.array(losses)[TOLD])], 0
    for name, array in named:
        parts.append((name, flat[at : at + array.size]))
        at += array.size
    if norm == "batch_norm":
        halves = np.split(running, np.cumsum([2 * width for width in WIDTHS[1:-1]])[:-1])
        parts += [("mean", half[: len(half) // 2]) for half in halves]
        parts += [("variance", half[len(half) // 2 :]) for half in halves]
    return parts


def error(norm, activation, got, expected):
    """The largest difference of a part, relative to its largest entry."""
    # A batch norm cancels what is added before it: the gradient of that, and so its path, is rounding noise.
    cancelled = ("b1", "b2", "mean", *(["shift1"] if activation == "identity" else []))
    errors, at = [], 0
    for name, numbers in got:
        part = expected[at : at + numbers.size]
        at += numbers.size
        if norm != "batch_norm" or name not in cancelled:
            errors.append(np.abs(numbers - part).max() / np.abs(part).max())
    assert at == len(expected)
    return max(errors)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("optimizer", RATES)
def test_two_hundred_steps_are_pytorch_s(traces, optimizer, norm):
    for a, activation in enumerate(ACTIVATIONS):
        for l, loss in enumerate(LOSSES):
            theirs = traces[norm][list(RATES).index(optimizer), a, l]
            found = error(norm, activation, ours(optimizer, norm, activation, loss), theirs)
            assert found < 1e-12, (activation, loss)
