"""Your gradient against the truth: which term of which layer is wrong."""

from dataclasses import dataclass, field

import numpy as np

from chainrule import _native
from chainrule.network import Network
from chainrule.nn import NN, _activation, _is_squared_error

__all__ = ["Verdict", "gradients"]


@dataclass
class Verdict:
    """What :func:`gradients` found; true if all is right."""

    right: bool
    #: In sentences.
    text: str
    #: The mistakes, from the loss back to the input: dictionaries of layer (from 1), term, fault and text.
    findings: list = field(default_factory=list)
    #: Every part that was compared: dictionaries of name, layer, error, worst (row, column from 1), expected, got.
    compared: list = field(default_factory=list)

    def __bool__(self):
        return self.right

    def __str__(self):
        return self.text


def gradients(subject, X, Y, claimed=None):
    """Compares a backward pass with the engine's, and names what is wrong.

    Parameters
    ----------
    subject : NN or Network
        The network. Of an ``NN`` its own (or replaced) ``forward_pass`` and ``backward_pass`` are judged; the truth is
        taken from its parameters, its activations and its loss's derivative.
    X, Y : arrays of shape (n, inputs) and (n, outputs)
    claimed : dict or callable, optional
        The gradient to judge: ``dZ1``, ``dW1``, ``db1``, … as the tutorial names them, any part of it; or a function
        ``claimed(params, X, Y)`` of the tutorial's parameters (``W1``, ``b1``, …) that returns one.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Network, check
    >>> network = Network([2, 3, 1], hidden="tanh", seed=1)
    >>> X, Y = np.array([[0.3, -0.2], [0.5, 0.9]]), np.array([[1.0], [0.0]])
    >>> claim = dict(network.backward(X, Y))
    >>> claim["dW1"] = claim["dW1"] * len(X)
    >>> print(check.gradients(network, X, Y, claim))  # doctest: +ELLIPSIS
    layer 1, ∂J/∂W⁽¹⁾: ...
    """
    X, Y = np.ascontiguousarray(X, dtype=float), np.asarray(Y, dtype=float)
    Y = np.ascontiguousarray(Y.reshape(len(X), -1))
    if isinstance(subject, Network):
        names, inputs, flat, running = subject._state()
        loss = subject._loss
        params = {}
        for l, (w, b) in enumerate(zip(subject.weights, subject.biases), 1):
            params[f"W{l}"], params[f"b{l}"] = w, b.reshape(1, -1)
        if claimed is None:
            raise ValueError("claimed: a gradient to judge is needed: a dictionary or a function")
        dense = subject._dense
    elif isinstance(subject, NN):
        names, inputs, flat, running, loss, dense = _of_nn(subject)
        params = subject.params
        if claimed is None:
            claimed = subject.backward_pass(X, Y, subject.forward_pass(X, training=True))
    else:
        raise TypeError(f"subject: expected an NN or a Network, got {type(subject).__name__}")
    if callable(claimed):
        claimed = claimed(params, X, Y)
    if not isinstance(claimed, dict):
        raise TypeError(f"claimed: expected a dictionary of dZ1, dW1, db1, …; got {type(claimed).__name__}")
    segments, deltas, wrong = {}, {}, []
    for name, numbers in claimed.items():
        kind, layer = name[:2], name[2:]
        if kind not in ("dZ", "dW", "db") or not layer.isdigit() or not 1 <= int(layer) <= len(dense):
            continue
        l = int(layer)
        numbers = np.asarray(numbers, dtype=float)
        weights = params[f"W{l}"].shape
        shape = {"dZ": (len(X), weights[1]), "dW": weights, "db": (1, weights[1])}[kind]
        if numbers.size != shape[0] * shape[1]:
            term = {"dZ": f"δ⁽{l}⁾", "dW": f"∂J/∂W⁽{l}⁾", "db": f"∂J/∂b⁽{l}⁾"}[kind]
            text = f"it has the shape {numbers.shape}, expected {shape}"
            wrong.append({"layer": l, "term": term, "fault": "Shape", "text": text, "error": np.inf, "error_with": np.inf})
        elif kind == "dZ":
            deltas[l] = np.ascontiguousarray(numbers.reshape(shape))
        else:
            name = f"{dense[l - 1]}.{'weight' if kind == 'dW' else 'bias'}"
            # A transposed gradient is told as it is: the diagnosis knows the mistake.
            segments[name] = np.ascontiguousarray(numbers).ravel()
    if not segments and not deltas and not wrong:
        raise ValueError("claimed: expected some of dZ1, dW1, db1, …; there are " + (", ".join(map(str, claimed)) or "none"))
    text, findings, compared = _native.diagnose((names, inputs, flat, running), X, Y, loss, segments, deltas)
    findings, compared = wrong + list(findings), list(compared)
    if wrong:
        text = "\n".join(f"layer {f['layer']}, {f['term']}: {f['text']}" for f in findings)
    return Verdict(not findings, text, findings, compared)


def _of_nn(nn):
    """An ``NN`` as the engine sees it."""
    names, dense, parts = [], [], []
    for l in range(1, nn.L):
        functions = nn.a[l]
        dense.append(len(names))
        known = _activation(functions)
        own = known or ("own", functions["activation"], functions["derivative"])
        names += [f"dense:{nn.params[f'W{l}'].shape[1]}", own]
        parts += [nn.params[f"W{l}"], nn.params[f"b{l}"]]
    flat = np.concatenate([np.asarray(part, dtype=float).ravel() for part in parts])
    loss = nn.loss_function
    squared = _is_squared_error(loss)
    if names[-1] == "identity":
        names.pop()  # The loss takes pre-activations.
    inputs = nn.params["W1"].shape[0]
    return names, inputs, flat, np.empty(0), "squared_error" if squared else ("own loss", loss["loss"], loss["derivative"]), dense
