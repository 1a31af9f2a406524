"""A pytest plugin: scikit-learn's own ``test_mlp.py`` meets our two classes.

``pytest -p mlp_shim --pyargs sklearn.neural_network.tests.test_mlp``, with this folder on PYTHONPATH.
"""

from types import SimpleNamespace

import pytest
import sklearn.neural_network

import chainrule

# Tests that reach into scikit-learn's private parts, with what they reach for.
EXCLUDED = {
    "test_gradient": "calls _loss_grad_lbfgs, scikit-learn's own backward pass on its own buffers",
}


class _Optimizer:
    """``_optimizer.learning_rate``, which two tests read, is our ``_rate``."""

    @property
    def _optimizer(self):
        return SimpleNamespace(learning_rate=self._rate)


class MLPClassifier(_Optimizer, chainrule.MLPClassifier):
    __init__ = chainrule.MLPClassifier.__init__


class MLPRegressor(_Optimizer, chainrule.MLPRegressor):
    __init__ = chainrule.MLPRegressor.__init__


sklearn.neural_network.MLPClassifier = MLPClassifier
sklearn.neural_network.MLPRegressor = MLPRegressor


def pytest_collection_modifyitems(items):
    for item in items:
        name = item.originalname or item.name
        if name in EXCLUDED:
            item.add_marker(pytest.mark.skip(reason=EXCLUDED[name]))
