"""``MLPClassifier`` and ``MLPRegressor``: scikit-learn's estimators on Chainrule's engine, and what those do not grant."""

import json
import warnings
from numbers import Integral, Real

import numpy as np

from chainrule import _native
from chainrule._base import (
    HAS_SKLEARN,
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    ConvergenceWarning,
    RegressorMixin,
    TransformerMixin,
    _check_sample_weight,
    accuracy,
    available_if,
    check_classification_targets,
    check_is_fitted,
    class_weights,
    column_or_1d,
    dense,
    r2,
    randomness,
    seed_of,
    split,
    threads,
    type_of_target,
    validate_data,
)

__all__ = ["MLPClassifier", "MLPRegressor"]

_NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)
# Where SciPy's L-BFGS-B ends by default: a decrease of 1e7 machine epsilons.
_DECREASE = 1e7 * np.finfo(float).eps
_SOLVERS = ("sgd", "adam", "adamw", "rmsprop", "lbfgs")


class _MLP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Everything but the targets."""

    # -- parameters ----------------------------------------------------------------------------------------------------

    def _check_parameters(self):
        def number(name, low, high=np.inf, *, whole=False, open_low=False, open_high=False):
            value = getattr(self, name)
            kind = Integral if whole else Real
            fits = isinstance(value, kind) and not isinstance(value, (bool, np.bool_))
            fits = fits and low <= value <= high and not (open_low and value == low) and not (open_high and value == high)
            if not fits:
                opening, closing = "[("[open_low], "])"[open_high]
                expected = f"{'an int' if whole else 'a float'} in the range {opening}{low}, {high}{closing}"
                self._refuse(name, expected)

        def one_of(name, values):
            if getattr(self, name) not in values:
                self._refuse(name, f"a str among {sorted(values)}")

        number("alpha", 0, open_high=True)
        number("learning_rate_init", 0, open_low=True, open_high=True)
        number("power_t", 0, open_high=True)
        number("max_iter", 1, whole=True)
        number("tol", 0, open_high=True)
        number("momentum", 0, 1)
        number("validation_fraction", 0, 1, open_high=True)
        number("beta_1", 0, 1, open_high=True)
        number("beta_2", 0, 1, open_high=True)
        number("epsilon", 0, open_low=True, open_high=True)
        number("max_fun", 1, whole=True)
        if self.weight_decay is not None:
            number("weight_decay", 0, open_high=True)
        if self.n_iter_no_change != np.inf:
            number("n_iter_no_change", 1, whole=True)
        if self.batch_size != "auto":
            number("batch_size", 1, whole=True)
        one_of("solver", _SOLVERS)
        if self.norm is not None:
            one_of("norm", ("batch", "layer"))
        for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                self._refuse(name, "an instance of 'bool'")
        if self.solver == "lbfgs":
            for name in ("dropout", "weight_decay", "callbacks", "clip_norm"):
                value = getattr(self, name)
                if value is not None and np.any(value):
                    raise ValueError(f"{name} cannot act with solver='lbfgs': choose another solver")
            if self.norm == "batch":
                raise ValueError("norm='batch' cannot act with solver='lbfgs': choose another solver")

    def _refuse(self, name, expected):
        raise ValueError(
            f"The {name!r} parameter of {type(self).__name__} must be {expected}. Got {getattr(self, name)!r} instead."
        )

    def _hidden(self):
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if np.iterable(sizes) else [sizes]
        if any(not isinstance(size, Integral) or size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [int(size) for size in sizes]

    def _each(self, name, count):
        """A parameter that is one for all hidden layers, or a list of one each."""
        value = getattr(self, name)
        values = list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value] * count
        if len(values) != count:
            raise ValueError(f"{name}: expected {count} values (one a hidden layer), got {len(values)}")
        return values

    def _architecture(self):
        """The layers for the engine."""
        hidden = self._hidden()
        layers = []
        rates = self._each("dropout", len(hidden))
        for width, activation, rate in zip(hidden, self._each("activation", len(hidden)), rates):
            layers.append(f"dense:{width}")
            if self.norm is not None:
                layers.append(f"{self.norm}_norm")
            if isinstance(activation, dict):
                layers.append(("own", activation["activation"], activation["derivative"]))
            else:
                layers.append(activation)
            if not (isinstance(rate, Real) and 0 <= rate < 1):
                raise ValueError(f"dropout: expected shares from 0 to below 1, got {rate!r}")
            if rate:
                layers.append(f"dropout:{float(rate)!r}")
        return [*layers, f"dense:{self.n_outputs_}"]

    def _optimizer_name(self):
        if self.solver == "sgd":
            if self.momentum == 0:
                return "gradient_descent"
            if self.momentum == 1:
                raise ValueError("momentum=1 never forgets a gradient: expected a value below 1")
            return f"{'nesterov' if self.nesterovs_momentum else 'momentum'}:{float(self.momentum)!r}"
        if self.solver in ("adam", "adamw"):
            return f"adam_hat:{float(self.beta_1)!r}:{float(self.beta_2)!r}:{float(self.epsilon)!r}"
        if self.solver == "rmsprop":
            return f"rmsprop:{float(self.beta_2)!r}:{float(self.epsilon)!r}"
        return "lbfgs"

    def _decay(self):
        if self.weight_decay is None:
            return 0.01 if self.solver == "adamw" else 0.0
        return float(self.weight_decay)

    # -- the numbers ---------------------------------------------------------------------------------------------------

    def _start(self, generator, dtype):
        """Draws the parameters: weights and biases from U(−b, b), b = √(6/(n_in + n_out)), 2 for 6 with 'logistic'.

        For a number as ``random_state`` they are scikit-learn's, to the last bit.
        """
        activations = self._each("activation", len(self._hidden()))
        segments, _ = _native.layout(self._layers, self.n_features_in_)
        parts, bound, dense_layer = [], 0.0, 0
        for _, role, rows, cols in segments:
            if role == "weights":
                before = activations[min(dense_layer, len(activations) - 1)] if activations else "identity"
                factor = 2.0 if before == "logistic" else 6.0
                bound = np.sqrt(factor / (rows + cols))
                dense_layer += 1
            drawn = role in ("weights", "biases")
            parts.append(generator.uniform(-bound, bound, rows * cols) if drawn else np.full(cols, float(role == "scale")))
        _, self._running = _native.initial(self._layers, self.n_features_in_, "zeros", 0)
        self._running = self._running.astype(dtype)
        return np.concatenate(parts).astype(dtype)

    def _show(self, flat):
        """``coefs_`` and ``intercepts_`` as views of the engine's parameters."""
        self._flat = flat
        self.coefs_, self.intercepts_, self._norms = [], [], []
        homes = {"weights": self.coefs_, "biases": self.intercepts_, "scale": self._norms, "shift": self._norms}
        at = 0
        for _, role, rows, cols in _native.layout(self._layers, self.n_features_in_)[0]:
            view = flat[at : at + rows * cols]
            homes[role].append(view.reshape(rows, cols) if role == "weights" else view)
            at += rows * cols

    def _numbers(self):
        """The engine's parameters: those of ``coefs_`` and ``intercepts_``, whoever has set them."""
        flat = getattr(self, "_flat", None)
        homes = {"weights": iter(self.coefs_), "biases": iter(self.intercepts_)}
        norms = iter(getattr(self, "_norms", ()))
        parts, at, same = [], 0, flat is not None
        for _, role, rows, cols in _native.layout(self._layers, self.n_features_in_)[0]:
            part = np.asarray(next(homes.get(role, norms)))
            if part.size != rows * cols:
                raise ValueError(f"{role}: expected shape ({rows}, {cols}), got {part.shape}")
            same = same and part.base is flat and part.ctypes.data == flat.ctypes.data + at * flat.itemsize
            parts.append(part)
            at += part.size
        if same and at == flat.size:
            return flat
        dtype = np.result_type(*(part.dtype for part in parts))
        dtype = dtype if dtype in (np.float32, np.float64) else np.float64
        flat = np.concatenate([part.astype(dtype, copy=False).ravel() for part in parts])
        self._show(flat)
        return flat

    def _ready(self):
        """The layers of numbers that somebody has set by hand."""
        if not hasattr(self, "_layers"):
            self._layers = self._architecture()
            self._running = np.zeros(0, dtype=np.float64)
        return self._numbers()

    # -- fitting -------------------------------------------------------------------------------------------------------

    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, sample_weight_val=None):
        """Trains on the rows of ``X``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, features)
            Numbers; float32 trains in float32, everything else in float64.
        y : array-like of shape (n,) or (n, outputs)
            Targets.
        sample_weight : array-like of shape (n,), optional
            Weight 2 is as the row twice; rows of weight 0 are dropped before anything else.
        X_val, y_val, sample_weight_val : optional
            Rows of your own to choose by: ``validation_loss_curve_`` is their loss after every epoch, and with
            ``early_stopping`` their score stops the run, in the place of a share of the training rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data make no sense, or a number becomes infinite or undefined.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val), incremental=False)

    def _check_solver(self):
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
        return True

    def _fit(self, X, y, sample_weight, validation, incremental):
        self._check_parameters()
        self._hidden()
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, targets = self._validate(X, y, incremental, reset=first)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=X.dtype)
            if (weights < 0).any():
                raise ValueError("Negative values in data passed to `sample_weight`.")
            if not (weights > 0).any():
                raise ValueError("sample_weight: expected a weight above 0, got only zeros")
            if not weights.all():
                kept = weights > 0
                X, targets, weights = X[kept], targets[kept], weights[kept]
        weights = self._weigh_classes(targets, weights)
        if weights is not None:
            weights = np.ascontiguousarray(weights, dtype=X.dtype)
        targets = np.ascontiguousarray(targets, dtype=X.dtype)
        X = np.ascontiguousarray(X)
        if first:
            self._layers = self._architecture()
            generator = randomness(self.random_state)
            flat = self._start(generator, X.dtype)
            self._seed = seed_of(generator)
            if self.init is not None:
                flat = _native.initial(self._layers, self.n_features_in_, self.init, self._seed)[0].astype(X.dtype)
            self._show(flat)
            self._progress = {}
            self.t_ = 0
            self.loss_curve_ = []
            self.validation_loss_curve_ = []
            self.best_epoch_ = 0
            self._no_improvement_count = 0
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_ = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None
        elif not hasattr(self, "_progress"):
            # coefs_ were set by hand: training goes on from them.
            self._seed = seed_of(randomness(self.random_state))
            self._progress = {}
            self.validation_loss_curve_, self.best_epoch_ = [], 0
            for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
                self.__dict__.setdefault(name, None)
        elif not incremental:
            # A warm start: the optimizer begins anew, the order of rows goes on.
            self._progress = _resting(self._progress.get("epochs", 0), X.dtype)
        flat = self._ready()
        if flat.dtype != X.dtype:
            X, targets = X.astype(flat.dtype), targets.astype(flat.dtype)
            weights = None if weights is None else weights.astype(flat.dtype)
        self.n_layers_ = len(self._hidden()) + 2
        choosing = self._validate_choosing(validation, X.dtype)
        try:
            if self.solver == "lbfgs":
                self._fit_lbfgs(flat, (X, targets, weights), choosing)
            else:
                self._fit_stochastic(flat, (X, targets, weights), choosing, incremental)
        except FloatingPointError as error:
            raise ValueError(f"{_NOT_FINITE} ({error})") from None
        self._show(self._numbers())
        if not np.isfinite(self._flat).all():
            raise ValueError(_NOT_FINITE)
        return self

    def _given(self):
        return {"loss": self._loss_name(), "optimizer": self._optimizer_name(), "seed": self._seed}

    def _net(self, flat):
        """The network with these parameters, as the engine takes it."""
        return self._layers, self.n_features_in_, flat, self._running

    def _train(self, flat, data, choosing, given, progress, epochs, watch=None):
        """Some epochs on the engine; what the last one was like, with scikit-learn's ``loss_``."""
        x, y, w = data
        facts = _native.train(
            self._net(flat),
            (x, y, w),
            None if choosing is None else choosing[:3],
            given,
            progress,
            epochs,
            threads(self.n_jobs),
            watch,
        )
        # An epoch that Ctrl-C cuts short has no loss.
        if "loss" in facts:
            facts["loss_"] = facts["loss"] * self._loss_scale + self._loss_constant(y, w) + facts["penalty"]
        return facts

    def _fit_lbfgs(self, flat, data, choosing):
        given = {
            **self._given(),
            "alpha": float(self.alpha),
            "batch_size": None,
            "epochs": int(self.max_iter),
            "limits": (float(self.tol), _DECREASE, int(self.max_fun)),
        }
        losses = []
        self.validation_loss_curve_ = []
        x, y, w = data
        constant = self._loss_constant(y, w)

        def watch(facts):
            losses.append(facts["loss"] * self._loss_scale + constant + facts["penalty"])
            if self.verbose:
                print("Iteration %d, loss = %.8f" % (facts["epoch"], losses[-1]))
            return False

        facts = self._train(flat, data, choosing, given, {}, int(self.max_iter), watch)
        if choosing is not None:
            self.validation_loss_curve_ = [facts["validation_loss"]]
        self.n_iter_ = max(1, len(losses))
        after = _native.passes(self._net(flat), x, y, w, self._given()["loss"])["loss"]
        squares = sum(float(np.vdot(c, c)) for c in self.coefs_)
        total = len(x) if w is None else float(w.sum())
        self.loss_ = after * self._loss_scale + constant + 0.5 * self.alpha * squares / total
        self.loss_curve_ = [*losses[1:], self.loss_]
        self.best_epoch_ = self.n_iter_
        self._interrupted(facts)
        if facts["ended"] in ("completed", "spent"):
            what = "max_iter" if facts["ended"] == "completed" else "max_fun"
            message = f"lbfgs ended at {what}={getattr(self, what)} before it had converged: raise it, or scale the data."
            warnings.warn(message, ConvergenceWarning, stacklevel=4)

    def _interrupted(self, facts):
        raised = facts["raised"]
        if raised is None:
            return False
        if not isinstance(raised, KeyboardInterrupt):
            raise raised
        warnings.warn("Training interrupted by user.", stacklevel=5)
        return True

    def _fit_stochastic(self, flat, data, choosing, incremental):
        x, y, w = data
        if self.early_stopping and choosing is None:
            learn, choose = split(len(x), self.validation_fraction, self._seed, self._strata(y))
            pick = lambda rows: (x[rows], y[rows], None if w is None else w[rows])  # noqa: E731
            (x, y, w), choosing = pick(learn), (*pick(choose), None)
            data = (x, y, w)
        n = len(x)
        batch = min(200, n) if self.batch_size == "auto" else self.batch_size
        if batch > n:
            message = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            warnings.warn(message, stacklevel=4)
        rules = ("constant", "invscaling", "adaptive")
        schedule = "constant" if self.learning_rate in rules else self.learning_rate
        given = {
            **self._given(),
            "alpha": float(self.alpha),
            "weight_decay": self._decay(),
            "clip_norm": self.clip_norm,
            "batch_size": int(min(batch, n)),
            "shuffle": bool(self.shuffle),
            "schedule": schedule,
            "epochs": int(self.max_iter),
        }
        # scikit-learn's rules for the rate are those of its SGD alone.
        rule = self.learning_rate if self.solver == "sgd" and self.learning_rate in rules else "constant"
        if not incremental or not hasattr(self, "_rate"):
            self._rate = float(self.learning_rate_init)
        best = None
        self.n_iter_ = 0
        for _ in range(1 if incremental else self.max_iter):
            given["learning_rate"] = self._rate
            try:
                facts = self._train(flat, data, choosing, given, self._progress, 1)
            except FloatingPointError as error:
                if not self.early_stopping:
                    raise
                # As scikit-learn: a run that diverges ends, and the best parameters stay.
                self.validation_scores_.append(float("nan"))
                self.n_iter_ += 1
                warnings.warn(f"Training diverged and was stopped: {error}", ConvergenceWarning, stacklevel=4)
                break
            if "loss" not in facts and self._interrupted(facts):
                break
            self.n_iter_ += 1
            self.loss_ = facts["loss_"]
            self.loss_curve_.append(self.loss_)
            self.t_ += n
            if self.verbose:
                print("Iteration %d, loss = %.8f" % (self.n_iter_, self.loss_))
            if choosing is not None:
                self.validation_loss_curve_.append(facts["validation_loss"])
            if self._judge(choosing):
                best = (flat.copy(), self._running.copy())
            if self._interrupted(facts):
                break
            if rule == "invscaling":
                self._new_rate(self.learning_rate_init / (self.t_ + 1) ** self.power_t)
            if self._told(facts):
                break
            if self._no_improvement_count > self.n_iter_no_change:
                what = "Validation score" if self.early_stopping else "Training loss"
                message = f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
                if rule != "adaptive" or self._rate <= 1e-6:
                    if self.verbose:
                        small = " Learning rate too small." if rule == "adaptive" else ""
                        print(f"{message}{small} Stopping.")
                    break
                self._new_rate(self._rate / 5.0)
                self._no_improvement_count = 0
                if self.verbose:
                    print(f"{message} Setting learning rate to {self._rate:f}")
            if not incremental and self.n_iter_ == self.max_iter:
                message = f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged yet."
                warnings.warn(message, ConvergenceWarning, stacklevel=4)
        if self.early_stopping and best is not None:
            flat[:], self._running[:] = best

    def _new_rate(self, rate):
        """scikit-learn's velocity holds the rate, the engine's does not: ηv stays as it was."""
        if self.momentum > 0 and len(self._progress["first"]):
            self._progress["first"] *= self._rate / rate
        self._rate = rate

    def _judge(self, choosing):
        """Counts epochs without improvement, as scikit-learn; whether this one is the best by its score."""
        epoch = len(self.loss_curve_)
        if not self.early_stopping:
            self._no_improvement_count = (
                self._no_improvement_count + 1 if self.loss_curve_[-1] > self.best_loss_ - self.tol else 0
            )
            if self.loss_curve_[-1] < self.best_loss_:
                self.best_loss_ = self.loss_curve_[-1]
                if choosing is None:
                    self.best_epoch_ = epoch
            if choosing is not None and self.validation_loss_curve_[-1] <= min(self.validation_loss_curve_):
                self.best_epoch_ = epoch
            return False
        x, y, w, _ = choosing
        score = self._score_of(self._outputs(x), y, w)
        self.validation_scores_.append(score)
        if self.verbose:
            print("Validation score: %f" % score)
        self._no_improvement_count = (
            self._no_improvement_count + 1 if score < self.best_validation_score_ + self.tol else 0
        )
        if score > self.best_validation_score_:
            self.best_validation_score_, self.best_epoch_ = score, epoch
            return True
        return False

    def _told(self, facts):
        """Whether a callback ends the run."""
        ends = [callback(self, facts) for callback in self.callbacks or ()]
        return any(bool(end) for end in ends)

    # -- predicting ----------------------------------------------------------------------------------------------------

    def _outputs(self, X, loss=True):
        flat = self._ready()
        x = np.ascontiguousarray(X, dtype=flat.dtype)
        name = self._loss_name() if loss else None
        jobs = threads(self.n_jobs)
        return _native.predict(self._net(flat), x, name, jobs)

    def _inputs(self, X):
        check_is_fitted(self)
        return validate_data(self, dense(X), dtype=(np.float64, np.float32), reset=False)

    def transform(self, X, layer=-1):
        """What hidden layer ``layer`` makes of the rows: its activations, [n, neurons].

        Parameters
        ----------
        X : array-like of shape (n, features)
        layer : int
            The hidden layer, from 0; −1 is the last.
        """
        X = self._inputs(X)
        ends = [k for k, name in enumerate(self._layers) if isinstance(name, str) and name.startswith("dense:")][1:]
        if not ends or not -len(ends) <= layer < len(ends):
            raise ValueError(f"layer: expected a hidden layer from 0 to {len(ends) - 1}, got {layer}")
        layers = self._layers[: ends[layer]]
        flat = self._ready()
        segments, running = _native.layout(layers, self.n_features_in_)
        count = sum(rows * cols for _, _, rows, cols in segments)
        x = np.ascontiguousarray(X, dtype=flat.dtype)
        net = (layers, self.n_features_in_, flat[:count].copy(), self._running[:running].copy())
        return _native.predict(net, x, None, threads(self.n_jobs))

    @property
    def _n_features_out(self):
        return self._hidden()[-1] if self._hidden() else self.n_features_in_

    @property
    def fingerprint_(self):
        """The SHA-256 of the weights: equal if and only if all of them are, to the last bit."""
        check_is_fitted(self)
        return _native.fingerprint(self._net(self._ready()))

    # -- files ---------------------------------------------------------------------------------------------------------

    def __getstate__(self):
        """Parameters and facts, and one blob of numbers: versioned, with a checksum, without any training data."""
        state = dict(super().__getstate__())
        if "_layers" not in state or "coefs_" not in state:
            return state
        arrays = {"parameters": self._ready(), "running": self._running}
        progress = dict(state.pop("_progress", {}))
        arrays |= {name: progress.pop(name) for name in ("first", "second") if name in progress}
        for name in ("_flat", "coefs_", "intercepts_", "_norms", "_running"):
            state.pop(name, None)
        arrays = {name: array for name, array in arrays.items() if array.size}
        state["_blob"] = _native.pack(arrays, json.dumps(progress))
        return state

    def __setstate__(self, state):
        state = dict(state)
        blob = state.pop("_blob", None)
        super().__setstate__(state)
        if blob is None:
            return
        arrays, progress = _native.unpack(blob)
        flat = arrays["parameters"]
        empty = np.zeros(0, dtype=flat.dtype)
        self._running = arrays.get("running", empty)
        progress = json.loads(progress)
        if progress:
            progress["powers"] = tuple(progress["powers"])
            self._progress = {**progress, "first": arrays.get("first", empty), "second": arrays.get("second", empty)}
        else:
            self._progress = {}
        self._show(flat)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coefs_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _resting(epochs, dtype):
    """The progress of an optimizer that has taken no step, after so many epochs."""
    empty = np.zeros(0, dtype=dtype)
    return {"epochs": epochs, "steps": 0, "plateau": 1.0, "powers": (1.0, 1.0), "first": empty, "second": empty.copy()}


