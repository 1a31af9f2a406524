"""``Network``, ``check`` and the exercises."""

import numpy as np
import pytest
import tutorial_class as tutorial

from chainrule import NN, Network, check, exercises

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 2)), RNG.normal(size=(6, 2))
TANH = {"activation": np.tanh, "derivative": lambda z: 1 - np.tanh(z) ** 2}
IDENTITY = {"activation": lambda z: z, "derivative": np.ones_like}
MSE = tutorial.loss_dict
# The tutorial's loss is a mean over outputs, its derivative is not: here it is.
SUM_OF_SQUARES = {"loss": lambda a, y: ((a - y) ** 2).sum() / 2 / len(y), "derivative": MSE["derivative"]}


def pair(hidden=TANH):
    """The tutorial's class and ours with the same parameters."""
    nn = NN([2, 4, 3, 2], hidden, IDENTITY, MSE, seed=1)
    for name in nn.params:
        nn.params[name] = RNG.normal(size=nn.params[name].shape)
    network = Network([2, 4, 3, 2], hidden="tanh")
    for l in range(3):
        network.weights[l][...] = nn.params[f"W{l + 1}"]
        network.biases[l][...] = nn.params[f"b{l + 1}"].ravel()
    return nn, network


def test_both_passes_are_the_tutorial_s():
    nn, network = pair()
    coef = nn.forward_pass(X, training=True)
    forward, backward = network.forward(X), network.backward(X, Y)
    assert list(forward) == list(coef)
    for name, numbers in coef.items():
        np.testing.assert_allclose(forward[name], numbers, rtol=1e-12, atol=1e-14)
    for name, numbers in nn.backward_pass(X, Y, coef).items():
        np.testing.assert_allclose(backward[name], numbers.reshape(backward[name].shape), rtol=1e-11, atol=1e-14)
    # Ours is a sum over outputs, and its gradient is the gradient of it.
    assert backward.loss == pytest.approx(((forward.x3 - Y) ** 2).sum() / 2 / len(X), rel=1e-12)


@pytest.mark.parametrize(
    "options, y",
    [
        ({"loss": "cross_entropy"}, np.array([0, 1, 1, 0, 1, 0.0])),
        ({"loss": "binary_cross_entropy"}, (Y > 0).astype(float)),
        ({"loss": "poisson"}, np.abs(Y)),
        ({"loss": "squared_error", "output": "logistic"}, Y),
        ({"loss": "huber", "hidden": "gelu"}, Y),
        ({"hidden": TANH, "output": IDENTITY, "loss": SUM_OF_SQUARES}, Y),
    ],
    ids=str,
)
def test_the_gradient_is_that_of_the_loss(options, y):
    network = Network([2, 3, 2], seed=3, **options)
    gradient = network.backward(X, y)
    for l, weights in enumerate(network.weights, 1):
        for i in np.ndindex(weights.shape):
            kept, values = weights[i], []
            for step in (1e-6, -1e-6):
                weights[i] = kept + step
                values.append(network.backward(X, y).loss)
            weights[i] = kept
            assert gradient[f"dW{l}"][i] == pytest.approx((values[0] - values[1]) / 2e-6, rel=2e-6, abs=1e-8)


def test_own_functions_are_as_the_known_ones():
    own = Network([2, 4, 2], hidden=TANH, output=IDENTITY, loss=MSE, seed=1)
    known = Network([2, 4, 2], hidden="tanh", seed=1)
    own_losses, losses = (network.train(X, Y, 20, learning_rate=0.1) for network in (own, known))
    # The tutorial's loss averages over outputs, ours sums.
    np.testing.assert_allclose(np.array(own_losses) * 2, losses, rtol=1e-10)
    np.testing.assert_allclose(own.predict(X), known.predict(X), rtol=1e-9)


def test_a_step_goes_down_the_gradient():
    network = Network([2, 3, 2], hidden="tanh", seed=1)
    gradient, before = network.backward(X, Y), network.weights[0].copy()
    assert network.step(X, Y, 0.25) == gradient.loss
    np.testing.assert_allclose(network.weights[0], before - 0.25 * gradient.dW1, rtol=1e-12)


