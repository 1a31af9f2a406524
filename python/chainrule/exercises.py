"""The tutorial's eleven exercises and its eight further weights: starting points, hints, solutions, and a checker.

>>> from chainrule import exercises
>>> print(exercises.start("w3_21"))  # doctest: +ELLIPSIS
def w3_21(n):
...

Fill in the gaps, run it, and call ``exercises.check("w3_21", w3_21)``.

On the tutorial's numbers many factors are 0, so that a wrong formula gives the right product. Therefore every factor is
asked for, and every formula is tried on a second, hidden network too: tanh, several rows, no factor 0 or 1 (but the
identity's own), and two outputs wherever the formula is one for any network.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from chainrule import check as _check
from chainrule.network import Network
from chainrule.nn import NN

__all__ = ["NAMES", "Result", "check", "hint", "numbers", "solution", "start", "task"]

_X = [[6.1, 8.7], [3.9, 8.7], [4.9, 5.5], [8.0, 5.5], [6.3, 3.2], [7.5, 6.2], [5.0, 7.7], [4.8, 5.7], [3.8, 5.4], [4.2, 4.6]]
_Y = [[113.0], [90.0], [58.0], [97.0], [42.0], [89.0], [84.0], [54.0], [44.0], [39.0]]
_W = (
    [[-0.08, 0.02, 0.06], [0.02, 0.08, -0.09]],
    [[0.01, -0.01], [-0.09, 0.03], [0.07, 0.02]],
    [[-0.05], [0.07]],
)


def _relu(z):
    return np.maximum(0, z)


def _relu_slope(z):
    return (z > 0).astype(float)


def _tanh_slope(z):
    return 1 - np.tanh(z) ** 2


def numbers(generic=False, outputs=1):
    """The numbers of a network 2-3-2-1 and its forward pass, by the tutorial's names.

    ``X`` [n, 2], ``Y`` [n, outputs], ``W1``, ``b1``, … and ``Z1``, ``X1``, … of all rows; ``row``, the row (from 0) whose
    derivatives are asked for; ``a`` and ``a_prime``, the hidden activation and its derivative. ``generic`` has tanh and
    numbers drawn at random instead of the tutorial's.
    """
    if generic:
        rng = np.random.default_rng(20)
        n = SimpleNamespace(X=rng.uniform(0.4, 1.6, (4, 2)), Y=rng.uniform(-2, -1, (4, outputs)), row=2)
        n.W1, n.b1 = rng.uniform(0.2, 0.7, (2, 3)), rng.uniform(0.1, 0.3, (1, 3))
        n.W2, n.b2 = rng.uniform(-0.7, -0.2, (3, 2)), rng.uniform(0.1, 0.3, (1, 2))
        n.W3, n.b3 = rng.uniform(0.2, 0.7, (2, outputs)), rng.uniform(0.1, 0.3, (1, outputs))
        n.a, n.a_prime = np.tanh, _tanh_slope
    else:
        n = SimpleNamespace(X=np.array(_X), Y=np.array(_Y), row=0, a=_relu, a_prime=_relu_slope)
        n.W1, n.W2, n.W3 = (np.array(w) for w in _W)
        n.b1, n.b2, n.b3 = (np.zeros((1, w.shape[1])) for w in (n.W1, n.W2, n.W3))
    n.Z1 = n.X @ n.W1 + n.b1
    n.X1 = n.a(n.Z1)
    n.Z2 = n.X1 @ n.W2 + n.b2
    n.X2 = n.a(n.Z2)
    n.Z3 = n.X2 @ n.W3 + n.b3
    n.X3 = n.Z3
    return n


@dataclass
class Result:
    """What :func:`check` found; true if the exercise is solved."""

    right: bool
    text: str

    def __bool__(self):
        return self.right

    def __repr__(self):
        return ("right: " if self.right else "not yet: ") + self.text


class _NotYet(Exception):
    pass


# -- weights by hand ---------------------------------------------------------------------------------------------------


def _paths(layer, i, j, n):
    """The factors of every path from w⁽ˡ⁾ᵢⱼ (from 1) to J for row ``n.row``, each with its name, from the engine."""
    network = Network([2, 3, 2, 1], hidden="relu" if n.a is _relu else "tanh")
    for l, w in enumerate((n.W1, n.W2, n.W3)):
        network.weights[l][...] = w
        network.biases[l][...] = getattr(n, f"b{l + 1}").ravel()
    found = network.explain_gradient(n.X, n.Y, (layer, i, j), row=n.row + 1)
    paths = [[(derivative, value) for derivative, _, value in factors] for factors, _ in found["paths"]]
    # By the neuron of layer 2 that a path runs through.
    paths.sort(key=lambda path: [name for name, _ in path])
    return paths, found["backpropagation"]


def _weight_check(layer, i, j):
    def check(answer):
        for generic in (False, True):
            n = numbers(generic)
            paths, total = _paths(layer, i, j, n)
            given = answer(n)
            where = "on the hidden network (tanh, other numbers, another row)" if generic else "on the tutorial's numbers"
            if given is None:
                raise _NotYet("the function returns nothing: return the list of its factors")
            given = list(given)
            if len(paths) == 1 and not (given and np.ndim(given[0])):
                given = [given]
            if len(given) != len(paths):
                raise _NotYet(f"expected {len(paths)} paths, a list of factors each; got {len(given)}")
            for k, (factors, path) in enumerate(zip(given, paths), 1):
                factors = list(factors)
                if len(factors) != len(path):
                    names = " · ".join(name for name, _ in path)
                    raise _NotYet(f"path {k}: expected {len(path)} factors, {names}; got {len(factors)}")
                for got, (name, value) in zip(factors, path):
                    if got is None or np.size(got) != 1:
                        raise _NotYet(f"path {k}: {name}: expected a number, got {got!r}")
                    if not np.isclose(float(np.ravel(got)[0]), value, rtol=1e-9, atol=1e-12):
                        message = f"path {k}: {name} is {value:.6g} {where}, got {float(np.ravel(got)[0]):.6g}"
                        raise _NotYet(message)
            product = sum(float(np.prod([np.ravel(f)[0] for f in factors])) for factors in given)
            if not np.isclose(product, total, rtol=1e-9, atol=1e-12):
                raise _NotYet(f"the sum of the paths is {total:.6g} {where}, got {product:.6g}")
            if not generic:
                first = total
        return f"∂J/∂w = {first:.10g}, every factor right, on a hidden network too"

    return check


def _weight(layer, i, j, order):
    """The texts of an exercise about one weight."""
    name = f"w{layer}_{i}{j}"
    zero = f"[n.row, {i - 1}]"
    out = ["n.X3[n.row, 0] - n.Y[n.row, 0]", "1.0"]
    comments = ["∂J/∂x⁽³⁾₁", "∂x⁽³⁾₁/∂z⁽³⁾₁"]
    if layer == 3:
        lists = [[*out, f"n.X2{zero}"]]
        told = [[*comments, f"∂z⁽³⁾₁/∂w⁽³⁾"]]
    elif layer == 2:
        lists = [[*out, f"n.W3[{j - 1}, 0]", f"n.a_prime(n.Z2[n.row, {j - 1}])", f"n.X1{zero}"]]
        told = [[*comments, "∂z⁽³⁾₁/∂x⁽²⁾", "∂x⁽²⁾/∂z⁽²⁾", "∂z⁽²⁾/∂w⁽²⁾"]]
    else:
        lists, told = [], []
        for k in (0, 1):
            through = [f"n.W3[{k}, 0]", f"n.a_prime(n.Z2[n.row, {k}])", f"n.W2[{j - 1}, {k}]"]
            lists.append([*out, *through, f"n.a_prime(n.Z1[n.row, {j - 1}])", f"n.X{zero}"])
            names = [f"∂z⁽³⁾₁/∂x⁽²⁾ through neuron {k + 1}", "∂x⁽²⁾/∂z⁽²⁾", "∂z⁽²⁾/∂x⁽¹⁾"]
            told.append([*comments, *names, "∂x⁽¹⁾/∂z⁽¹⁾", "∂z⁽¹⁾/∂w⁽¹⁾"])

    def text(lists):
        if len(lists) == 1:
            body = "".join(f"        {value},  # {c}\n" for value, c in zip(lists[0], told[0]))
            return f"def {name}(n):\n    return [\n{body}    ]\n"
        body = ""
        for values, comments in zip(lists, told):
            body += "        [\n" + "".join(f"            {v},  # {c}\n" for v, c in zip(values, comments)) + "        ],\n"
        return f"def {name}(n):\n    return [\n{body}    ]\n"

    gaps = [["None"] * len(values) for values in lists]
    more = "a list of two lists, one a path: through neuron 1 and neuron 2 of layer 2" if layer == 1 else "a list"
    sub = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    sup = {1: "¹", 2: "²", 3: "³"}[layer]
    return name, {
        "exercise": order,
        "task": f"The derivative of the cost of row n.row with respect to w⁽{sup}⁾{str(i).translate(sub)}{str(j).translate(sub)}: "
        f"its factors from J back to the weight, {more}.",
        "start": text(gaps),
        "solution": text(lists),
        "hint": "∂J/∂x⁽³⁾ = x⁽³⁾ − y; the output's activation is the identity; ∂z⁽ˡ⁾/∂w⁽ˡ⁾ᵢⱼ is the neuron x⁽ˡ⁻¹⁾ᵢ that the weight "
        "leaves; ∂z⁽ˡ⁾ₖ/∂x⁽ˡ⁻¹⁾ⱼ is the weight w⁽ˡ⁾ⱼₖ; ∂x⁽ˡ⁾/∂z⁽ˡ⁾ is n.a_prime(z⁽ˡ⁾). Python counts from 0.",
        "check": _weight_check(layer, i, j),
    }


# -- functions -----------------------------------------------------------------------------------------------------------


def _same(what, got, expected, rtol=1e-9):
    got = np.asarray(got) if got is not None else got
    if got is None:
        raise _NotYet(f"{what}: there is nothing yet")
    if got.shape != np.shape(expected):
        raise _NotYet(f"{what}: expected shape {np.shape(expected)}, got {got.shape}")
    if not np.allclose(got, expected, rtol=rtol, atol=1e-12):
        worst = np.unravel_index(np.argmax(np.abs(got - expected)), got.shape) if got.ndim else ()
        place = f" at row, column {tuple(int(k) + 1 for k in worst)}" if worst else ""
        raise _NotYet(f"{what}: expected {np.asarray(expected)[worst]:.6g}{place}, got {got[worst]:.6g}")


def _check_forward(answer):
    for generic, outputs in ((False, 1), (True, 2)):
        n = numbers(generic, outputs)
        given = answer(n.X, n.W1, n.b1, n.W2, n.b2, n.W3, n.b3, n.a)
        if given is None or len(given) != 6:
            raise _NotYet("return Z1, X1, Z2, X2, Z3, X3")
        for name, got in zip(("Z1", "X1", "Z2", "X2", "Z3", "X3"), given):
            _same(f"{name}{' on the hidden network' if generic else ''}", got, getattr(n, name))
    return "all six matrices, on a hidden network with two outputs too"


_PROBE = np.array([[-2.5, -0.1, 0.0], [0.3, 1.7, 40.0]])


def _check_functions(function, derivative, names):
    def check(answer):
        if not isinstance(answer, dict) or not {"activation", "derivative"} <= answer.keys():
            raise _NotYet("expected the dictionary of 'activation' and 'derivative'")
        z = _PROBE.copy()
        _same(names[0], answer["activation"](z), function(_PROBE))
        _same(names[1], answer["derivative"](z), derivative(_PROBE))
        if not np.array_equal(z, _PROBE):
            raise _NotYet("the function changes its argument: return a new array")
        return "function and derivative"

    return check


def _check_loss(answer):
    if not isinstance(answer, dict) or not {"loss", "derivative"} <= answer.keys():
        raise _NotYet("expected the dictionary of 'loss' and 'derivative'")
    rng = np.random.default_rng(21)
    for rows in (1, 5):
        y_hat, y = rng.normal(size=(rows, 1)), rng.normal(size=(rows, 1))
        _same(f"the loss of {rows} rows", answer["loss"](y_hat, y), np.mean((y_hat - y) ** 2) / 2)
        _same(f"the derivative for {rows} rows", answer["derivative"](y_hat, y), (y_hat - y) / rows)
    y_hat, y = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    _same("the derivative for two outputs", answer["derivative"](y_hat, y), (y_hat - y) / 5)
    return "loss and derivative (for more than one output the derivative is that of a sum over outputs)"


_TANH = {"activation": np.tanh, "derivative": _tanh_slope}
_IDENTITY = {"activation": lambda z: z, "derivative": np.ones_like}
_MSE = {"loss": lambda a, y: np.mean((a - y) ** 2) / 2, "derivative": lambda a, y: (a - y) / len(y)}


def _network(method=None, answer=None):
    """A network of the tutorial's class with generic numbers: tanh, two outputs; one method replaced."""
    cls = type("Tried", (NN,), {method: answer} if method else {})
    nn = cls([2, 3, 2, 2], _TANH, _IDENTITY, _MSE, seed=1)
    n = numbers(True, 2)
    for name in nn.params:
        nn.params[name] = getattr(n, name).copy()
    return nn, n


