import csv, platform, runpy, sys
try:
    import safetensors, torch
except ImportError as missing:
    print(missing, file=sys.stderr)
    sys.exit(77)
print(f"# torch {torch.__version__}, Python {platform.python_version()}")
script = runpy.run_path(sys.argv[1])
with open("rows.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
for start in range(0, len(rows), 2048):
    for numbers in script["predict"](rows[start : start + 2048]).tolist():
        print(numbers.index(max(numbers)) if script["LABELS"] else 0, *map(repr, numbers))
