"""Prints our times beside the peers', each pair measured in turn, with medians over the rounds. Started by `run`."""

import platform
import statistics
import subprocess
import sys

OURS, *ARGUMENTS = sys.argv[1:]
ROUNDS = 3 if "--quick" in ARGUMENTS else 7
WANTED = [a for a in ARGUMENTS if not a.startswith("--")]
PEERS = ["numpy", "sklearn", "jax"] + ["torch"] * ("--torch" in ARGUMENTS)
SHAPES = {
    "T": ("2-3-2-1", 10, "gradient_descent", "squared_error", "f64"),
    "S": ("20-64-64-1", 32, "adam", "squared_error", "f32"),
    "R": ("100-256-256-256-1", 256, "adam", "squared_error", "f32"),
    "M": ("784-256-128-10", 128, "adam", "cross_entropy", "f32"),
    "L": ("512-1024-1024-512-10", 512, "adam", "cross_entropy", "f32"),
}
ODD = [
    ("13-50-50-3", 20, "adam", "cross_entropy", "f32"),
    ("57-100-1", 200, "adam", "squared_error", "f32"),
    ("300-1000-300-7", 77, "adam", "cross_entropy", "f32"),
    ("1-4-1", 1, "adam", "squared_error", "f32"),
]


class Asked:
    """A process that answers each line with a time in microseconds (ours: and the peak of a thread, GFLOP/s)."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"no answer from {self.process.args}")
        return [float(part) for part in line.split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def operations(shape, batch):
    """Two for each multiply-add: forward, the gradient of W, and that of X but in the first layer."""
    sizes = [int(size) for size in shape.split("-")]
    products = [2 * n * m for n, m in zip(sizes, sizes[1:])]
    return batch * (3 * sum(products) - products[0])


def ours(*arguments, threads=1):
    pinned = ["taskset", "-c", "0"] if threads == 1 else []
    return Asked(pinned + [OURS, "--bench", *map(str, arguments)])


def peer(name, kind, shape, batch, optimizer, loss, precision, threads):
    arguments = [name, kind, shape, batch, optimizer, loss, precision, threads]
    return Asked([sys.executable, __file__.replace("peers.py", "peer.py"), *map(str, arguments)])


def rounds(contestants):
    """Each contestant's times, asked in turn."""
    times = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, process in contestants.items():
            times[name].append(process.ask())
    for process in contestants.values():
        process.close()
    return times


def median(times):
    return statistics.median(time[0] for time in times)


def ratio(times, others):
    """The median of the rounds' own ratios: a slow moment of the machine hits both."""
    return statistics.median(other[0] / time[0] for time, other in zip(times, others))


def steps(name, shape, threads):
    layers, batch, optimizer, loss, precision = shape
    us = ours("step", layers, batch, optimizer, loss, precision, threads, threads=threads)
    contestants = {"chainrule": us}
    for other in PEERS:
        contestants[other] = peer(other, "step", layers, batch, optimizer, loss, precision, threads)
    times = rounds(contestants)
    mine = times["chainrule"]
    flops = operations(layers, batch)
    share = statistics.median(flops / time / 1e3 / (threads * peak) for time, peak in mine)
    best = max(flops / time / 1e3 for time, _ in mine) / (threads * max(peak for _, peak in mine))
    text = f"{name:5} {layers:22} {batch:4} {threads}  {median(mine):10.2f} {batch / median(mine):8.3f} "
    text += f"{flops / median(mine) / 1e3:8.1f} {100 * share:6.1f} {100 * best:6.1f} "
    for other in PEERS:
        text += f"{ratio(mine, times[other]):9.2f}"
    print(text, flush=True)


def extras():
    """What dropout, norms and others cost beside the plain step, at R."""
    layers, batch, optimizer, loss, precision = SHAPES["R"]
    kinds = ["dropout", "batch_norm", "layer_norm", "gelu", "mish", "tanh", "clip"]
    arguments = ["step", layers, batch, optimizer, loss, precision, 1]
    times = rounds({"plain": ours(*arguments), **{kind: ours(*arguments, kind) for kind in kinds}})
    wide = [layers.removesuffix("-1") + "-26", batch, optimizer, "cross_entropy", precision, 1]
    classes = rounds({"plain": ours(*arguments), "26 classes": ours("step", *wide)})
    print("\nbeside the plain step at R, one thread:")
    for kind in kinds:
        print(f"  {kind:12} {ratio(times['plain'], times[kind]):6.3f}")
    print(f"  {'26 classes':12} {ratio(classes['plain'], classes['26 classes']):6.3f}", flush=True)


def two_threads():
    print("\ntwo threads, times as fast as one:")
    for name, (layers, batch, optimizer, loss, precision) in SHAPES.items():
        arguments = ["step", layers, batch, optimizer, loss, precision]
        times = rounds({1: ours(*arguments, 1), 2: ours(*arguments, 2, threads=2)})
        print(f"  {name:3} {ratio(times[2], times[1]):6.2f}", flush=True)


def predictions():
    print("\npredictions, one thread: microseconds, share of the peak, ONNX Runtime's time over ours")
    for name, rows in [("M", 1), ("M", 10_000), ("L", 10_000)]:
        layers = SHAPES[name][0]
        them = peer("onnxruntime", "predict", layers, rows, "-", "squared_error", "f32", 1)
        times = rounds({"ours": ours("predict", layers, rows, 1), "onnxruntime": them})
        sizes = [int(size) for size in layers.split("-")]
        flops = rows * sum(2 * n * m for n, m in zip(sizes, sizes[1:]))
        share = statistics.median(flops / time / 1e3 / peak for time, peak in times["ours"])
        text = f"  {name} {rows:6} rows {median(times['ours']):12.2f} {100 * share:6.1f} %"
        print(f"{text} {ratio(times['ours'], times['onnxruntime']):6.2f}", flush=True)


def main():
    chosen = lambda name: not WANTED or name in WANTED
    model = [line for line in open("/proc/cpuinfo") if line.startswith("model name")]
    print(f"{model[0].split(':')[1].strip() if model else platform.processor()}; {ROUNDS} rounds in turn")
    print("shape layers                batch threads  µs/step Mrows/s  GFLOP/s  share%  best%  peer's time over ours:", *PEERS)
    for threads in [1, 2]:
        for name, shape in SHAPES.items():
            if chosen(name):
                steps(name, shape, threads)
    for shape in ODD:
        if chosen("odd"):
            steps("odd", shape, 1)
    if chosen("extras"):
        extras()
    if chosen("threads"):
        two_threads()
    if chosen("predict"):
        predictions()


main()
