import csv, json, platform, sys
try:
    import numpy as np, onnxruntime
except ImportError as missing:
    print(missing, file=sys.stderr)
    sys.exit(77)
print(f"# onnxruntime {onnxruntime.__version__}, Python {platform.python_version()}")
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
with open("rows.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
for start in range(0, len(rows), 2048):
    feed, part = {}, rows[start : start + 2048]
    for column in session.get_inputs():
        cells = [row[column.name] for row in part]
        if column.type == "tensor(double)":
            feed[column.name] = np.array([[float(cell or "nan")] for cell in cells])
        else:
            feed[column.name] = np.array([[cell] for cell in cells], dtype=object)
    first, *others = session.run(None, feed)
    if first.dtype.kind == "f":
        for numbers in np.hstack([first, *others]).tolist():
            print(0, *map(repr, numbers))
    else:
        with open("labels.json", encoding="utf-8") as file:
            labels = json.load(file)
        for label, numbers in zip(first.tolist(), others[0].tolist()):
            print(labels.index(label), *map(repr, numbers))
