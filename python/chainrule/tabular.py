"""``TabularClassifier`` and ``TabularRegressor``: data frames in, predictions out; the command's default preset."""

import json
import subprocess
import sys
import tempfile
import warnings
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from chainrule import _native
from chainrule._base import (
    HAS_SKLEARN,
    BaseEstimator,
    ClassifierMixin,
    ConvergenceWarning,
    RegressorMixin,
    _check_sample_weight,
    check_classification_targets,
    check_is_fitted,
    class_weights,
    column_or_1d,
    randomness,
    seed_of,
    threads,
)

if HAS_SKLEARN:
    from sklearn.utils.validation import _check_feature_names, _check_n_features, check_array

__all__ = ["TabularClassifier", "TabularRegressor"]

# Options of the command and the parameters that set them.
_OPTIONS = {
    "effort": "effort",
    "hidden": "hidden",
    "activation": "activation",
    "dropout": "dropout",
    "norm": "norm",
    "embedding": "embedding",
    "members": "members",
    "folds": "folds",
    "optimizer": "optimizer",
    "learning_rate": "learning-rate",
    "schedule": "schedule",
    "epochs": "epochs",
    "batch_size": "batch-size",
    "weight_decay": "weight-decay",
    "patience": "patience",
    "scale": "scale",
    "precision": "precision",
    "loss": "loss",
}


