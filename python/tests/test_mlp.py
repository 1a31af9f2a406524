"""What the MLP estimators grant beyond scikit-learn's, and what they promise of bits, files and processes."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import chainrule
from chainrule import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs ended")


def rings(rows=300, seed=0):
    """Two rings and the space between, four columns of which two are noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 4))
    return X, np.digitize(np.hypot(X[:, 0], X[:, 1]), [0.8, 1.5])


def waves(rows=200):
    rng = np.random.default_rng(3)
    X = rng.uniform(-2, 2, size=(rows, 3))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


def fitted(**options):
    X, y = rings()
    return MLPClassifier(**{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 1, **options}).fit(X, y)


@pytest.mark.parametrize(
    "option",
    [
        {"activation": "gelu"},
        {"dropout": 0.3},
        {"norm": "batch"},
        {"norm": "layer"},
        {"loss": "cross_entropy:0.1"},
        {"solver": "adamw"},
        {"solver": "rmsprop"},
        {"solver": "sgd"},
        {"weight_decay": 0.1},
        {"clip_norm": 0.01},
        {"init": "he_normal"},
        {"learning_rate": "cosine"},
        {"class_weight": "balanced"},
        {"class_weight": {0: 5.0}},
        {"alpha": 1.0},
        {"batch_size": 16},
        {"shuffle": False, "batch_size": 16},
        {"random_state": 2},
        {"beta_1": 0.5},
        {"beta_2": 0.9},
        {"epsilon": 1e-2},
        {"learning_rate_init": 0.01},
        {"hidden_layer_sizes": (8, 4)},
        {"max_iter": 6},
    ],
    ids=str,
)
def test_no_option_is_silent(option):
    base = {"batch_size": 16} if "shuffle" in option else {}
    assert fitted(**{**base, **option}).fingerprint_ != fitted(**base).fingerprint_


def test_each_hidden_layer_has_its_own_activation_and_dropout():
    X, y = waves()
    both = MLPRegressor(hidden_layer_sizes=(6, 5), activation=["tanh", "relu"], random_state=0, max_iter=3).fit(X, y)
    swapped = MLPRegressor(hidden_layer_sizes=(6, 5), activation=["relu", "tanh"], random_state=0, max_iter=3).fit(X, y)
    assert np.abs(both.transform(X, 0)).max() < 1 and both.transform(X, 1).min() == 0
    assert swapped.transform(X, 0).min() == 0 and np.abs(swapped.transform(X, 1)).max() < 1
    dropped = MLPRegressor(hidden_layer_sizes=(6, 5), dropout=[0.5, 0.0], random_state=0, max_iter=3).fit(X, y)
    assert np.array_equal(dropped.predict(X), dropped.predict(X))  # at prediction nothing is dropped
    with pytest.raises(ValueError, match="activation: expected 2 values"):
        MLPRegressor(hidden_layer_sizes=(6, 5), activation=["tanh"]).fit(X, y)


def test_an_activation_of_your_own_is_the_known_one_s_equal():
    X, y = waves()
    own = {"activation": lambda z: np.maximum(0, z), "derivative": lambda z: (z > 0).astype(float)}
    models = [MLPRegressor(hidden_layer_sizes=9, activation=a, random_state=0, max_iter=20).fit(X, y) for a in (own, "relu")]
    np.testing.assert_array_equal(models[0].predict(X), models[1].predict(X))


def test_an_error_in_your_own_activation_is_raised_as_it_is():
    def broken(z):
        raise RuntimeError("my mistake")

    X, y = waves()
    with pytest.raises(RuntimeError, match="my mistake"):
        MLPRegressor(hidden_layer_sizes=3, activation={"activation": broken, "derivative": np.ones_like}).fit(X, y)


