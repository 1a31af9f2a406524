"""Writes the notebooks beside this file, from ``chainrule.exercises`` and the tutorial's class: ``python make.py``."""

import json
import re
from pathlib import Path

from chainrule import exercises

HERE = Path(__file__).parent
CLASS = HERE.parent / "tests" / "tutorial_class.py"


def notebook(cells):
    """Cells, each a kind and a text, as a notebook without outputs."""
    made = []
    for n, (kind, text) in enumerate(cells):
        cell = {"cell_type": kind, "id": f"cell-{n}", "metadata": {}, "source": text.strip("\n").splitlines(keepends=True)}
        made.append({**cell, "execution_count": None, "outputs": []} if kind == "code" else cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def exercise_cells(code):
    """All exercises, with ``code(name)`` in the cell that is to be filled in."""
    cells = [
        (
            "markdown",
            "# The tutorial's exercises\n\nFill in the gaps (`None`), run the cell, then the check below it: it says which "
            "factor is wrong, and tries every formula on a hidden network, too. `exercises.hint(name)` helps, "
            "`print(exercises.solution(name))` tells.\n\nThe numbers are those of the tutorial's Figure 8: "
            "`n = exercises.numbers()` has `n.X`, `n.Y`, `n.W1`, `n.b1`, `n.Z1`, `n.X1`, …",
        ),
        ("code", "import numpy as np\n\nfrom chainrule import Network, exercises\n\nn = exercises.numbers()\nn.X[0], n.Y[0], n.X3[0]"),
        (
            "code",
            "network = Network([2, 3, 2, 1], hidden=\"relu\")\nfor l in range(3):\n"
            "    network.weights[l][...] = (n.W1, n.W2, n.W3)[l]\n    network.biases[l][...] = 0\nnetwork",
        ),
    ]
    for name in exercises.NAMES:
        cells.append(("markdown", f"## {exercises.task(name)}"))
        cells.append(("code", code(name)))
        cells.append(("code", f'exercises.check("{name}", {name})'))
    return cells


def side_by_side():
    """The tutorial's class and ours on the tutorial's data: equal lines."""
    source = CLASS.read_text(encoding="utf-8")
    theirs = re.sub(r"^import numpy as np\n", "", source[source.index("import numpy") :])
    return [
        (
            "markdown",
            "# The tutorial's class and ours, side by side\n\nThe class of the tutorial's section 5.5 as it stands there, then "
            "`chainrule.NN` in its place: the same lines are printed.",
        ),
        ("code", "import contextlib\nimport io\n\nimport numpy as np\n\nimport chainrule\n\n" + "# The tutorial's code\n" + theirs.strip()),
        (
            "code",
            "X = np.array([[6.1, 8.7], [3.9, 8.7], [4.9, 5.5], [8.0, 5.5], [6.3, 3.2],\n"
            "              [7.5, 6.2], [5.0, 7.7], [4.8, 5.7], [3.8, 5.4], [4.2, 4.6]])\n"
            "Y = np.array([[113.0], [90.0], [58.0], [97.0], [42.0], [89.0], [84.0], [54.0], [44.0], [39.0]])\n\n\n"
            "def lines(cls):\n    printed = io.StringIO()\n    with contextlib.redirect_stdout(printed):\n"
            "        nn = cls([2, 3, 2, 1], activation_relu_dict, activation_output_dict, loss_dict, seed=1)\n"
            "        nn.train(X, Y, 1000, learning_rate=0.001)\n    return printed.getvalue().splitlines()",
        ),
        (
            "code",
            "theirs, ours = lines(NN), lines(chainrule.NN)\nfor left, right in zip(theirs, ours):\n"
            "    print(left, '|', right)\nassert theirs == ours and len(ours) == 10",
        ),
        ("markdown", "A network by hand: its diagram, the numbers of row 1, and one weight's derivative, path by path."),
        (
            "code",
            "network = chainrule.Network([2, 3, 2, 1], hidden=\"tanh\", seed=1)\n"
            "print(network.explain_text(X / 10, Y / 100, weight=(1, 2, 1), row=1))\nnetwork",
        ),
        (
            "code",
            "# Somebody's backward pass with a mistake: which term of which layer?\n"
            "mistaken = dict(network.backward(X / 10, Y / 100))\nmistaken[\"dZ2\"] = -mistaken[\"dZ2\"]\n"
            "print(chainrule.check.gradients(network, X / 10, Y / 100, mistaken))",
        ),
    ]


NOTEBOOKS = {"exercises.ipynb": lambda: exercise_cells(exercises.start), "side_by_side.ipynb": side_by_side}

if __name__ == "__main__":
    for name, cells in NOTEBOOKS.items():
        text = json.dumps(notebook(cells()), indent=1, ensure_ascii=False) + "\n"
        (HERE / name).write_text(text, encoding="utf-8")