class _Tabular(BaseEstimator):
    """Everything but the targets."""

    def _options(self):
        options = {"target": self._target_name, "test-fraction": "0", "seed": str(self._seed())}
        for name, option in _OPTIONS.items():
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, (list, tuple)):
                value = ",".join(map(str, value)) or "none"
            options[option] = str(value)
        if self.categorical:
            options["categorical"] = ",".join(self._names_of(self.categorical))
        return options

    def _seed(self):
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return seed_of(randomness(self.random_state))

    def _names_of(self, columns):
        return [self._columns[c] if isinstance(c, Integral) else str(c) for c in columns]

    def _frame(self, X, reset):
        """The columns of ``X``: (what exports an Arrow stream or None, [(name, values)])."""
        if HAS_SKLEARN and hasattr(X, "shape") and hasattr(X, "toarray"):
            check_array(X, accept_sparse=False)  # raises: sparse matrices are no tables
        if hasattr(X, "__arrow_c_stream__") and not _is_pandas_without_arrow(X):
            names = [str(name) for name in _names(X)]
            # A pandas frame's index would come along as a column.
            frame = X.reset_index(drop=True) if type(X).__module__.startswith("pandas") else X
            columns, rows = [], None
            count = len(names)
        elif hasattr(X, "columns") and hasattr(X, "iloc"):
            names, frame = [str(name) for name in X.columns], None
            columns = [_cells(X.iloc[:, k].to_numpy(dtype=object, na_value=None)) for k in range(X.shape[1])]
            rows, count = X.shape
        else:
            X = self._array(X)
            frame, columns = None, [_cells(X[:, k]) for k in range(X.shape[1])]
            names = [f"x{k}" for k in range(X.shape[1])]
            rows, count = X.shape
        if HAS_SKLEARN:
            _check_feature_names(self, X, reset=reset)
            if hasattr(X, "shape"):
                _check_n_features(self, X, reset=reset)
        if reset:
            self.n_features_in_ = count
            self._columns = names
        elif frame is None and count != self.n_features_in_:
            message = f"X has {count} features, but {type(self).__name__} is expecting {self.n_features_in_} features as input."
            raise ValueError(message)
        elif frame is None and not hasattr(X, "columns"):
            names = self._columns
        return frame, list(zip(names, columns)) if frame is None else [], rows

    def _array(self, X):
        if HAS_SKLEARN:
            return check_array(
                X, dtype=None, ensure_all_finite="allow-nan", ensure_min_features=1, estimator=type(self).__name__
            )
        X = np.asarray(X)
        if X.ndim != 2 or not X.size:
            raise ValueError(f"Expected 2D array with rows and columns, got shape {X.shape} instead. Reshape your data.")
        return X

    def fit(self, X, y, sample_weight=None):
        """Fits the command's recipe on a table.

        Parameters
        ----------
        X : data frame (pandas, polars, pyarrow, …) or array-like of shape (n, columns)
            Numbers, texts, categories, booleans, dates; missing values are welcome.
        y : array-like of shape (n,)
            The target.
        sample_weight : array-like of shape (n,), optional
            Rows of weight 0 are dropped before anything else.

        Returns
        -------
        self
        """
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        frame, columns, rows = self._frame(X, reset=True)
        y = self._targets(column_or_1d(y, warn=True))
        rows = len(y) if rows is None else rows
        if len(y) != rows:
            raise ValueError(f"Found input variables with inconsistent numbers of samples: [{rows}, {len(y)}]")
        if rows < 2:
            raise ValueError(f"n_samples=1: {type(self).__name__} learns from 2 rows or more, got 1 sample")
        weights = None
        if sample_weight is not None:
            weights = np.asarray(_check_sample_weight(sample_weight, np.empty((rows, 1)), dtype=np.float64))
            if (weights < 0).any():
                raise ValueError("Negative values in data passed to `sample_weight`.")
            if not (weights > 0).any():
                raise ValueError("sample_weight: expected a weight above 0, got only zeros")
        weights = self._weigh(y, weights)
        taken = set(self._columns)
        self._target_name = _free("target", taken)
        more = [*columns, (self._target_name, self._target_cells(y))]
        options = self._options()
        if weights is not None:
            name = _free("weight", taken | {self._target_name})
            more.append((name, np.ascontiguousarray(weights)))
            options["sample-weight"] = name
        table = _native.Table(frame, more)
        if self._constant(y, weights):
            # One class, or one row of weight: nothing to tell apart.
            self._model, self.notes_, self.n_iter_ = None, [], 1
            return self
        model, facts, notes = _native.Model.fit(table, list(options.items()), threads(self.n_jobs), self._watch())
        self._model = model
        self.n_iter_ = max(1, facts["epochs"])
        self.notes_ = notes
        self.coverage_ = facts["coverage"]
        self._labels = [int(label) for label in facts["labels"]]
        if facts["raised"] is not None:
            if not isinstance(facts["raised"], KeyboardInterrupt):
                raise facts["raised"]
            warnings.warn("Training interrupted by user.", stacklevel=2)
        return self

    def _watch(self):
        if not self.callbacks:
            return None

        def watch(epoch, loss, validation_loss):
            facts = {"epoch": epoch, "loss": loss, "validation_loss": validation_loss}
            return any([bool(callback(self, facts)) for callback in self.callbacks])

        return watch

    def _predict(self, X):
        check_is_fitted(self)
        frame, columns, rows = self._frame(X, reset=False)
        table = _native.Table(frame, columns)
        if self._model is None:
            return None, None, table.rows
        values, quantiles, notes = self._model.predict(table, threads(self.n_jobs))
        self_notes = [note for note in notes if note not in self.notes_]
        for note in self_notes:
            warnings.warn(note, stacklevel=3)
        return values, quantiles, table.rows

    @property
    def fingerprint_(self):
        """The SHA-256 of the weights, as the command prints it."""
        check_is_fitted(self)
        return self._model.fingerprint if self._model is not None else None

    @property
    def facts_(self):
        """What the model file tells of the training."""
        check_is_fitted(self)
        return json.loads(self._model.facts) if self._model is not None else {}

    def save(self, path):
        """Writes the model file that ``chainrule predict`` reads; its labels are the codes 0, 1, … of ``classes_``."""
        check_is_fitted(self)
        if self._model is None:
            raise ValueError("save: the training rows had one class, there is no network")
        with open(path, "wb") as file:
            file.write(self._model.to_bytes())

    def export(self, path, to=None, *, run=True, overwrite=False):
        """Hands the model to another program: the command's ``export``.

        Parameters
        ----------
        path : str or path
            The file; beside it come ``NAME.check.json`` and, for PyTorch, the weights.
        to : {'pytorch', 'onnx', 'c', 'rust'}, optional
            The format; by default the one of the name's ending: .py, .onnx, .c, .rs.
        run : bool, default=True
            Whether the file is run by what it is for: cc, rustc, or this Python if it has torch or onnxruntime.
        overwrite : bool, default=False
            Whether existing files are replaced.

        Returns
        -------
        dict
            How the file compares with the model on drawn rows: ``largest_ulp``, ``labels_changed``, ``run``, …

        Raises
        ------
        ValueError
            If the model cannot leave or the file is not the model. Then no file is left.

        Notes
        -----
        As in :meth:`save`, labels are the codes 0, 1, … of ``classes_``.
        """
        endings = {".py": "pytorch", ".onnx": "onnx", ".c": "c", ".rs": "rust"}
        to = to or endings.get(Path(path).suffix)
        if to is None:
            raise ValueError(f"export: expected to='pytorch', 'onnx', 'c' or 'rust', or a name that ends as one of them, got {path}")
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model.safetensors"
            self.save(model)
            command = [sys.executable, "-m", "chainrule", "export", model, "--to", to, "-o", path, "--json"]
            if not run:
                command.append("--no-run")
            elif to in ("pytorch", "onnx"):
                command += ["--tool", sys.executable]
            done = subprocess.run(command + ["--force"] * overwrite, capture_output=True, text=True)
        if done.returncode:
            message = done.stderr.strip().removeprefix("error: ")
            for option, parameter in (("--no-run leaves", "run=False leaves"), ("--force replaces", "overwrite=True replaces")):
                message = message.replace(option, parameter)
            raise ValueError(message)
        return json.loads(done.stdout)["check"]

    def __getstate__(self):
        """Parameters and facts, and the model file's bytes: versioned, with a checksum, without any training data."""
        state = dict(super().__getstate__())
        if state.get("_model") is not None:
            state["_model"] = self._model.to_bytes()
        return state

    def __setstate__(self, state):
        state = dict(state)
        if isinstance(state.get("_model"), bytes):
            state["_model"] = _native.Model.from_bytes(state["_model"])
        super().__setstate__(state)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "n_iter_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _names(frame):
    """Column names of what exports an Arrow stream."""
    for name in ("columns", "column_names"):
        names = getattr(frame, name, None)
        if names is not None and len(names) and not hasattr(names[0], "type"):
            return list(names)
    schema = getattr(frame, "schema", None)
    return list(schema.names) if hasattr(schema, "names") else list(schema)