_PARAMETERS = """
    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter,
    shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction,
    beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As scikit-learn's, with its defaults and meaning: the objective has ½·alpha·‖W‖²/Σw, biases are not penalised, an
        epoch without improvement is one whose loss is above ``best_loss_ - tol``. Beyond them:

        - ``activation`` is any of the library's (``gelu``, ``mish``, ``leaky_relu:0.2``, …), a dictionary of a function
          and its derivative, or a list of one for each hidden layer;
        - ``solver`` may be ``adamw`` or ``rmsprop``;
        - ``learning_rate`` may be a schedule of the library (``cosine``, ``one_cycle``, ``cos_log``, …), for every solver.
    dropout : float or list of float, default=0
        Share of each hidden layer's neurons that is dropped in training.
    norm : {None, 'batch', 'layer'}, default=None
        After each hidden dense layer.
    weight_decay : float, optional
        Decoupled weight decay λ (0.01 for ``adamw``, else 0): θ ← (1 − ηλ)θ before each step, weights only, divided by nothing.
    clip_norm : float, optional
        The gradient is shortened to this Euclidean norm where it is longer.
    init : str, optional
        An initialiser of the library (``he``, ``lecun``, ``normal:0.001``, …); biases then start at 0. By default
        weights and biases are Glorot's uniform, as scikit-learn's.
    callbacks : list of callable, optional
        Each is called after an epoch as ``callback(estimator, facts)``; ``facts`` holds epoch, steps, loss,
        validation_loss, learning_rate, gradient_norms by segment and the share of dead units by layer. A true answer ends the run.
    n_jobs : int, optional
        Threads; all that the process may use by default. No bit depends on them.
"""

