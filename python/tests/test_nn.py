"""The tutorial's class: same lines, the learner's own functions, replaceable methods."""

import numpy as np
import pytest
import tutorial_class as tutorial

import chainrule

ROWS = [[6.1, 8.7], [3.9, 8.7], [4.9, 5.5], [8.0, 5.5], [6.3, 3.2], [7.5, 6.2], [5.0, 7.7], [4.8, 5.7], [3.8, 5.4], [4.2, 4.6]]
X = np.array(ROWS)
Y = np.array([[113.0], [90.0], [58.0], [97.0], [42.0], [89.0], [84.0], [54.0], [44.0], [39.0]])
RELU, IDENTITY, MSE = tutorial.activation_relu_dict, tutorial.activation_output_dict, tutorial.loss_dict
SWISH = {
    "activation": lambda z: z / (1 + np.exp(-z)),
    "derivative": lambda z: (1 + np.exp(-z) + z * np.exp(-z)) / (1 + np.exp(-z)) ** 2,
}
TANH = {"activation": np.tanh, "derivative": lambda z: 1 - np.tanh(z) ** 2}


def printed(cls, capsys, dims=(2, 3, 2, 1), hidden=RELU, rate=0.001, steps=1000, scale=1.0):
    nn = cls(list(dims), hidden, IDENTITY, MSE, seed=1)
    nn.train(X / scale, Y / scale, steps, learning_rate=rate)
    return nn, capsys.readouterr().out


@pytest.mark.parametrize(
    "dims, hidden, engine",
    [
        ((2, 3, 2, 1), RELU, True),
        ((2, 4, 1), TANH, True),
        ((2, 4, 3, 1), [TANH, RELU], True),
        ((2, 3, 1), SWISH, False),
        ((2, 4, 3, 1), [SWISH, RELU], False),
    ],
)
def test_only_the_class_swapped_prints_the_same_lines(capsys, dims, hidden, engine):
    # The tutorial's own network as it is; the others on tamer numbers, or a bit's difference grows to a digit's.
    tame = {} if hidden is RELU else {"rate": 0.05, "scale": 10.0}
    theirs, expected = printed(tutorial.NN, capsys, dims, hidden, **tame)
    ours, got = printed(chainrule.NN, capsys, dims, hidden, **tame)
    assert got == expected
    assert len(got.splitlines()) == 10
    assert ours.engine is engine
    for name, numbers in theirs.params.items():
        np.testing.assert_allclose(ours.params[name], numbers, rtol=1e-8, atol=1e-12)


def test_the_readme_s_lines(capsys):
    _, lines = printed(chainrule.NN, capsys)
    assert lines.splitlines()[0] == "Iteration 0: Loss = 2837.800000"
    assert lines.splitlines()[-1] == "Iteration 900: Loss = 733.560794"


def test_it_starts_from_the_tutorial_s_weights_to_the_last_bit():
    theirs, ours = (cls([2, 5, 1], RELU, IDENTITY, MSE, seed=7) for cls in (tutorial.NN, chainrule.NN))
    assert all(np.array_equal(ours.params[name], numbers) for name, numbers in theirs.params.items())
    assert ours.L == 3 and list(ours.params) == ["W1", "b1", "W2", "b2"]


def test_passes_have_the_tutorial_s_keys_and_numbers():
    theirs, ours = (cls([2, 3, 2, 1], TANH, IDENTITY, MSE, seed=3) for cls in (tutorial.NN, chainrule.NN))
    coef = ours.forward_pass(X, training=True)
    expected = theirs.forward_pass(X, training=True)
    assert {k: v.tolist() for k, v in coef.items()} == {k: v.tolist() for k, v in expected.items()}
    assert np.array_equal(ours.forward_pass(X), expected["x3"])
    gradient, truth = ours.backward_pass(X, Y, coef), theirs.backward_pass(X, Y, expected)
    assert gradient.keys() == truth.keys() and all(np.array_equal(gradient[k], truth[k]) for k in truth)


@pytest.mark.parametrize("method", ["forward_pass", "backward_pass"])
def test_a_replaced_method_is_what_runs(method, monkeypatch):
    calls = []
    original = getattr(chainrule.NN, method)

    def counted(self, *args, **kwargs):
        calls.append(method)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(chainrule.NN, method, counted)
    nn = chainrule.NN([2, 3, 1], RELU, IDENTITY, MSE, seed=1)
    nn.train(X, Y, 7, 0.001, verbose=False)
    assert calls == [method] * 7 and nn.engine is False


def test_a_subclass_with_its_own_pass_is_what_runs():
    class Mine(chainrule.NN):
        def backward_pass(self, X, Y, coef):
            return {name: 0 * numbers for name, numbers in super().backward_pass(X, Y, coef).items()}

    nn = Mine([2, 3, 1], RELU, IDENTITY, MSE, seed=1)
    before = {name: numbers.copy() for name, numbers in nn.params.items()}
    nn.train(X, Y, 5, verbose=False)
    assert all(np.array_equal(before[name], numbers) for name, numbers in nn.params.items())


def test_replaced_initialisation_is_used():
    class Zeros(chainrule.NN):
        def initialize_parameters(self, layers_dims, rng):
            for l in range(1, self.L):
                self.params[f"W{l}"] = np.zeros((layers_dims[l - 1], layers_dims[l]))
                self.params[f"b{l}"] = np.zeros((1, layers_dims[l]))

    assert not Zeros([2, 3, 1], RELU, IDENTITY, MSE).params["W1"].any()


def test_a_loss_of_the_learner_s_own_is_used_unaltered(capsys):
    logcosh = {"loss": lambda y_hat, y: np.mean(np.log(np.cosh(y_hat - y))), "derivative": lambda y_hat, y: np.tanh(y_hat - y) / len(y)}
    lines = []
    for cls in (tutorial.NN, chainrule.NN):
        nn = cls([2, 3, 1], TANH, IDENTITY, logcosh, seed=2)
        nn.train(X / 10, Y / 100, 300, 0.1)
        lines.append(capsys.readouterr().out)
    assert lines[0] == lines[1] and lines[0].count("\n") == 3


def test_a_run_that_diverges_prints_nan_as_the_tutorial_s(capsys):
    with np.errstate(all="ignore"):
        _, expected = printed(tutorial.NN, capsys, rate=10.0, dims=(2, 3, 1), hidden=IDENTITY, steps=300)
        _, got = printed(chainrule.NN, capsys, rate=10.0, dims=(2, 3, 1), hidden=IDENTITY, steps=300)
    assert got == expected and "nan" in got