def _is_pandas_without_arrow(X):
    """Whether ``X`` is a pandas frame whose stream would need pyarrow, or one that pyarrow cannot type."""
    if not type(X).__module__.startswith("pandas"):
        return False
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return True
    # Mixed columns of objects, and columns whose names are no texts, go cell by cell.
    return any(dtype == object for dtype in X.dtypes) or not all(isinstance(name, str) for name in X.columns)


def _cells(values):
    """A column for the table: float64, or texts with None where missing."""
    values = np.asarray(values)
    if values.dtype.kind in "fiu":
        return np.ascontiguousarray(values, dtype=np.float64)
    if values.dtype.kind == "b":
        return ["true" if value else "false" for value in values]
    if values.dtype.kind == "c":
        raise ValueError("Complex data not supported")
    if values.dtype.kind == "M":
        return [None if np.isnat(value) else str(value.astype("datetime64[s]")) for value in values]
    missing = [value is None or value is not value or type(value).__name__ == "NAType" for value in values.tolist()]
    listed = values.tolist()
    if all(m or (isinstance(v, Real) and not isinstance(v, bool)) for v, m in zip(listed, missing)):
        return np.array([np.nan if m else float(v) for v, m in zip(listed, missing)])
    for value, m in zip(listed, missing):
        if not m and isinstance(value, (dict, list, set)):
            raise TypeError(f"argument must be a string or a number, not {type(value).__name__!r}")
    return [None if m else _text(value) for value, m in zip(listed, missing)]


