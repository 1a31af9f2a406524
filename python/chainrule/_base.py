"""What the estimators share: scikit-learn's base classes where it is installed, the least of them where it is not."""

import inspect
import os
import warnings

import numpy as np

from chainrule import _native

try:
    import sklearn  # noqa: F401

    HAS_SKLEARN = True
except ImportError:
    HAS_SKLEARN = False

if HAS_SKLEARN:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets, type_of_target
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data
else:

    class ConvergenceWarning(UserWarning):
        """Training ended before it had converged."""

    class DataConversionWarning(UserWarning):
        """Data were converted."""

    class NotFittedError(ValueError, AttributeError):
        """The estimator is used before it is fitted."""

    class BaseEstimator:
        """Parameters by the names of the constructor's arguments, as scikit-learn has them."""

        @classmethod
        def _names(cls):
            parameters = inspect.signature(cls.__init__).parameters
            return sorted(name for name in parameters if name != "self")

        def get_params(self, deep=True):
            """The parameters by name."""
            return {name: getattr(self, name) for name in self._names()}

        def set_params(self, **params):
            """Sets parameters; returns the estimator."""
            for name, value in params.items():
                if name not in self._names():
                    raise ValueError(f"Invalid parameter {name!r} for estimator {self}.")
                setattr(self, name, value)
            return self

        def __repr__(self):
            signature = inspect.signature(type(self).__init__).parameters
            given = (f"{n}={v!r}" for n, v in self.get_params().items() if v is not signature[n].default)
            return f"{type(self).__name__}({', '.join(given)})"

        def __getstate__(self):
            return self.__dict__.copy()

        def __setstate__(self, state):
            self.__dict__.update(state)

    class ClassifierMixin:
        """Scores by accuracy."""

        def score(self, X, y, sample_weight=None):
            """The share of rows whose class is predicted."""
            return accuracy(np.asarray(y), self.predict(X), sample_weight)

    class RegressorMixin:
        """Scores by R²."""

        def score(self, X, y, sample_weight=None):
            """R², the share of the variance that is predicted."""
            return r2(np.asarray(y, dtype=float), self.predict(X), sample_weight)

    class TransformerMixin:
        """Fits and transforms."""

        def fit_transform(self, X, y=None, **options):
            """Fits to the rows of ``X``, then transforms them."""
            return self.fit(X, y, **options).transform(X)

    class ClassNamePrefixFeaturesOutMixin:
        """Names of what ``transform`` gives."""

        def get_feature_names_out(self, input_features=None):
            """``mlpclassifier0``, ``mlpclassifier1``, …"""
            return np.array([f"{type(self).__name__.lower()}{k}" for k in range(self._n_features_out)], dtype=object)

    class _Available:
        def __init__(self, function, check):
            self.function, self.check = function, check
            self.__doc__ = function.__doc__

        def __get__(self, estimator, owner=None):
            if estimator is None:
                return self.function
            if not self.check(estimator):
                raise AttributeError(f"{owner.__name__} has no {self.function.__name__}")
            return self.function.__get__(estimator, owner)

    def available_if(check):
        """A method that is there only where ``check(self)`` holds."""
        return lambda function: _Available(function, check)

    def check_is_fitted(estimator):
        """Refuses an estimator that is not fitted."""
        if not hasattr(estimator, "n_features_in_"):
            raise NotFittedError(f"This {type(estimator).__name__} instance is not fitted yet: call fit first.")

    def column_or_1d(y, warn=False):
        """A column as a vector."""
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            if warn:
                message = "A column-vector y was passed when a 1d array was expected."
                warnings.warn(message, DataConversionWarning, stacklevel=2)
            return y.ravel()
        if y.ndim != 1:
            raise ValueError(f"y should be a 1d array, got an array of shape {y.shape} instead.")
        return y

    def type_of_target(y):
        """``binary``, ``multiclass`` or ``multilabel-indicator``."""
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:
            if np.isin(y, (0, 1)).all():
                return "multilabel-indicator"
            raise ValueError("multioutput targets are not supported with label binarization")
        return "binary" if len(np.unique(y)) <= 2 else "multiclass"

    def check_classification_targets(y):
        """Refuses numbers that are no classes."""
        y = np.asarray(y)
        if y.dtype.kind == "f" and (y != np.trunc(y)).any():
            message = "Unknown label type: continuous. Maybe you are trying to fit a classifier on a regression target."
            raise ValueError(message)

    def _check_sample_weight(weights, X, dtype=None, ensure_non_negative=False):
        weights = np.ascontiguousarray(weights, dtype=dtype)
        if weights.shape != (len(X),):
            raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(len(X),)}!")
        if ensure_non_negative and (weights < 0).any():
            raise ValueError("Negative values in data passed to sample_weight")
        return weights

    def validate_data(estimator, X, y=None, *, reset=True, dtype=None, y_numeric=False, **_):
        """Arrays of finite numbers; the number of columns is kept with ``reset``, else compared."""
        if hasattr(X, "toarray"):
            X = X.toarray()
        X = np.asarray(X)
        if X.dtype not in (np.float32, np.float64):
            X = X.astype(float)
        if X.ndim != 2:
            raise ValueError(f"Expected 2D array, got an array of {X.ndim} dimensions instead. Reshape your data.")
        if not X.size:
            raise ValueError(f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s); at least 1 is required.")
        if not np.isfinite(X).all():
            raise ValueError("Input X contains NaN or infinity.")
        if reset:
            estimator.n_features_in_ = X.shape[1]
        elif X.shape[1] != estimator.n_features_in_:
            message = f"X has {X.shape[1]} features, but {type(estimator).__name__} is expecting {estimator.n_features_in_}"
            raise ValueError(f"{message} features as input.")
        if y is None:
            return X
        y = np.asarray(y, dtype=float if y_numeric else None)
        if len(y) != len(X):
            raise ValueError(f"Found input variables with inconsistent numbers of samples: {[len(X), len(y)]}")
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise ValueError("Input y contains NaN or infinity.")
        return X, y