def test_transform_gives_the_hidden_activations():
    X, y = waves()
    model = MLPRegressor(hidden_layer_sizes=(7, 4), random_state=0, max_iter=10).fit(X, y)
    first = np.maximum(0, X @ model.coefs_[0] + model.intercepts_[0])
    last = np.maximum(0, first @ model.coefs_[1] + model.intercepts_[1])
    np.testing.assert_allclose(model.transform(X, 0), first, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(model.transform(X), last, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(model.predict(X), last @ model.coefs_[2][:, 0] + model.intercepts_[2], rtol=1e-12)
    with pytest.raises(ValueError, match="expected a hidden layer from 0 to 1"):
        model.transform(X, 2)


def test_your_own_validation_rows_choose():
    X, y = rings(400)
    model = MLPClassifier((16,), early_stopping=True, n_iter_no_change=5, max_iter=200, random_state=0, learning_rate_init=0.01)
    model.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert model.best_epoch_ == int(np.argmax(model.validation_scores_)) + 1
    assert model.score(X[300:], y[300:]) == pytest.approx(model.best_validation_score_, abs=1e-12)
    newton = MLPClassifier((4,), solver="lbfgs", max_iter=20, random_state=0).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert len(newton.validation_loss_curve_) == 1 and len(newton.loss_curve_) == newton.n_iter_
    curve = MLPClassifier((16,), max_iter=30, random_state=0).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    probabilities = curve.predict_proba(X[300:])[np.arange(100), y[300:]]
    assert curve.validation_loss_curve_[-1] == pytest.approx(-np.log(probabilities).mean(), rel=1e-12)
    assert curve.best_epoch_ == int(np.argmin(curve.validation_loss_curve_)) + 1


def test_quantiles_are_ordered_and_cover_what_they_say():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(1500, 1))
    y = X[:, 0] + rng.normal(size=1500) * (0.2 + 0.5 * (X[:, 0] > 0))
    levels = [0.1, 0.5, 0.9]
    model = MLPRegressor(quantiles=levels, hidden_layer_sizes=16, learning_rate_init=0.01, max_iter=60, random_state=0).fit(X, y)
    found = model.predict_quantiles(X)
    assert found.shape == (1500, 3) and np.array_equal(model.predict(X), found[:, 1])
    for level, quantile in zip(levels, found.T):
        assert abs((y < quantile).mean() - level) < 0.04
    assert np.diff(found[X[:, 0] > 0.2], axis=1).mean() > 1.5 * np.diff(found[X[:, 0] < -0.2], axis=1).mean()


@pytest.mark.parametrize("loss", ["absolute_error", "huber:0.5", "poisson", "quantile:0.5"])
def test_every_loss_for_numbers_learns(loss):
    X, y = waves()
    y = np.exp(y / 2)
    model = MLPRegressor(loss=loss, hidden_layer_sizes=32, learning_rate_init=0.01, max_iter=150, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.7


def test_balanced_classes_find_the_rare_one():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(0, 1, (480, 2)), rng.normal(1.5, 1, (20, 2))])
    y = np.repeat([0, 1], [480, 20])
    plain = MLPClassifier((8,), random_state=0, max_iter=60, learning_rate_init=0.01).fit(X, y)
    balanced = MLPClassifier((8,), class_weight="balanced", random_state=0, max_iter=60, learning_rate_init=0.01).fit(X, y)
    assert balanced.predict(X)[y == 1].mean() > plain.predict(X)[y == 1].mean() + 0.3


@pytest.mark.parametrize("options", [{}, {"solver": "sgd", "dropout": 0.2}, {"norm": "batch", "learning_rate": "invscaling"}], ids=str)
def test_n_calls_of_partial_fit_are_one_fit_of_n_epochs(options):
    X, y = rings()
    options = {"batch_size": 32, "random_state": 5, "tol": 0.0, "n_iter_no_change": np.inf, **options}
    whole = MLPClassifier((8,), max_iter=6, **options).fit(X, y)
    pieces = MLPClassifier((8,), max_iter=6, **options)
    for _ in range(6):
        pieces.partial_fit(X, y, classes=[0, 1, 2])
    assert whole.fingerprint_ == pieces.fingerprint_
    assert whole.loss_curve_ == pieces.loss_curve_


@pytest.mark.parametrize("dump", ["pickle", "joblib", "deepcopy"])
def test_a_round_trip_in_the_middle_changes_nothing(dump, tmp_path):
    X, y = rings()
    options = {"batch_size": 32, "random_state": 5, "norm": "batch", "dropout": 0.1}
    straight = MLPClassifier((8,), **options)
    broken = MLPClassifier((8,), **options)
    for epoch in range(4):
        straight.partial_fit(X, y, classes=[0, 1, 2])
        broken.partial_fit(X, y, classes=[0, 1, 2])
        if dump == "pickle":
            broken = pickle.loads(pickle.dumps(broken))
        elif dump == "deepcopy":
            broken = copy.deepcopy(broken)
        else:
            joblib = pytest.importorskip("joblib")
            joblib.dump(broken, tmp_path / f"model{epoch}")
            broken = joblib.load(tmp_path / f"model{epoch}", mmap_mode="r")
    assert straight.fingerprint_ == broken.fingerprint_
    np.testing.assert_array_equal(straight.predict_proba(X), broken.predict_proba(X))


def test_a_pickle_is_checksummed_and_holds_no_training_data():
    X, y = rings(3000)
    model = MLPClassifier((8,), max_iter=2, random_state=0).fit(X, y)
    blob = pickle.dumps(model)
    assert len(blob) < 10_000 < X.nbytes
    state = model.__getstate__()
    state["_blob"] = state["_blob"][:-3] + b"\0\0\1"
    with pytest.raises(ValueError, match="altered since it was written"):
        MLPClassifier().__setstate__(state)


def test_threads_change_no_bit():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 60)).astype(np.float32)
    y = X[:, :3].sum(axis=1)
    prints = set()
    for n_jobs in (1, 2, None):
        prints.add(MLPRegressor(hidden_layer_sizes=(64, 64), n_jobs=n_jobs, max_iter=3, random_state=0).fit(X, y).fingerprint_)
    assert len(prints) == 1


