"""The notebooks run, and the exercises' are right with the solutions filled in."""

import json
import sys
from pathlib import Path

import pytest

nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")

HOME = Path(__file__).parents[1] / "notebooks"
sys.path.insert(0, str(HOME))
import make  # noqa: E402

from chainrule import exercises  # noqa: E402


def run(cells):
    book = nbformat.reads(json.dumps(make.notebook(cells)), as_version=4)
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    return [cell for cell in book.cells if cell.cell_type == "code"]


def shown(cell):
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "".join(texts)


@pytest.mark.parametrize("name", make.NOTEBOOKS)
def test_the_notebook_is_the_one_that_is_made(name):
    assert json.loads((HOME / name).read_text(encoding="utf-8")) == make.notebook(make.NOTEBOOKS[name]())


def test_side_by_side_prints_equal_losses_and_draws_the_network():
    cells = run(make.side_by_side())
    lines = shown(cells[2]).splitlines()
    assert len(lines) == 10 and all(len(set(line.split(" | "))) == 1 for line in lines)
    assert "<svg" in str(cells[3].outputs)
    assert "layer 2" in shown(cells[4])


def test_the_exercises_wait_for_answers_and_accept_the_solutions():
    for code, expected in ((exercises.start, "not yet: "), (exercises.solution, "right: ")):
        cells = run(make.exercise_cells(code))
        checks = [shown(cell) for cell in cells if cell.source.startswith("exercises.check")]
        assert len(checks) == 19 and all(check.startswith(expected) for check in checks), checks