def accuracy(y, predicted, weights=None):
    """The share of rows that are equal; of a multilabel row all labels."""
    equal = np.asarray(y == predicted)
    return float(np.average(equal.all(axis=1) if equal.ndim == 2 else equal, weights=weights))


def r2(y, predicted, weights=None):
    """R² = 1 − Σw(y − ŷ)²/Σw(y − ȳ)², the mean over outputs; of a constant y 1 where it is predicted, else 0."""
    y, predicted = (np.asarray(a, dtype=float).reshape(len(y), -1) for a in (y, predicted))
    weights = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    residual = weights @ (y - predicted) ** 2
    total = weights @ (y - np.average(y, axis=0, weights=weights)) ** 2
    scores = np.where(residual == 0.0, 1.0, 0.0)
    np.divide(residual, total, out=scores, where=total > 0.0)
    return float(np.mean(np.where(total > 0.0, 1.0 - scores, scores)))


def randomness(random_state):
    """NumPy's legacy generator for what scikit-learn calls a random state: its initial weights are drawn from it."""
    if random_state is None:
        return np.random.mtrand._rand
    if isinstance(random_state, (int, np.integer)):
        return np.random.RandomState(random_state)
    if isinstance(random_state, (np.random.RandomState, np.random.Generator)):
        return random_state
    raise ValueError(f"{random_state!r} cannot be used to seed a numpy.random.RandomState instance")


def seed_of(generator):
    """A seed for the library, drawn from a generator."""
    draw = generator.integers if isinstance(generator, np.random.Generator) else generator.randint
    return int(draw(2**31 - 1))


def threads(n_jobs):
    """How many threads: ``n_jobs`` (None or -1: all), never more than the affinity mask or OMP_NUM_THREADS allows."""
    most = _native.threads()
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit) > 0:
        most = min(most, int(limit))
    if n_jobs is None:
        return most
    if not isinstance(n_jobs, (int, np.integer)) or n_jobs == 0:
        raise ValueError(f"n_jobs: expected a whole number other than 0, or None; got {n_jobs!r}")
    return max(1, min(int(n_jobs), most) if n_jobs > 0 else most + 1 + int(n_jobs))


def dense(X):
    """A sparse matrix as an array: the engine's products are dense."""
    return X.toarray() if hasattr(X, "toarray") else X


def class_weights(class_weight, classes, codes, weights):
    """``weights`` times the weight of each row's class: ``balanced`` is n/(classes · rows of the class)."""
    if class_weight is None:
        return weights
    if class_weight == "balanced":
        counts = np.bincount(codes, minlength=len(classes))
        each = len(codes) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    elif isinstance(class_weight, dict):
        each = np.array([float(class_weight.get(c, class_weight.get(str(c), 1.0))) for c in classes.tolist()])
    else:
        raise ValueError(f"class_weight: expected a dictionary, 'balanced' or None; got {class_weight!r}")
    return each[codes] if weights is None else weights * each[codes]


def split(rows, fraction, seed, codes=None):
    """(training, choosing) positions: ⌈fraction · rows⌉ are chosen by, of every class its share where ``codes`` are given.

    The order is ``default_rng([seed, 2, 1])``'s permutation, as the command draws its choosing rows.
    """
    order = np.random.default_rng([seed, 2, 1]).permutation(rows)
    count = int(np.ceil(fraction * rows))
    if count < 2 or rows - count < 1:
        message = "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
        raise ValueError(message)
    if codes is None:
        return np.sort(order[count:]), np.sort(order[:count])
    # Largest remainders: every class gives ⌊share⌋ rows, the classes with most left over one more each.
    counts = np.bincount(codes)
    shares = counts * (count / rows)
    give = np.floor(shares).astype(int)
    most_left = np.argsort(-(shares - give), kind="stable")
    give[most_left[: count - give.sum()]] += 1
    rank = np.empty(rows, dtype=int)
    for code in range(len(counts)):
        members = order[codes[order] == code]
        rank[members] = np.arange(len(members))
    chosen = rank < give[codes]
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
