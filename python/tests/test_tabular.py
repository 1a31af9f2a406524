"""The command's recipe on data frames."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule import TabularClassifier, TabularRegressor

AMES = Path(__file__).parents[2] / "examples" / "ames.csv"
QUICK = {"effort": "fast", "members": 2, "hidden": [32], "embedding": "piecewise:16:4"}


def frames():
    """The same mixed table from every library: numbers, texts, booleans, dates, categories, missing values."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    n = 300
    size = rng.normal(size=n)
    size[::17] = np.nan
    colour = rng.choice(["red", "green", "blue"], n).astype(object)
    colour[::23] = None
    frame = pd.DataFrame(
        {
            "size": size,
            "count": rng.integers(0, 9, n),
            "colour": pd.Series(colour, dtype="str"),
            "new": rng.random(n) > 0.5,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, n), unit="D"),
            "grade": pd.Categorical(rng.choice(["a", "b"], n)),
        }
    )
    y = np.nan_to_num(size) + (colour == "red") * 2.0 + 0.1 * rng.normal(size=n)
    return frame, y


def test_a_raw_frame_just_works_and_every_library_s_is_the_same():
    frame, y = frames()
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    model = TabularRegressor(**QUICK).fit(frame, y)
    assert model.score(frame, y) > 0.9
    assert model.feature_names_in_.tolist() == list(frame.columns)
    expected = model.predict(frame)
    for other in (pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        again = TabularRegressor(**QUICK).fit(other, y)
        assert again.fingerprint_ == model.fingerprint_, type(other)
        np.testing.assert_array_equal(again.predict(other), expected)
        np.testing.assert_array_equal(model.predict(other), expected)


def test_without_arrow_the_cells_are_the_same(monkeypatch):
    frame, y = frames()
    expected = TabularRegressor(**QUICK).fit(frame, y).fingerprint_
    monkeypatch.setattr("chainrule.tabular._is_pandas_without_arrow", lambda X: True)
    assert TabularRegressor(**QUICK).fit(frame, y).fingerprint_ == expected


def test_classes_of_any_type_come_back():
    frame, y = frames()
    for labels in (np.array(["low", "mid", "high"]), np.array([10, 20, 30]), np.array([1.0, 2.0, 3.0])):
        target = labels[np.digitize(y, [-0.5, 1.0])]
        model = TabularClassifier(**QUICK).fit(frame, target)
        assert set(model.predict(frame)) <= set(labels) and model.predict(frame).dtype == labels.dtype
        probabilities = model.predict_proba(frame)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
        assert model.classes_[probabilities.argmax(axis=1)].tolist() == model.predict(frame).tolist()
        assert model.score(frame, target) > 0.8


def test_unseen_categories_and_missing_values_predict():
    frame, y = frames()
    model = TabularRegressor(**QUICK).fit(frame, y)
    new = frame.head(3).copy()
    new.loc[0, "colour"] = "mauve"
    new.loc[1, "size"] = np.nan
    with pytest.warns(UserWarning, match="mauve|not seen"):
        assert np.isfinite(model.predict(new)).all()


def test_other_columns_and_another_order_are_refused_by_name():
    frame, y = frames()
    pl = pytest.importorskip("polars")
    model = TabularRegressor(**QUICK).fit(frame, y)
    for other in (frame[frame.columns[::-1]], frame.drop(columns="colour"), frame.rename(columns={"new": "old"})):
        for table in (other, pl.from_pandas(other)):
            with pytest.raises(ValueError, match="(?i)feature names"):
                model.predict(table)


def test_a_frame_s_index_is_no_column():
    frame, y = frames()
    shuffled = np.random.default_rng(1).permutation(len(y))
    model = TabularRegressor(**QUICK).fit(frame, y)
    again = TabularRegressor(**QUICK).fit(frame.set_index(np.arange(len(y))[::-1] + 0.5), y)
    assert again.fingerprint_ == model.fingerprint_ and again.n_features_in_ == frame.shape[1]
    np.testing.assert_array_equal(model.predict(frame.iloc[shuffled]), model.predict(frame)[shuffled])


def test_quantiles_weights_pickles_and_callbacks():
    frame, y = frames()
    seen = []
    model = TabularRegressor(**QUICK, quantiles=[0.1, 0.9], callbacks=[lambda est, facts: seen.append(facts["epoch"])])
    model.fit(frame, y, sample_weight=np.arange(len(y)) % 3)
    quantiles = model.predict_quantiles(frame)
    assert quantiles.shape == (len(y), 2) and (quantiles[:, 0] < quantiles[:, 1]).all() and seen
    again = pickle.loads(pickle.dumps(model.set_params(callbacks=None)))
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
    assert again.fingerprint_ == model.fingerprint_
    stopped = TabularRegressor(**QUICK, callbacks=[lambda est, facts: True]).fit(frame, y)
    assert stopped.n_iter_ < model.n_iter_


def test_the_saved_file_is_one_of_the_command(tmp_path):
    frame, y = frames()
    model = TabularRegressor(**QUICK).fit(frame, y)
    model.save(tmp_path / "model.safetensors")
    frame.to_csv(tmp_path / "new.csv", index=False, date_format="%Y-%m-%dT%H:%M:%S")
    command = [sys.executable, "-m", "chainrule", "predict", "model.safetensors", "new.csv"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    column = lines[0].split(",").index("prediction")
    np.testing.assert_allclose([float(line.split(",")[column]) for line in lines[1:]], model.predict(frame), rtol=1e-6)


def test_an_export_is_run_and_tells_how_it_compares(tmp_path):
    frame, y = frames()
    frame = frame.drop(columns="when")
    model = TabularClassifier(**QUICK).fit(frame, y > 0)
    for name in ("m.c", "m.rs", "m.onnx", "m.py"):
        check = model.export(tmp_path / name)
        assert check == json.loads((tmp_path / f"{name}.check.json").read_text())
        assert (check["rows"], check["labels_changed"]) == (256, 0)
        assert check["largest_ulp"] <= check["bound_ulp"]
        # What is not installed is said; a file that runs otherwise raises.
        assert check["run"].get("labels_changed", 0) == 0 and ("by" in check["run"]) != ("left_out" in check["run"])
    with pytest.raises(ValueError, match="m.c exists already; overwrite=True replaces it"):
        model.export(tmp_path / "m.c")
    assert model.export(tmp_path / "m.c", run=False, overwrite=True)["run"] == {"left_out": "--no-run"}
    with pytest.raises(ValueError, match="expected to="):
        model.export(tmp_path / "m.txt")
    with pytest.raises(ValueError, match="holds dates"):
        TabularRegressor(**QUICK).fit(frames()[0], y).export(tmp_path / "dates.onnx")


CTRL_C = """
import os, signal, threading, warnings
import numpy as np
from chainrule import TabularRegressor
X = np.random.default_rng(0).normal(size=(4000, 8))
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = TabularRegressor(folds=1, epochs=100000, patience=100000).fit(X, X[:, 0])
print([str(w.message) for w in caught], np.isfinite(model.predict(X)).all())
"""


def test_ctrl_c_stops_cleanly_leaves_a_model_and_says_so():
    run = subprocess.run([sys.executable, "-c", CTRL_C], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "['Training interrupted by user.'] True", run.stdout + run.stderr


def test_the_model_is_the_command_s_own(tmp_path):
    frame, y = frames()
    frame.assign(target=y).to_csv(tmp_path / "rows.csv", index=False, date_format="%Y-%m-%dT%H:%M:%S")
    options = ["--target", "target", "--test-fraction", "0", "--seed", "3", "--effort", "fast", "--members", "2"]
    options += ["--hidden", "32", "--embedding", "piecewise:16:4", "--json"]
    command = [sys.executable, "-m", "chainrule", "fit", "rows.csv", *options]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    told = json.loads(run.stdout.splitlines()[-1])
    assert TabularRegressor(**QUICK, random_state=3).fit(frame, y).fingerprint_ == told["fingerprint"]


def test_options_are_the_command_s_and_their_errors_too():
    frame, y = frames()
    with pytest.raises(ValueError, match="did you mean `relu`"):
        TabularRegressor(activation="rellu").fit(frame, y)
    with pytest.raises(ValueError, match="unknown effort"):
        TabularRegressor(effort="great").fit(frame, y)


def test_house_prices_are_learnt_from_eighty_columns():
    pd = pytest.importorskip("pandas")
    frame = pd.read_csv(AMES)
    y = frame.pop("Sale_Price").to_numpy()
    learn, score = np.arange(len(y)) % 5 != 0, np.arange(len(y)) % 5 == 0
    model = TabularRegressor(**QUICK).fit(frame[learn], y[learn])
    assert model.score(frame[score], y[score]) > 0.88