_ATTRIBUTES = """
    Attributes
    ----------
    coefs_, intercepts_ : lists of arrays
        [n_in, n_out] and [n_out] of each layer; they may be set, also to those of a scikit-learn estimator.
    loss_, best_loss_, loss_curve_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_,
    feature_names_in_, validation_scores_, best_validation_score_
        As scikit-learn's.
    validation_loss_curve_ : list of float
        The loss of the rows that choose, without penalty, after every epoch; of L-BFGS after the last.
    best_epoch_ : int
        The epoch, from 1, of the best validation score, validation loss or training loss, whichever there is.
    fingerprint_ : str
        SHA-256 of the weights.

    Notes
    -----
    Same data, parameters and ``random_state``: same bits, for any number of threads. The initial weights are
    scikit-learn's for that number; behind them a seed is drawn for everything else, and the order of rows is that of
    ``np.random.default_rng([seed, 1, epoch])``: n calls of ``partial_fit`` are one fit of n epochs, but scikit-learn's own
    order is not promised. Ctrl-C ends training with a warning; the best parameters so far stay.
"""


class MLPClassifier(ClassifierMixin, _MLP):
    __doc__ = f"""A multi-layer perceptron that tells classes; also several labels a row.
{_PARAMETERS}
    loss : str, default='log_loss'
        Cross-entropy; ``cross_entropy:0.1`` smooths the labels of three classes or more.
    class_weight : dict or 'balanced', optional
        Weights of the classes in training.
{_ATTRIBUTES}
    Examples
    --------
    >>> from chainrule import MLPClassifier
    >>> X, y = [[0., 0.], [0., 1.], [1., 0.], [1., 1.]], ["no", "yes", "yes", "no"]
    >>> MLPClassifier(8, "tanh", solver="lbfgs", random_state=1).fit(X, y).predict(X).tolist()
    ['no', 'yes', 'yes', 'no']
    """

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        loss="log_loss",
        class_weight=None,
        dropout=0.0,
        norm=None,
        weight_decay=None,
        clip_norm=None,
        init=None,
        callbacks=None,
        n_jobs=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.class_weight = class_weight
        self.dropout = dropout
        self.norm = norm
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.init = init
        self.callbacks = callbacks
        self.n_jobs = n_jobs

    _loss_scale = 1.0

    def _loss_constant(self, y, w):
        return 0.0

    def _loss_name(self):
        if self.out_activation_ == "logistic":
            if self.loss not in ("log_loss", "binary_cross_entropy"):
                self._refuse("loss", "'log_loss' for two classes or several labels")
            return "binary_cross_entropy"
        if self.loss == "log_loss":
            return "cross_entropy"
        if str(self.loss).split(":")[0] != "cross_entropy":
            self._refuse("loss", "'log_loss' or 'cross_entropy:SMOOTHING'")
        return self.loss

    def _kinds(self, y):
        """The kind of target, and its classes."""
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multilabel-indicator":
            return kind, np.arange(np.asarray(dense(y)).shape[1])
        return kind, np.unique(y)

    def _validate(self, X, y, incremental, reset):
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=(np.float64, np.float32), reset=reset
        )
        X = dense(X)
        y = dense(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        kind, classes = self._kinds(y)
        if reset and not incremental or not hasattr(self, "classes_"):
            self._labels, self.classes_ = kind == "multilabel-indicator", classes
        elif self.warm_start and not incremental:
            if set(classes.tolist()) != set(self.classes_.tolist()):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )
        count = len(self.classes_)
        if self._labels:
            self.n_outputs_, self.out_activation_ = count, "logistic"
            return X, y
        codes = np.searchsorted(self.classes_, y)
        # As scikit-learn: two classes (or one) have one output, more have one each.
        self.n_outputs_ = count if count > 2 else 1
        self.out_activation_ = "softmax" if count > 2 else "logistic"
        if count == 1:
            codes = np.zeros(len(y))
        return X, codes.reshape(-1, 1)

    def _weigh_classes(self, targets, weights):
        if self.class_weight is None:
            return weights
        if self._labels:
            raise ValueError("class_weight cannot act on several labels a row")
        return class_weights(self.class_weight, self.classes_, targets[:, 0].astype(int), weights)

    def _strata(self, y):
        if self._labels:
            return None
        codes = y[:, 0].astype(int)
        counts = np.bincount(codes)
        alone = np.flatnonzero(counts == 1)
        if not len(alone):
            return codes
        if len(self.classes_) > 2:
            return None
        names = [str(bool(code)) for code in alone]
        raise ValueError(
            "The least populated classes in y have only 1 member, which is too few. The minimum number of groups for any "
            f"class cannot be less than 2. Classes with too few members are: {names}"
        )

    def _validate_choosing(self, validation, dtype):
        X, y, weights = validation
        if X is None and y is None:
            return None
        X, y = validate_data(self, dense(X), y, multi_output=True, dtype=dtype, reset=False)
        y = dense(y)
        if not self._labels:
            y = column_or_1d(y)
            if len(np.setdiff1d(y, self.classes_)):
                raise ValueError(f"y_val has classes that y has not: {np.setdiff1d(y, self.classes_)}")
            y = np.searchsorted(self.classes_, y).reshape(-1, 1)
        weights = None if weights is None else _check_sample_weight(weights, X, dtype=dtype)
        return np.ascontiguousarray(X), np.ascontiguousarray(y, dtype=dtype), weights, None

    def _score_of(self, outputs, y, weights):
        if not np.isfinite(outputs).all():
            return float("nan")
        if self.out_activation_ == "softmax":
            return accuracy(y[:, 0], outputs.argmax(axis=1), weights)
        return accuracy(y, outputs > 0.5, weights)

    @available_if(lambda self: self._check_solver())
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """One more epoch on these rows; the first call needs all ``classes``.

        The optimizer and the order of rows go on: n calls on the same rows are one fit of n epochs.
        """
        if classes is not None:
            classes = np.unique(np.asarray(classes))
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._labels = type_of_target(y) == "multilabel-indicator"
            self.classes_ = classes
        elif classes is not None and not np.array_equal(classes, np.asarray(self.classes_)):
            raise ValueError(f"`classes={classes}` is not the same as on last call to partial_fit, was: {self.classes_}")
        return self._fit(X, y, sample_weight, (None, None, None), incremental=True)

    def predict(self, X):
        """The class of each row, or of several labels those above one half."""
        outputs = self._outputs(self._inputs(X))
        if self._labels:
            return (outputs > 0.5).astype(int)
        if self.out_activation_ == "softmax":
            return self.classes_[outputs.argmax(axis=1)]
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(outputs))
        return self.classes_[(outputs[:, 0] > 0.5).astype(int)]

    def predict_proba(self, X):
        """Probabilities [n, classes], classes in the order of ``classes_``."""
        outputs = self._outputs(self._inputs(X))
        if self.n_outputs_ > 1:
            return outputs
        if len(self.classes_) == 1:
            return np.ones_like(outputs)
        return np.hstack([1 - outputs, outputs])

    def predict_log_proba(self, X):
        """The natural logarithms of :meth:`predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _MLP):
    __doc__ = f"""A multi-layer perceptron that predicts numbers, one or several a row.
{_PARAMETERS}
    loss : str, default='squared_error'
        ``squared_error``, ``poisson``, ``absolute_error``, ``huber:1``, ``quantile:0.1:0.5:0.9``.
    quantiles : list of float, optional
        Levels to predict, in the place of ``loss``: :meth:`predict` then gives the one nearest the median.
{_ATTRIBUTES}
    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import MLPRegressor
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = MLPRegressor(hidden_layer_sizes=8, activation="tanh", solver="lbfgs", random_state=1).fit(X, X[:, 0] ** 2)
    >>> bool(model.score(X, X[:, 0] ** 2) > 0.99)
    True
    """

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        quantiles=None,
        dropout=0.0,
        norm=None,
        weight_decay=None,
        clip_norm=None,
        init=None,
        callbacks=None,
        n_jobs=None,
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.quantiles = quantiles
        self.dropout = dropout
        self.norm = norm
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.init = init
        self.callbacks = callbacks
        self.n_jobs = n_jobs

    def _loss_name(self):
        if self.quantiles is not None:
            return "quantile:" + ":".join(repr(float(level)) for level in self.quantiles)
        if str(self.loss).split(":")[0] not in ("squared_error", "poisson", "absolute_error", "huber", "quantile"):
            self._refuse("loss", "a loss for numbers: squared_error, poisson, absolute_error, huber, quantile:0.1:0.9")
        return self.loss

    def _levels(self):
        name = self._loss_name()
        return [float(level) for level in name.split(":")[1:]] or [0.5] if name.startswith("quantile") else []

    @property
    def _loss_scale(self):
        # scikit-learn's squared error is a mean over outputs, the engine's loss a sum.
        return 1.0 / self.n_outputs_ if self._loss_name() == "squared_error" else 1.0

    def _loss_constant(self, y, w):
        """scikit-learn's Poisson loss is 0 for a perfect prediction: y ln y − y is added."""
        if self._loss_name() != "poisson":
            return 0.0
        constant = y * np.log(np.where(y > 0, y, 1.0)) - y
        return float(np.average(constant, weights=w, axis=0).sum())

    def _validate(self, X, y, incremental, reset):
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = y.reshape(len(y), -1)
        levels = self._levels()
        if levels and y.shape[1] > 1:
            raise ValueError(f"quantiles: expected one target column, got {y.shape[1]}")
        self.n_outputs_ = len(levels) or y.shape[1]
        self.out_activation_ = _native.link(self._loss_name(), self.n_outputs_)[0]
        return dense(X), y

    def _weigh_classes(self, targets, weights):
        return weights

    def _strata(self, y):
        return None

    def _validate_choosing(self, validation, dtype):
        X, y, weights = validation
        if X is None and y is None:
            return None
        X, y = validate_data(self, dense(X), y, multi_output=True, y_numeric=True, dtype=dtype, reset=False)
        y = np.ascontiguousarray(y.reshape(len(y), -1), dtype=dtype)
        weights = None if weights is None else _check_sample_weight(weights, X, dtype=dtype)
        return np.ascontiguousarray(X), y, weights, None

    def _score_of(self, outputs, y, weights):
        outputs = self._point(outputs)
        return r2(y, outputs, weights) if np.isfinite(outputs).all() else float("nan")

    def _point(self, outputs):
        levels = self._levels()
        if not levels:
            return outputs
        middle = int(np.argmin(np.abs(np.array(levels) - 0.5)))
        return outputs[:, [middle]]

    @available_if(lambda self: self._check_solver())
    def partial_fit(self, X, y, sample_weight=None):
        """One more epoch on these rows.

        The optimizer and the order of rows go on: n calls on the same rows are one fit of n epochs.
        """
        return self._fit(X, y, sample_weight, (None, None, None), incremental=True)

    def predict(self, X):
        """Predictions, (n,) or (n, outputs); of quantiles the one nearest the median."""
        outputs = self._point(self._outputs(self._inputs(X)))
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def predict_quantiles(self, X):
        """The quantiles [n, levels], levels in the order they were given."""
        if not self._levels():
            raise ValueError("predict_quantiles: fit with quantiles=[0.05, 0.5, 0.95], or loss='quantile:0.05:0.95'")
        return self._outputs(self._inputs(X))