def _check_initialize(answer):
    for dims in ([2, 3, 1], [4, 2, 5, 3]):
        got, expected = (SimpleNamespace(L=len(dims), params={}) for _ in range(2))
        answer(got, dims, np.random.default_rng(3))
        NN.initialize_parameters(expected, dims, np.random.default_rng(3))
        for name, values in expected.params.items():
            _same(f"{name} of layers {dims}", got.params.get(name), values)
    return "weights and biases of every layer"


def _check_forward_pass(answer):
    nn, n = _network("forward_pass", answer)
    got = nn.forward_pass(n.X, training=True)
    if not isinstance(got, dict):
        raise _NotYet("with training=True return the dictionary of outputs")
    for l in range(4):
        for name, key in (("X", f"x{l}"), ("Z", f"z{l}")):
            if l or name == "X":
                _same(key, got.get(key), n.X if key == "x0" else getattr(n, f"{name}{l}"))
    _same("the prediction (training=False)", nn.forward_pass(n.X), n.X3)
    return "all outputs of a hidden network (tanh, two outputs)"


def _check_backward_pass(answer):
    nn, n = _network("backward_pass", answer)
    claimed = nn.backward_pass(n.X, n.Y, nn.forward_pass(n.X, training=True))
    if not isinstance(claimed, dict):
        raise _NotYet("return the dictionary of derivatives")
    for l in (3, 2, 1):
        for kind in ("dZ", "dW", "db"):
            if f"{kind}{l}" not in claimed:
                raise _NotYet(f"{kind}{l} is missing")
    verdict = _check.gradients(nn, n.X, n.Y, claimed)
    if not verdict:
        raise _NotYet(verdict.text)
    return "every δ and every gradient of a hidden network (tanh, two outputs, four rows)"


