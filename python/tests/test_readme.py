"""The README's examples, in an environment with the wheel and NumPy alone where `python/test` made one."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PYTHON = os.environ.get("EMPTY_PYTHON", sys.executable)


def test_the_readme_s_examples_print_what_they_say():
    code = re.findall(r"```python\n(.*?)```", README, re.S)
    expected = re.findall(r"```text\n(.*?)```", README, re.S)
    assert len(code) == len(expected) == 3
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run([PYTHON, "-c", "".join(code)], capture_output=True, text=True, encoding="utf-8", env=environment)
    assert run.stdout == "".join(expected), run.stderr


def test_the_wheel_brings_the_command():
    for arguments, status, told in ((["--version"], 0, "chainrule "), (["fit"], 2, "Usage"), (["inspect", "no.csv"], 1, "no such file")):
        run = subprocess.run([PYTHON, "-m", "chainrule", *arguments], capture_output=True, text=True)
        assert run.returncode == status and told in run.stdout + run.stderr, (arguments, run)
    script = Path(PYTHON).with_name("chainrule")
    if script.exists():
        assert subprocess.run([script, "--version"], capture_output=True, text=True).stdout.startswith("chainrule ")


WITHOUT = """
import sys
sys.modules["sklearn"] = None
import pickle, numpy as np
from chainrule import MLPClassifier, MLPRegressor, TabularRegressor
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3)); y = (X[:, 0] > 0).astype(int)
m = MLPClassifier((8,), random_state=0, max_iter=140, learning_rate_init=0.01).fit(X, y)
assert m.score(X, y) > 0.9 and m.get_params()["max_iter"] == 140 and "max_iter=140" in repr(m)
assert pickle.loads(pickle.dumps(m)).fingerprint_ == m.fingerprint_
assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
assert MLPRegressor(random_state=0, max_iter=5).fit(X, X[:, 1]).predict(X).shape == (200,)
assert TabularRegressor(effort="fast", members=2, hidden=[8]).fit(X, X[:, 1]).score(X, X[:, 1]) > 0.8
for wrong in (lambda: m.predict(X[:, :2]), lambda: MLPClassifier().fit(X, y[:5]), lambda: MLPClassifier().predict(X)):
    try:
        wrong()
    except ValueError:
        continue
    raise AssertionError("not refused")
print(m.fingerprint_)
"""


def test_scikit_learn_is_not_required_and_changes_no_bit():
    outputs = set()
    for code in (WITHOUT, WITHOUT.replace('sys.modules["sklearn"] = None', "")):
        run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        outputs.add(run.stdout)
    assert len(outputs) == 1
