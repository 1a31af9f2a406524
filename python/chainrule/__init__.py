"""Feed-forward neural networks you can see through.

=====================================================  ==========================================================
``NN``                                                 the tutorial's class, with dictionaries of your own functions
``Network``                                            a network by hand: every number of both passes, diagrams
``MLPClassifier``, ``MLPRegressor``                    scikit-learn's estimators, and what they do not grant
``TabularClassifier``, ``TabularRegressor``            data frames in, predictions out: the command's default
``chainrule.check``                                    which term of which layer of your gradient is wrong
``chainrule.exercises``                                the tutorial's exercises, checked
=====================================================  ==========================================================

Needs NumPy; scikit-learn and data frame libraries are used where they are, and not asked for.
"""

from chainrule._native import __version__

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "NN",
    "Network",
    "TabularClassifier",
    "TabularRegressor",
    "__version__",
    "check",
    "exercises",
]

# What is imported when it is first asked for: scikit-learn alone takes a second.
_HOMES = {
    "MLPClassifier": "mlp",
    "MLPRegressor": "mlp",
    "NN": "nn",
    "Network": "network",
    "TabularClassifier": "tabular",
    "TabularRegressor": "tabular",
    "check": None,
    "exercises": None,
}


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    import importlib

    home = importlib.import_module(f"chainrule.{_HOMES[name] or name}")
    value = getattr(home, name) if _HOMES[name] else home
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