def _check_train(answer):
    nn, n = _network("train", answer)
    expected, _ = _network()
    for steps, rate in ((1, 0.1), (4, 0.05)):
        nn.train(n.X, n.Y, steps, learning_rate=rate, verbose=False)
        expected._descend(n.X, n.Y, steps, rate)
        for name, values in expected.params.items():
            _same(f"{name} after training", nn.params[name], values)
    return "parameters after one step and after four more"


def _exercise(order, task, start, solution, hint, check):
    return {"exercise": order, "task": task, "start": start, "solution": solution, "hint": hint, "check": check}


_EXERCISES = {
    "forward": _exercise(
        1,
        "The forward pass of the whole dataset: Z1, X1, Z2, X2, Z3, X3. The activation of the hidden layers is a, that of "
        "the output the identity.",
        "def forward(X, W1, b1, W2, b2, W3, b3, a):\n    Z1 = None\n    X1 = None\n    Z2 = None\n    X2 = None\n    Z3 = None\n"
        "    X3 = None\n    return Z1, X1, Z2, X2, Z3, X3\n",
        "def forward(X, W1, b1, W2, b2, W3, b3, a):\n    Z1 = X @ W1 + b1\n    X1 = a(Z1)\n    Z2 = X1 @ W2 + b2\n"
        "    X2 = a(Z2)\n    Z3 = X2 @ W3 + b3\n    X3 = Z3\n    return Z1, X1, Z2, X2, Z3, X3\n",
        "Z⁽ˡ⁾ = X⁽ˡ⁻¹⁾W⁽ˡ⁾ + b⁽ˡ⁾ and X⁽ˡ⁾ = a(Z⁽ˡ⁾); the matrix product is @.",
        _check_forward,
    )
}
for _name, _texts in (_weight(3, 2, 1, 2), _weight(2, 2, 1, 3), _weight(1, 1, 2, 4)):
    _EXERCISES[_name] = _texts