def test_explanations_add_up():
    network = Network([2, 3, 2, 1], hidden="tanh", seed=1)
    y = Y[:, :1]
    found = network.explain_gradient(X, y, (1, 1, 2), row=3)
    assert found["symbol"] == "w⁽¹⁾₁₂" and found["path_count"] == len(found["paths"]) == 2
    product = sum(np.prod([value for _, _, value in factors]) for factors, _ in found["paths"])
    assert product == pytest.approx(found["backpropagation"], rel=1e-12)
    assert found["backpropagation"] == pytest.approx(network.backward(X[2:3], y[2:3]).dW1[0, 1], rel=1e-12)
    assert "∂J/∂x⁽³⁾₁" in network.explain_text(X, y, (1, 1, 2), 3)
    whole = network.explain_gradient(X, y, (2, 0, 1))
    assert whole["backpropagation"] == pytest.approx(network.backward(X, y).db2[0], rel=1e-12)
    with pytest.raises(ValueError, match="row: expected 1 to 6"):
        network.explain_gradient(X, y, (1, 1, 1), row=7)


def test_a_notebook_shows_the_diagram():
    network = Network([2, 3, 2, 1], hidden="relu", output="identity", loss="squared_error", seed=1)
    svg = network._repr_html_()
    assert svg.startswith("<svg") and svg.count("<circle") >= 8
    assert "<svg" in network.diagram([[6.1, 8.7]], row=1, columns=["height", "weight"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([2],), "layers: expected two widths"),
        (([2, 3, 1], ["tanh", "tanh"]), "hidden: expected 1 activations"),
        (([2, 3, 1], "rellu"), "did you mean `relu`"),
        (([2, 3, 2], "relu", "relu", "cross_entropy"), "fuses softmax"),
        (([2, 3, 1], "relu", None, "cross_entropy"), "two classes or more"),
    ],
)
def test_a_network_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Network(*arguments)


# -- check -------------------------------------------------------------------------------------------------------------


def test_a_right_backward_pass_is_right():
    nn, network = pair()
    verdict = check.gradients(nn, X, Y)
    assert verdict and "the gradient is right" in str(verdict)
    assert check.gradients(network, X, Y, nn.backward_pass(X, Y, nn.forward_pass(X, training=True)))


def mistaken(change):
    """The tutorial's backward pass with one mistake, after ``change(l, name, nn, coef, Y, d)`` of each value."""

    def backward_pass(nn, X, Y, coef):
        d = {}
        for l in (3, 2, 1):
            before = MSE["derivative"](coef["x3"], Y) if l == 3 else d[f"dZ{l + 1}"] @ nn.params[f"W{l + 1}"].T
            d[f"dZ{l}"] = change(l, "dZ", before * nn.a[l]["derivative"](coef[f"z{l}"]), before, nn, coef)
            d[f"dW{l}"] = change(l, "dW", coef[f"x{l - 1}"].T @ d[f"dZ{l}"], d[f"dZ{l}"], nn, coef)
            d[f"db{l}"] = change(l, "db", d[f"dZ{l}"].sum(axis=0, keepdims=True), d[f"dZ{l}"], nn, coef)
        return d

    return backward_pass