def test_setting_coefs_is_seen_by_predict():
    model = fitted()
    X, _ = rings()
    for weights in model.coefs_:
        weights[...] = 0.0
    assert np.ptp(model.predict_proba(X), axis=0).max() == 0.0
    model.intercepts_ = [np.zeros_like(b) for b in model.intercepts_]
    np.testing.assert_allclose(model.predict_proba(X), 1 / 3)


def test_callbacks_see_every_epoch_and_may_stop():
    seen = []

    def stop_at_four(estimator, facts):
        seen.append((facts["epoch"], facts["loss"], len(estimator.loss_curve_)))
        return facts["epoch"] == 4

    model = fitted(callbacks=[stop_at_four], max_iter=50)
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3, 4] == [count for _, _, count in seen]
    assert model.n_iter_ == 4


@pytest.mark.parametrize(
    "options, message",
    [
        ({"activation": "rellu"}, "unknown layer `rellu`; did you mean `relu`"),
        ({"alpha": -1}, "'alpha' parameter of MLPClassifier must be a float in the range \\[0, inf\\)"),
        ({"solver": "ada"}, "'solver' parameter"),
        ({"hidden_layer_sizes": (4, 0)}, "hidden_layer_sizes must be > 0"),
        ({"dropout": 1.0}, "dropout: expected shares from 0 to below 1"),
        ({"norm": "group"}, "'norm' parameter"),
        ({"loss": "hinge"}, "'loss' parameter"),
        ({"learning_rate": "cosinus"}, "did you mean `cosine`"),
        ({"class_weight": "equal"}, "class_weight: expected a dictionary"),
        ({"n_jobs": 0}, "n_jobs: expected a whole number"),
        ({"solver": "lbfgs", "dropout": 0.5}, "dropout cannot act with solver='lbfgs'"),
        ({"solver": "lbfgs", "norm": "batch"}, "norm='batch' cannot act"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_with_the_next_step(options, message):
    with pytest.raises(ValueError, match=message):
        fitted(**options)


def test_weights_are_as_repeated_rows_and_zero_as_absent_ones():
    X, y = rings(60)
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    options = {"solver": "sgd", "batch_size": 10_000, "max_iter": 40, "random_state": 0, "alpha": 0.1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weighted = MLPClassifier((5,), **options).fit(X, y, sample_weight=counts)
        repeated = MLPClassifier((5,), **options).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)
    with pytest.raises(ValueError, match="(?i)zero"):
        MLPClassifier().fit(X, y, sample_weight=np.zeros(len(X)))


CTRL_C = """
import os, signal, sys, threading, warnings
import numpy as np
from chainrule import MLPRegressor
X = np.random.default_rng(0).normal(size=(4000, 30))
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = MLPRegressor(hidden_layer_sizes=(200, 200), max_iter=100000, tol=0, n_iter_no_change=np.inf).fit(X, X[:, 0])
print([str(w.message) for w in caught], np.isfinite(model.predict(X)).all())
"""


def test_ctrl_c_stops_cleanly_and_leaves_a_model():
    start = time.monotonic()
    run = subprocess.run([sys.executable, "-c", CTRL_C], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "['Training interrupted by user.'] True", run.stdout + run.stderr
    assert time.monotonic() - start < 60


def test_other_python_threads_run_while_it_trains():
    X = np.random.default_rng(0).normal(size=(3000, 30))
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    start = time.monotonic()
    # One epoch is one call of the engine: a ticker that waited for it would not tick.
    MLPRegressor(hidden_layer_sizes=(300, 300), batch_size=32, max_iter=1, random_state=0).fit(X, X[:, 0])
    took = time.monotonic() - start
    done.set()
    ticker.join()
    inside = [t for t in ticks if t > start]
    assert took > 0.02 and len(inside) > 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_trains_too():
    X, y = waves(1000)
    options = {"hidden_layer_sizes": (128, 128), "max_iter": 2, "random_state": 0}
    expected = MLPRegressor(**options).fit(X, y).fingerprint_
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os.write(writer, MLPRegressor(**options).fit(X, y).fingerprint_.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == expected
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity mask on this system")
def test_threads_stay_within_the_affinity_mask():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from chainrule._base import threads; print(threads(None), threads(8), threads(-1))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "1", "1"]


IMPORT = """
import time, numpy
start = time.perf_counter()
import chainrule
chainrule.NN
print(time.perf_counter() - start)
import sys
assert "sklearn" not in sys.modules and "pandas" not in sys.modules
"""


def test_importing_takes_less_than_60_ms_beyond_numpy():
    times = [float(subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout) for _ in range(5)]
    assert min(times) < 0.06, times


def test_the_version_is_the_library_s():
    assert chainrule.__version__.count(".") == 2 and "MLPClassifier" in dir(chainrule)