for _layer, _i, _j in ((2, 1, 1), (2, 1, 2), (2, 2, 2), (2, 3, 1), (1, 1, 1), (1, 1, 3), (1, 2, 2), (1, 2, 3)):
    _name, _texts = _weight(_layer, _i, _j, 3 if _layer == 2 else 4)
    _EXERCISES[_name] = {**_texts, "practice": True}
_EXERCISES |= {
    "relu": _exercise(
        5,
        "relu and its derivative, as a dictionary.",
        "def relu_(z):\n    return None\n\ndef relu_derivative(z):\n    return None\n\n"
        "relu = {'activation': relu_, 'derivative': relu_derivative}\n",
        "def relu_(z):\n    return np.maximum(0, z)\n\ndef relu_derivative(z):\n    return (z > 0).astype(float)\n\n"
        "relu = {'activation': relu_, 'derivative': relu_derivative}\n",
        "np.maximum compares element by element; the derivative is 1 where z > 0, else 0 (also at 0).",
        _check_functions(_relu, _relu_slope, ("relu", "its derivative")),
    ),
    "identity": _exercise(
        6,
        "The identity and its derivative, as a dictionary.",
        "def identity_(z):\n    return None\n\ndef identity_derivative(z):\n    return None\n\n"
        "identity = {'activation': identity_, 'derivative': identity_derivative}\n",
        "def identity_(z):\n    return z\n\ndef identity_derivative(z):\n    return np.ones_like(z)\n\n"
        "identity = {'activation': identity_, 'derivative': identity_derivative}\n",
        "The derivative has the shape of z: np.ones_like.",
        _check_functions(lambda z: z, np.ones_like, ("the identity", "its derivative")),
    ),
    "mse": _exercise(
        7,
        "The mean squared error J = 1/(2n) Σ(ŷ − y)² and its derivative with respect to ŷ, as a dictionary.",
        "def mse_(y_hat, y):\n    return None\n\ndef mse_derivative(y_hat, y):\n    return None\n\n"
        "mse = {'loss': mse_, 'derivative': mse_derivative}\n",
        "def mse_(y_hat, y):\n    return np.mean((y_hat - y) ** 2) / 2\n\ndef mse_derivative(y_hat, y):\n"
        "    return (y_hat - y) / y.shape[0]\n\nmse = {'loss': mse_, 'derivative': mse_derivative}\n",
        "n is y.shape[0]; the ½ cancels the 2 of the square.",
        _check_loss,
    ),
    "initialize_parameters": _exercise(
        8,
        "Fills self.params with W1, b1, …: weights from N(0, 0.001²) [layers_dims[l−1], layers_dims[l]], biases 0 [1, "
        "layers_dims[l]].",
        "def initialize_parameters(self, layers_dims, rng):\n    for l in range(1, self.L):\n        self.params[f'W{l}'] = None\n"
        "        self.params[f'b{l}'] = None\n",
        "def initialize_parameters(self, layers_dims, rng):\n    for l in range(1, self.L):\n"
        "        self.params[f'W{l}'] = rng.normal(scale=0.001, size=(layers_dims[l - 1], layers_dims[l]))\n"
        "        self.params[f'b{l}'] = np.zeros((1, layers_dims[l]))\n",
        "rng.normal(scale=…, size=…), np.zeros.",
        _check_initialize,
    ),
    "forward_pass": _exercise(
        9,
        "The forward pass of a network of any depth: the outputs by name if training, else the last.",
        "def forward_pass(self, X, training=False):\n    outputs = {'x0': X}\n    for l in range(1, self.L):\n"
        "        outputs[f'z{l}'] = None\n        outputs[f'x{l}'] = None\n"
        "    return outputs if training else outputs[f'x{self.L-1}']\n",
        "def forward_pass(self, X, training=False):\n    outputs = {'x0': X}\n    for l in range(1, self.L):\n"
        "        outputs[f'z{l}'] = outputs[f'x{l-1}'] @ self.params[f'W{l}'] + self.params[f'b{l}']\n"
        "        outputs[f'x{l}'] = self.a[l]['activation'](outputs[f'z{l}'])\n"
        "    return outputs if training else outputs[f'x{self.L-1}']\n",
        "The input of layer l is outputs[f'x{l-1}'], its activation self.a[l]['activation'].",
        _check_forward_pass,
    ),
    "backward_pass": _exercise(
        10,
        "Backpropagation: dZ, dW and db of every layer.",
        "def backward_pass(self, X, Y, coef):\n    derivatives = {}\n    l = self.L - 1\n"
        "    derivatives[f'dZ{l}'] = (self.loss_function['derivative'](coef[f'x{l}'], Y)\n"
        "                             * self.a[l]['derivative'](coef[f'z{l}']))\n"
        "    derivatives[f'dW{l}'] = coef[f'x{l-1}'].T @ derivatives[f'dZ{l}']\n"
        "    derivatives[f'db{l}'] = np.sum(derivatives[f'dZ{l}'], axis=0, keepdims=True)\n"
        "    for l in range(self.L - 2, 0, -1):\n        pass  # dZ, dW and db of layer l\n    return derivatives\n",
        "def backward_pass(self, X, Y, coef):\n    derivatives = {}\n    l = self.L - 1\n"
        "    derivatives[f'dZ{l}'] = (self.loss_function['derivative'](coef[f'x{l}'], Y)\n"
        "                             * self.a[l]['derivative'](coef[f'z{l}']))\n"
        "    derivatives[f'dW{l}'] = coef[f'x{l-1}'].T @ derivatives[f'dZ{l}']\n"
        "    derivatives[f'db{l}'] = np.sum(derivatives[f'dZ{l}'], axis=0, keepdims=True)\n"
        "    for l in range(self.L - 2, 0, -1):\n"
        "        derivatives[f'dZ{l}'] = (derivatives[f'dZ{l+1}'] @ self.params[f'W{l+1}'].T\n"
        "                                 * self.a[l]['derivative'](coef[f'z{l}']))\n"
        "        derivatives[f'dW{l}'] = coef[f'x{l-1}'].T @ derivatives[f'dZ{l}']\n"
        "        derivatives[f'db{l}'] = np.sum(derivatives[f'dZ{l}'], axis=0, keepdims=True)\n"
        "    return derivatives\n",
        "δ⁽ˡ⁾ needs δ⁽ˡ⁺¹⁾ and W⁽ˡ⁺¹⁾ᵀ, then a′(z⁽ˡ⁾); ∂J/∂W⁽ˡ⁾ needs the neurons of layer l−1.",
        _check_backward_pass,
    ),
    "train": _exercise(
        11,
        "Gradient descent: forward pass, backward pass, update, n_it times.",
        "def train(self, X, Y, n_it, learning_rate=0.01, verbose=True):\n    for i in range(n_it):\n"
        "        coef = None\n        derivatives = None\n        for l in range(1, self.L):\n            pass  # update W and b\n"
        "        if verbose and i % 100 == 0:\n"
        "            current_loss = self.loss_function['loss'](coef[f'x{self.L-1}'], Y)\n"
        "            print(f'Iteration {i}: Loss = {current_loss:.6f}')\n",
        "def train(self, X, Y, n_it, learning_rate=0.01, verbose=True):\n    for i in range(n_it):\n"
        "        coef = self.forward_pass(X, training=True)\n        derivatives = self.backward_pass(X, Y, coef)\n"
        "        for l in range(1, self.L):\n"
        "            self.params[f'W{l}'] -= learning_rate * derivatives[f'dW{l}']\n"
        "            self.params[f'b{l}'] -= learning_rate * derivatives[f'db{l}']\n"
        "        if verbose and i % 100 == 0:\n"
        "            current_loss = self.loss_function['loss'](coef[f'x{self.L-1}'], Y)\n"
        "            print(f'Iteration {i}: Loss = {current_loss:.6f}')\n",
        "The gradient descends: subtract. The forward pass needs training=True.",
        _check_train,
    ),
}

#: Every exercise: the eleven of the tutorial, and ``w2_11`` … ``w1_23``, its further weights to practise on.
NAMES = tuple(_EXERCISES)


def _of(name):
    if name not in _EXERCISES:
        raise ValueError(f"unknown exercise {name!r}; there are {', '.join(NAMES)}")
    return _EXERCISES[name]


def task(name):
    """What is asked for."""
    return f"Exercise {_of(name)['exercise']}{' (practice)' if _of(name).get('practice') else ''}: {_of(name)['task']}"


def start(name):
    """The code to start from, with gaps."""
    return _of(name)["start"]


def hint(name):
    """A hint."""
    return _of(name)["hint"]


def solution(name):
    """The solution's code."""
    return _of(name)["solution"]


def check(name, answer):
    """Tries an answer, the function or dictionary of the exercise's name, and says what is wrong.

    Returns
    -------
    Result
    """
    exercise = _of(name)
    try:
        with np.errstate(all="ignore"):
            return Result(True, exercise["check"](answer))
    except _NotYet as reason:
        return Result(False, str(reason))
    except Exception as error:  # The learner's code: whatever it raises is said, and belongs to the answer.
        return Result(False, f"{type(error).__name__}: {error}")