MISTAKES = {
    "a′ is missing": (lambda l, k, v, b, nn, c: b if (l, k) == (2, "dZ") else v, 2, "δ⁽²⁾", "MissingDerivative"),
    "a′ at x": (
        lambda l, k, v, b, nn, c: b * nn.a[l]["derivative"](c["x2"]) if (l, k) == (2, "dZ") else v,
        2,
        "δ⁽²⁾",
        "DerivativeAtX",
    ),
    "no 1/n": (lambda l, k, v, b, nn, c: v * 6 if (l, k) == (3, "dZ") else v, 3, "∂J/∂X⁽³⁾", "MissingShare"),
    "the other sign": (lambda l, k, v, b, nn, c: -v if (l, k) == (3, "dZ") else v, 3, "∂J/∂X⁽³⁾", "Sign"),
    "z for x": (lambda l, k, v, b, nn, c: c["z1"].T @ b if (l, k) == (2, "dW") else v, 2, "∂J/∂W⁽²⁾", "ZForX"),
    "no bias": (lambda l, k, v, b, nn, c: 0 * v if (l, k) == (1, "db") else v, 1, "∂J/∂b⁽¹⁾", "BiasForgotten"),
    "a mean for a sum": (lambda l, k, v, b, nn, c: v / 6 if (l, k) == (1, "dW") else v, 1, "∂J/∂W⁽¹⁾", "DividedTwice"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_wrong_term_of_the_wrong_layer_is_named(mistake):
    change, layer, term, fault = MISTAKES[mistake]
    nn, _ = pair()
    nn.backward_pass = mistaken(change).__get__(nn)
    verdict = check.gradients(nn, X, Y)
    assert not verdict and len(verdict.findings) == 1, str(verdict)
    found = verdict.findings[0]
    assert (found["layer"], found["term"]) == (layer, term)
    assert fault in found["fault"]


def test_a_function_of_numpy_is_judged_and_a_wrong_shape_told():
    nn, network = pair()

    def backprop(params, X, Y):
        nn.params = params
        return {"dW2": nn.backward_pass(X, Y, nn.forward_pass(X, training=True))["dW2"] * -1, "db1": np.zeros(3)}

    verdict = check.gradients(network, X, Y, backprop)
    assert [f["fault"] for f in verdict.findings] == ["Shape", "Sign"], str(verdict)
    with pytest.raises(ValueError, match="expected some of dZ1"):
        check.gradients(network, X, Y, {"W1": 3})


# -- exercises ---------------------------------------------------------------------------------------------------------


def run(name, code):
    namespace = {"np": np}
    exec(code, namespace)
    return namespace[name]


def test_there_are_eleven_exercises_and_eight_weights_to_practise():
    main = [name for name in exercises.NAMES if "(practice)" not in exercises.task(name)]
    assert len(main) == 11 and len(exercises.NAMES) == 19
    assert [int(exercises.task(name).split()[1].rstrip(":")) for name in main] == list(range(1, 12))
    assert all(exercises.hint(name) for name in exercises.NAMES)


@pytest.mark.parametrize("name", exercises.NAMES)
def test_a_solution_is_right_and_a_starting_point_is_not(name):
    result = exercises.check(name, run(name, exercises.solution(name)))
    assert result, result
    assert not exercises.check(name, run(name, exercises.start(name)))


@pytest.mark.parametrize(
    "name, wrong, right, told",
    [
        # All of these give the right product on the tutorial's numbers, where a factor is 0.
        ("w2_21", "n.X1[n.row, 1]", "n.X1[n.row, 0]", "∂z⁽²⁾₁/∂w⁽²⁾₂₁"),
        ("w2_21", "n.W3[0, 0]", "n.W3[1, 0]", "∂z⁽³⁾₁/∂x⁽²⁾₁"),
        ("w1_11", "n.X[n.row, 0]", "n.X[n.row, 1]", "∂z⁽¹⁾₁/∂w⁽¹⁾₁₁"),
        # Right on the tutorial's numbers, factor by factor, and wrong in general: relu's slope for any activation's.
        ("w2_22", "n.a_prime(n.Z2[n.row, 1])", "(n.Z2[n.row, 1] > 0)", "hidden network"),
        ("w3_21", "n.X2[n.row, 1]", "0.02454", "hidden network"),
        ("backward_pass", ".T\n", "\n", "ValueError"),
        ("mse", "/ y.shape[0]", "/ y.size", "the derivative for two outputs"),
        ("train", "-= learning_rate * derivatives[f'dW", "+= learning_rate * derivatives[f'dW", "W1 after training"),
    ],
)
def test_a_wrong_formula_is_found_though_its_product_is_right(name, wrong, right, told):
    solution = exercises.solution(name)
    assert wrong in solution
    result = exercises.check(name, run(name, solution.replace(wrong, right)))
    assert not result and told in result.text, result


def test_a_bug_in_an_answer_is_told_and_not_raised():
    result = exercises.check("relu", {"activation": lambda z: 1 / 0, "derivative": np.ones_like})
    assert not result and "ZeroDivisionError" in result.text
