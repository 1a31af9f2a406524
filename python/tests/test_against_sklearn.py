"""The same numbers as scikit-learn's, live: float64, from its own initial ``coefs_``, rows in their order."""

import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402

import chainrule  # noqa: E402

STEPS = 200


def largest_error(ours, theirs):
    """The largest difference, relative to the tensor's largest entry."""
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(ours, theirs))


def data(task, rows=60):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(rows, 4))
    hidden = np.tanh(X @ rng.normal(size=(4, 3)))
    if task == "regression":
        return X, hidden @ rng.normal(size=3) + 0.1 * rng.normal(size=rows)
    if task == "outputs":
        return X, hidden @ rng.normal(size=(3, 2))
    if task == "poisson":
        return X, rng.poisson(np.exp(hidden[:, 0])).astype(float)
    if task == "labels":
        return X, (hidden[:, :2] > 0).astype(int)
    if task == "binary":
        return X, (hidden[:, 0] > 0).astype(int)
    return X, hidden.argmax(axis=1)


def test_the_first_weights_are_scikit_learn_s():
    X, y = data("classes")
    for activation in ("tanh", "logistic"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"random_state": 7, "max_iter": 1, "learning_rate_init": 1e-300, "solver": "sgd"}
            models = [cls((6, 4), activation, **options).fit(X, y) for cls in (MLPClassifier, chainrule.MLPClassifier)]
        theirs, ours = (model.coefs_ + model.intercepts_ for model in models)
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs))


def both(task, activation, steps=STEPS, **options):
    """Ours and scikit-learn's after so many epochs from the same start."""
    X, y = data(task)
    classes = (MLPClassifier, chainrule.MLPClassifier)
    if task in ("regression", "outputs", "poisson"):
        classes = (MLPRegressor, chainrule.MLPRegressor)
        if task == "poisson":
            options["loss"] = "poisson"
    options = {
        "hidden_layer_sizes": (7, 5),
        "activation": activation,
        "max_iter": steps,
        "shuffle": False,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "random_state": 3,
        "warm_start": True,
        **options,
    }
    theirs, ours = (cls(**options) for cls in classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A first step of each makes the attributes; then ours takes theirs, and both start their optimizers anew.
        theirs.set_params(max_iter=1).fit(X, y)
        ours.set_params(max_iter=1).fit(X, y)
        ours.coefs_ = [w.copy() for w in theirs.coefs_]
        ours.intercepts_ = [b.copy() for b in theirs.intercepts_]
        theirs.loss_curve_, ours.loss_curve_ = [], []
        # So that samples seen, by which `invscaling` moves, are counted alike.
        ours.t_ = theirs.t_
        theirs.set_params(max_iter=steps).fit(X, y)
        ours.set_params(max_iter=steps).fit(X, y)
    return ours, theirs, X


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("task", ["regression", "outputs", "poisson", "binary", "classes", "labels"])
@pytest.mark.parametrize(
    "solver",
    [
        {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False, "learning_rate_init": 0.01},
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True, "learning_rate_init": 0.01},
        {"solver": "adam", "learning_rate_init": 0.005, "epsilon": 1e-4},
    ],
    ids=["sgd", "momentum", "nesterov", "adam"],
)
def test_two_hundred_steps_are_scikit_learn_s(task, activation, solver):
    ours, theirs, X = both(task, activation, alpha=0.1, **solver)
    assert largest_error(ours.coefs_, theirs.coefs_) < 1e-12
    assert largest_error(ours.intercepts_, theirs.intercepts_) < 1e-12
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-12)
    assert len(ours.loss_curve_) == STEPS
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-10)
    if hasattr(ours, "predict_proba"):
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_mini_batches_with_a_short_last_one_are_scikit_learn_s(solver):
    ours, theirs, _ = both("regression", "tanh", steps=25, solver=solver, batch_size=16, alpha=0.5)
    assert largest_error(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_) < 1e-12
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-12)


def test_the_falling_rate_of_invscaling_is_scikit_learn_s_momentum_and_all():
    options = {"learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.1}
    ours, theirs, _ = both("classes", "tanh", steps=60, solver="sgd", **options)
    assert largest_error(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_) < 1e-12
    assert ours._rate == pytest.approx(theirs._optimizer.learning_rate, rel=1e-15)


def test_sample_weights_are_scikit_learn_s():
    X, y = data("classes")
    weights = np.random.default_rng(1).uniform(0.1, 3.0, len(X))
    models = []
    for cls in (MLPClassifier, chainrule.MLPClassifier):
        options = {"tol": 0.0, "n_iter_no_change": np.inf, "shuffle": False, "random_state": 1, "warm_start": True}
        model = cls(6, "tanh", solver="sgd", alpha=0.3, max_iter=1, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y, sample_weight=weights)
            if models:
                model.coefs_ = [w.copy() for w in models[0][0]]
                model.intercepts_ = [b.copy() for b in models[0][1]]
            models.append(([w.copy() for w in model.coefs_], [b.copy() for b in model.intercepts_]))
            model.set_params(max_iter=50).fit(X, y, sample_weight=weights)
        models.append((model.coefs_, model.intercepts_))
    for ours, theirs in zip(models[3], models[1]):
        assert largest_error(ours, theirs) < 1e-12


def test_coefs_go_both_ways():
    X, y = data("classes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = MLPClassifier((6, 4), random_state=1, max_iter=20).fit(X, y)
        ours = chainrule.MLPClassifier((6, 4), random_state=2, max_iter=1).fit(X, y)
        ours.coefs_, ours.intercepts_ = theirs.coefs_, theirs.intercepts_
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)
        ours.fit(X, y)
        theirs.coefs_, theirs.intercepts_ = ours.coefs_, ours.intercepts_
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)


def test_the_stopping_rules_are_scikit_learn_s():
    X, y = data("binary")
    for options in (
        {"solver": "sgd", "tol": 1e-3, "n_iter_no_change": 3},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 1e-2, "n_iter_no_change": 2},
    ):
        models = []
        for cls in (MLPClassifier, chainrule.MLPClassifier):
            model = cls(5, "tanh", shuffle=False, max_iter=1, random_state=4, warm_start=True, **options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(X, y)
                if models:
                    model.coefs_, model.intercepts_ = start
                start = [w.copy() for w in model.coefs_], [b.copy() for b in model.intercepts_]
                model.loss_curve_, model.best_loss_, model._no_improvement_count = [], np.inf, 0
                model.set_params(max_iter=5000).fit(X, y)
            models.append(model)
        theirs, ours = models
        assert ours.n_iter_ == theirs.n_iter_ >= 5
        assert ours.best_loss_ == pytest.approx(theirs.best_loss_, rel=1e-12)
