"""``Network``: build a network by hand and see every number of it."""

import numpy as np

from chainrule import _native

__all__ = ["Network", "Passes"]


class Passes(dict):
    """The numbers of a pass by the tutorial's names: ``x0``, ``z1``, ``x1``, …, backwards ``dZ1``, ``dW1``, ``db1``, …

    Also as attributes: ``passes.z1``.
    """

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no {name!r}; there are {', '.join(self)}") from None


class Network:
    """A network of dense layers in double precision.

    Parameters
    ----------
    layers : list of int
        Neurons of each layer, input first: ``[2, 3, 2, 1]``.
    hidden : str, dict or list of them
        The activation of the hidden layers: a name (``relu``, ``tanh``, ``leaky_relu:0.2``, …) or the tutorial's
        dictionary ``{'activation': f, 'derivative': f_prime}``; a list has one for each.
    output : str or dict, optional
        The activation of the output layer; by default the one that belongs to the loss (``identity`` for
        ``squared_error``, ``softmax`` for ``cross_entropy``, …), which the loss then fuses.
    loss : str or dict
        A loss of the library by name, or ``{'loss': J(y_hat, Y), 'derivative': dJ/dy_hat}``, whose mean over rows is
        taken: the functions are called with a row at a time.
    seed : int
        Of the initial weights (``np.random.default_rng(seed)``, layer by layer).
    init : str, optional
        An initialiser: ``normal:0.001`` is the tutorial's; by default the usual one before each activation.

    Attributes
    ----------
    weights, biases : lists of arrays
        W⁽ˡ⁾ [n_in, n_out] and b⁽ˡ⁾ [n_out]; change them in place.
    history : list of float
        The losses of :meth:`train`, before each epoch's steps.

    Examples
    --------
    >>> from chainrule import Network
    >>> network = Network([2, 3, 2, 1], hidden="relu", output="identity", loss="squared_error", seed=1)
    >>> passes = network.forward([[6.1, 8.7]])
    >>> passes.z1.shape, passes.x3.shape
    ((1, 3), (1, 1))
    """

    def __init__(self, layers, hidden="relu", output=None, loss="squared_error", seed=0, init=None):
        layers = [int(width) for width in layers]
        if len(layers) < 2 or min(layers) < 1:
            raise ValueError(f"layers: expected two widths from 1 or more, input first; got {layers}")
        self.layers = layers
        self.seed = int(seed)
        between = len(layers) - 2
        hidden = list(hidden) if isinstance(hidden, (list, tuple)) else [hidden] * between
        if len(hidden) != between:
            raise ValueError(f"hidden: expected {between} activations (one a hidden layer), got {len(hidden)}")
        self.loss = loss
        self._loss = ("own loss", loss["loss"], loss["derivative"]) if isinstance(loss, dict) else str(loss)
        link, self._targets = _native.link(self._loss, layers[-1]) if isinstance(self._loss, str) else ("identity", layers[-1])
        self._link = link
        self.output = link if output is None else output
        last = [] if self.output == link else [_layer(self.output)]
        if last and link != "identity":
            raise ValueError(f"output: {loss} fuses {link}: leave output out, or take another loss")
        self._names = []
        self._dense = []
        for width, activation in zip(layers[1:], [*map(_layer, hidden), None]):
            self._dense.append(len(self._names))
            self._names += [f"dense:{width}"] + ([activation] if activation is not None else last)
        self._running = np.empty(0)
        self._flat, _ = _native.initial(self._names, layers[0], init, self.seed)
        self.weights, self.biases, at = [], [], 0
        for n_in, n_out in zip(layers, layers[1:]):
            self.weights.append(self._flat[at : at + n_in * n_out].reshape(n_in, n_out))
            at += n_in * n_out
            self.biases.append(self._flat[at : at + n_out])
            at += n_out
        self.history = []
        self._progress = {}

    def _state(self):
        return self._names, self.layers[0], self._flat, self._running

    def _x(self, X):
        X = np.ascontiguousarray(X, dtype=float)
        if X.ndim != 2 or X.shape[1] != self.layers[0]:
            raise ValueError(f"X: expected shape (n, {self.layers[0]}), got {X.shape}")
        return X

    def _y(self, Y, rows):
        Y = np.ascontiguousarray(Y, dtype=float)
        Y = Y.reshape(-1, 1) if Y.ndim == 1 else Y
        if Y.shape != (rows, self._targets):
            raise ValueError(f"Y: expected shape ({rows}, {self._targets}), got {Y.shape}")
        return Y

    def predict(self, X):
        """ŷ for the rows of ``X``, [n, outputs]."""
        loss = self._loss if isinstance(self._loss, str) else None
        return _native.predict(self._state(), self._x(X), loss, 1)

    def forward(self, X):
        """Equations 1 and 2 for all rows: ``x0``, ``z1``, ``x1``, … [n, neurons]."""
        x = self._x(X)
        passes = Passes(x0=x)
        for l, k in enumerate(self._dense, 1):
            passes[f"z{l}"] = self._until(k + 1, x)
            end = self._dense[l] if l < len(self._dense) else len(self._names)
            last = l == len(self._dense)
            passes[f"x{l}"] = self.predict(x) if last else self._until(end, x)
        return passes

    def _until(self, k, x):
        """The outputs of the first ``k`` layers."""
        names = self._names[:k]
        count = sum(rows * cols for _, _, rows, cols in _native.layout(names, self.layers[0])[0])
        return _native.predict((names, self.layers[0], self._flat[:count].copy(), self._running), x, None, 1)

    def backward(self, X, Y):
        """Equations 8 to 11 for all rows: ``loss``, ``dZ1`` (δ⁽¹⁾ [n, neurons]), ``dW1``, ``db1``, …"""
        x = self._x(X)
        found = _native.passes(self._state(), x, self._y(Y, len(x)), None, self._loss)
        passes = Passes(loss=found["loss"])
        at = 0
        for l, (k, w) in enumerate(zip(self._dense, self.weights), 1):
            passes[f"dZ{l}"] = found["deltas"][k + 1]
            passes[f"dW{l}"] = found["gradient"][at : at + w.size].reshape(w.shape)
            at += w.size
            passes[f"db{l}"] = found["gradient"][at : at + w.shape[1]]
            at += w.shape[1]
        return passes

    def step(self, X, Y, learning_rate=0.01):
        """One step of gradient descent on all rows; returns the loss before it."""
        given = {"optimizer": "gradient_descent", "learning_rate": float(learning_rate), "batch_size": None}
        return self._train(X, Y, given, {}, 1)[0]

    def train(
        self, X, Y, epochs, learning_rate=None, optimizer="gradient_descent", batch_size=None, verbose=False, **options
    ):
        """Trains; returns the losses, each before its epoch's steps.

        Parameters
        ----------
        epochs : int
            Passes over the rows.
        learning_rate : float, optional
            The optimizer's usual one by default.
        optimizer : str
            ``gradient_descent``, ``nesterov``, ``adam``, ``adamw``, …
        batch_size : int, optional
            Rows of a mini-batch; all, in their order, by default.
        verbose : bool
            Prints the loss of every hundredth epoch.
        options
            ``schedule``, ``l1``, ``l2``, ``weight_decay``, ``clip_norm``, …, as the library has them.
        """
        given = {"optimizer": optimizer, "learning_rate": learning_rate, "batch_size": batch_size, **options}
        given["seed"] = options.get("seed", self.seed)
        lines = (lambda i, loss: print(f"Iteration {i}: Loss = {loss:.6f}") if i % 100 == 0 else None) if verbose else None
        losses = self._train(X, Y, given, {}, int(epochs), lines)
        self.history += losses
        return losses

    def _train(self, X, Y, given, progress, epochs, tell=None):
        x = self._x(X)
        losses = []

        def watch(facts):
            if tell is not None:
                tell(len(losses), facts["loss"])
            losses.append(facts["loss"])

        given = {**given, "loss": self._loss, "epochs": epochs}
        data = (x, self._y(Y, len(x)), None)
        facts = _native.train(self._state(), data, None, given, progress, epochs, 1, watch)
        if facts["raised"] is not None:
            raise facts["raised"]
        return losses

    def explain_gradient(self, X, Y, weight, row=None, most=20):
        """∂J/∂θ of one weight, unfolded: every path of the chain rule with its named factors.

        Parameters
        ----------
        weight : tuple (layer, from, to)
            Counted from 1, as the tutorial's w⁽ˡ⁾ᵢⱼ; ``from`` 0 is the bias of neuron ``to``.
        row : int, optional
            One row of ``X``, from 1: its paths. By default all rows: the sum of their terms.
        most : int
            So many paths are listed.

        Returns
        -------
        dict
            ``symbol``, ``value``, ``paths`` [(factors (derivative, term, value), product)], ``by_paths``, ``by_delta``,
            ``backpropagation``, ``difference`` (a central difference).
        """
        x = self._x(X)
        y = self._y(Y, len(x))
        if row is not None:
            if not 1 <= row <= len(x):
                raise ValueError(f"row: expected 1 to {len(x)}, got {row}")
            x, y = x[row - 1 : row], y[row - 1 : row]
        return _native.ledger(self._state(), x, y, self._loss, tuple(weight), most)

    def explain_text(self, X, Y, weight, row):
        """:meth:`explain_gradient` of one row, to be read: a line for each path."""
        found = self.explain_gradient(X, Y, weight, row)
        lines = [f"∂J/∂{found['symbol']} = {found['backpropagation']:.10g}"]
        for factors, product in found["paths"]:
            lines.append("  " + " · ".join(f"{derivative} ({term} = {value:.6g})" for derivative, term, value in factors))
            lines.append(f"    = {product:.10g}")
        lines.append(f"by δ {found['by_delta']:.10g}, by a difference {found['difference']:.10g}")
        return "\n".join(lines)

    def diagram(self, X=None, row=1, columns=()):
        """The network as SVG: receptors and weights, or with rows ``X`` the numbers of row ``row`` (from 1)."""
        x = None if X is None else self._x(X)
        return _native.diagram(self._state(), self._loss, list(columns), x, row - 1)

    def _repr_html_(self):
        return self.diagram()

    def __repr__(self):
        loss = self._loss if isinstance(self._loss, str) else "own loss"
        return f"Network({self.layers}, loss={loss!r}, {self._flat.size} parameters)"


def _layer(activation):
    """A layer for the engine."""
    if isinstance(activation, dict):
        return ("own", activation["activation"], activation["derivative"])
    return str(activation)
