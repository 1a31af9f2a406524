"""scikit-learn's contract for estimators, and its own tests of its MLP."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sklearn = pytest.importorskip("sklearn")
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import chainrule  # noqa: E402

# The recipe deals rows into folds: a row of weight 2 stays in one of them, two equal rows need not.
REPETITION = {
    name: "the recipe deals rows into folds, so weight 2 is as the row twice in the objective only"
    for name in (
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    )
}
SMALL = {"effort": "fast", "members": 2, "hidden": [16], "embedding": "none"}


@parametrize_with_checks([chainrule.MLPClassifier(), chainrule.MLPRegressor()])
def test_mlp_classes_have_no_expected_failure(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [chainrule.TabularClassifier(**SMALL), chainrule.TabularRegressor(**SMALL)],
    expected_failed_checks=lambda estimator: REPETITION,
)
def test_tabular_classes_have_one(estimator, check):
    check(estimator)


def test_scikit_learn_s_own_tests_of_its_mlp_pass_on_ours():
    here = Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "mlp_shim", "-p", "no:cacheprovider", "-rs"]
    command += ["--pyargs", "sklearn.neural_network.tests.test_mlp"]
    path = os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, cwd="/")
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    passed = int(run.stdout.split(" passed")[0].split()[-1])
    assert passed >= 58, run.stdout[-500:]