def _text(value):
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def _free(name, taken):
    while name in taken:
        name += "_"
    return name


_PARAMETERS = """
    Every parameter but ``random_state``, ``n_jobs``, ``categorical`` and ``callbacks`` is an option of ``chainrule fit``
    by the same name; None leaves it to the preset and the data.

    Parameters
    ----------
    effort : {'fast', 'default', 'best'}, optional
        How many members, and how long they are trained.
    hidden : list of int, optional
        Widths of the hidden layers.
    activation, dropout, norm, embedding, members, folds, optimizer, learning_rate, schedule, epochs, batch_size,
    weight_decay, patience, scale, precision, loss : optional
        See ``chainrule fit --help``.
    categorical : list of str or int, optional
        Columns that are categories even if they look like numbers, by name or position.
    callbacks : list of callable, optional
        Each is called after an epoch of a member as ``callback(estimator, facts)``; a true answer ends the run.
    random_state : int, default=0
        The seed of weights, row order and folds.
    n_jobs : int, optional
        Threads; all that the process may use by default. No bit depends on them.
"""

_ATTRIBUTES = """
    Attributes
    ----------
    n_features_in_, feature_names_in_, n_iter_
        As scikit-learn's.
    notes_ : list of str
        What the recipe wants you to know about the data.
    facts_ : dict
        What the model file tells of the training.
    fingerprint_ : str
        SHA-256 of the weights.

    Notes
    -----
    The model is the one of ``chainrule fit --test-fraction 0``: no rows are held back for a score, which is yours to take.
    Rows are dealt into folds: a row of weight 2 stays in one fold where two equal rows may not, so weights are as
    repetition in the objective only.
"""


