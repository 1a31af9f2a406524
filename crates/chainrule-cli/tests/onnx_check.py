"""Runs an ONNX file on a table and compares with what `chainrule predict --json` says.

python onnx_check.py MODEL.onnx TABLE PREDICTIONS.json — prints rows, the largest difference in ULP of float32, changed labels.
A difference counts before the final exponential (ln p) or in spreads of the target.
"""
import csv
import gzip
import io
import json
import sys

import numpy as np
import onnx
import onnxruntime

GAPS = {"", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "NaT", "null", "NULL", "None", "?"}
path, table, predictions = sys.argv[1:4]

onnx.checker.check_model(onnx.load(path), full_check=True)
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
file = gzip.open(table) if table.endswith(".gz") else open(table, "rb")
rows = list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline="")))
feed = {}
for column in session.get_inputs():
    cells = [row[column.name].strip() for row in rows]
    if column.type == "tensor(double)":
        feed[column.name] = np.array([[np.nan if cell in GAPS else float(cell)] for cell in cells])
    else:
        feed[column.name] = np.array([["" if cell in GAPS else cell] for cell in cells], dtype=object)
names = [output.name for output in session.get_outputs()]
parts = []
for start in range(0, len(rows), 2048):
    parts.append(session.run(None, {name: cells[start : start + 2048] for name, cells in feed.items()}))
outputs = {name: np.concatenate([part[k] for part in parts]) for k, name in enumerate(names)}
ours = json.load(open(predictions, encoding="utf-8"))["predictions"]

if "label" in outputs:
    probabilities = np.array([p for name, p in ours.items() if name.startswith("probability_")]).T
    a, b = (np.log(np.maximum(p, 1e-35)) for p in (probabilities, outputs["probabilities"]))
    unit = np.spacing(np.abs(a).max(1).astype(np.float32)).astype(float)
    unit = np.repeat(unit[:, None], a.shape[1], 1)
    if a.shape[1] == 2:
        # p and 1 - p: an ULP of 1 is one of either, and what is below half of it is told from 0 by nobody.
        one = float(np.spacing(np.float32(1)))
        a, b = (np.maximum(x, np.log(one / 2)) for x in (a, b))
        unit = np.maximum(unit, one / np.exp(np.maximum(a, b)))
    ulp = (np.abs(a - b) / unit).max(1)
    changed = sum(str(x) != str(y) for x, y in zip(ours["prediction"], outputs["label"]))
else:
    y = np.array(ours["prediction"])
    z = np.maximum(np.abs(y - y.mean()) / y.std(), 1.0).astype(np.float32)
    ulp = np.abs(y - outputs["prediction"][:, 0]) / y.std() / np.spacing(z)
    changed = 0
print(json.dumps({"rows": len(rows), "largest_ulp": float(ulp.max()), "labels_changed": changed}))