class TabularClassifier(ClassifierMixin, _Tabular):
    __doc__ = f"""Tells classes from the rows of a table: the command's default preset.
{_PARAMETERS}
    class_weight : dict or 'balanced', optional
        Weights of the classes in training.
{_ATTRIBUTES}
    Examples
    --------
    >>> from chainrule import TabularClassifier
    >>> X = [["red", 1.0], ["blue", None], ["red", 3.0], ["blue", 2.0]] * 5
    >>> TabularClassifier(effort="fast").fit(X, ["warm", "cold", "warm", "cold"] * 5).predict([["blue", 1.5]]).tolist()
    ['cold']
    """

    def __init__(
        self,
        *,
        effort=None,
        hidden=None,
        activation=None,
        dropout=None,
        norm=None,
        embedding=None,
        members=None,
        folds=None,
        optimizer=None,
        learning_rate=None,
        schedule=None,
        epochs=None,
        batch_size=None,
        weight_decay=None,
        patience=None,
        scale=None,
        precision=None,
        loss=None,
        class_weight=None,
        categorical=None,
        callbacks=None,
        random_state=0,
        n_jobs=None,
    ):
        self.effort = effort
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.norm = norm
        self.embedding = embedding
        self.members = members
        self.folds = folds
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.epochs = epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.patience = patience
        self.scale = scale
        self.precision = precision
        self.loss = loss
        self.class_weight = class_weight
        self.categorical = categorical
        self.callbacks = callbacks
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _options(self):
        return {**super()._options(), "task": "classification"}

    def _targets(self, y):
        _refuse_missing(y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        counts = np.bincount(codes)
        if counts.max() > 1 and counts.min() == 1:
            alone = self.classes_[counts == 1]
            warnings.warn(f"left out: classes with one row, which cannot be both learnt and held back: {alone}", stacklevel=3)
            # A row without a target is not learnt from; the class keeps its place in classes_.
            codes = np.where(counts[codes] == 1, -1, codes)
        return codes

    def _target_cells(self, codes):
        # Texts, so that no column of 0 and 1 is taken for numbers.
        return [None if code < 0 else str(code) for code in codes]

    def _weigh(self, codes, weights):
        return class_weights(self.class_weight, self.classes_, np.maximum(codes, 0), weights)

    def _constant(self, codes, weights):
        seen = codes[codes >= 0] if weights is None else codes[(codes >= 0) & (weights > 0)]
        self._only = int(seen[0])
        return (seen == seen[0]).all()

    def predict_proba(self, X):
        """Probabilities [n, classes], classes in the order of ``classes_``."""
        check_is_fitted(self)
        values, _, rows = self._predict(X)
        probabilities = np.zeros((rows, len(self.classes_)))
        if values is None:
            probabilities[:, self._only] = 1.0
        else:
            probabilities[:, self._labels] = values
        return probabilities

    def predict(self, X):
        """The most probable class of each row."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class TabularRegressor(RegressorMixin, _Tabular):
    __doc__ = f"""Predicts a number from the rows of a table: the command's default preset.
{_PARAMETERS}
    quantiles : list of float, optional
        Levels for :meth:`predict_quantiles`, measured on rows that were not learnt from.
    target_scale : {{'standard', 'robust', 'none'}}, optional
        What is done with the target.
{_ATTRIBUTES}
    coverage_ : (float, float) or None
        With quantiles and scored rows: the share that should lie between the outermost two, and the share that does.
    """

    def __init__(
        self,
        *,
        effort=None,
        hidden=None,
        activation=None,
        dropout=None,
        norm=None,
        embedding=None,
        members=None,
        folds=None,
        optimizer=None,
        learning_rate=None,
        schedule=None,
        epochs=None,
        batch_size=None,
        weight_decay=None,
        patience=None,
        scale=None,
        target_scale=None,
        precision=None,
        loss=None,
        quantiles=None,
        categorical=None,
        callbacks=None,
        random_state=0,
        n_jobs=None,
    ):
        self.effort = effort
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.norm = norm
        self.embedding = embedding
        self.members = members
        self.folds = folds
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.epochs = epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.patience = patience
        self.scale = scale
        self.target_scale = target_scale
        self.precision = precision
        self.loss = loss
        self.quantiles = quantiles
        self.categorical = categorical
        self.callbacks = callbacks
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _options(self):
        options = {**super()._options(), "task": "regression"}
        if self.target_scale is not None:
            options["target-scale"] = str(self.target_scale)
        if self.quantiles is not None:
            options["quantiles"] = ",".join(repr(float(level)) for level in self.quantiles)
        return options

    def _targets(self, y):
        y = np.asarray(y, dtype=np.float64)
        _refuse_missing(y)
        return y

    def _target_cells(self, y):
        return np.ascontiguousarray(y)

    def _weigh(self, y, weights):
        return weights

    def _constant(self, y, weights):
        seen = y if weights is None else y[weights > 0]
        self._only = float(seen[0])
        return (seen == seen[0]).all()

    def predict(self, X):
        """A number for each row."""
        values, _, rows = self._predict(X)
        return np.full(rows, self._only) if values is None else values[:, 0]

    def predict_quantiles(self, X):
        """The quantiles [n, levels], levels increasing."""
        if self.quantiles is None and not str(self.loss).startswith("quantile"):
            raise ValueError("predict_quantiles: fit with quantiles=[0.05, 0.5, 0.95]")
        _, quantiles, rows = self._predict(X)
        return np.full((rows, len(self.quantiles or ())), self._only) if quantiles is None else quantiles


def _refuse_missing(y):
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("Input y contains NaN or infinity.")
