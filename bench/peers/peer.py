"""One peer in a process of its own: for each line on standard input, the microseconds of a training step or a prediction.

The step is everybody's: a batch of shuffled rows is gathered, passed forward and back, and the parameters are updated.
"""

import os
import sys
import time

name, kind, shape, batch, optimizer, loss, precision, threads = sys.argv[1:9]
threads, batch = int(threads), int(batch)
for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[variable] = str(threads)
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
if threads == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np

SECONDS = 0.25
sizes = [int(size) for size in shape.split("-")]
classes = loss == "cross_entropy"
dtype = np.float64 if precision == "f64" else np.float32
rows = 16 * batch
random = np.random.default_rng(2)
x = random.normal(size=(rows, sizes[0])).astype(dtype)
y = np.arange(rows) * 7 % sizes[-1] if classes else (np.arange(rows * sizes[-1]) * 7 % 10 * 0.1).reshape(rows, -1)
y = y if classes else y.astype(dtype)
weights = [random.normal(0, (2 / n) ** 0.5, (n, m)).astype(dtype) for n, m in zip(sizes, sizes[1:])]
biases = [np.zeros(m, dtype) for m in sizes[1:]]
rate, beta1, beta2, epsilon = 1e-4, 0.9, 0.999, 1e-8


def answer(steps):
    """Answers each line with the time of a step; `steps()` takes some and says how many."""
    steps()
    for _ in sys.stdin:
        steps()
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS:
            done += steps()
        print(1e6 * (time.perf_counter() - start) / done, flush=True)


def numpy_steps():
    """The tutorial's way: one line for each of its equations, f64."""
    W, B = [w.astype(float) for w in weights], [b.astype(float) for b in biases]
    X, Y = x.astype(float), np.eye(sizes[-1])[y] if classes else y.astype(float)
    moments = [[np.zeros_like(p), np.zeros_like(p)] for p in W + B]
    count = 0

    def steps():
        nonlocal count
        order = random.permutation(rows)
        for start in range(0, rows, batch):
            at = order[start : start + batch]
            Z, A = [], [X[at]]
            for w, b in zip(W, B):
                Z.append(A[-1] @ w + b)
                A.append(np.maximum(Z[-1], 0))
            if classes:
                p = np.exp(Z[-1] - Z[-1].max(1, keepdims=True))
                delta = (p / p.sum(1, keepdims=True) - Y[at]) / len(at)
            else:
                delta = (Z[-1] - Y[at]) / len(at)
            gradients = [None] * (2 * len(W))
            for k in reversed(range(len(W))):
                gradients[k], gradients[len(W) + k] = A[k].T @ delta, delta.sum(0)
                if k:
                    delta = delta @ W[k].T * (Z[k - 1] > 0)
            count += 1
            for parameter, gradient, moment in zip(W + B, gradients, moments):
                if optimizer == "gradient_descent":
                    parameter -= rate * gradient
                    continue
                moment[0] = beta1 * moment[0] + (1 - beta1) * gradient
                moment[1] = beta2 * moment[1] + (1 - beta2) * gradient**2
                step = moment[0] / (1 - beta1**count)
                parameter -= rate * step / (np.sqrt(moment[1] / (1 - beta2**count)) + epsilon)
        return rows // batch

    return steps


def sklearn_steps():
    import warnings

    from sklearn.neural_network import MLPClassifier, MLPRegressor

    warnings.simplefilter("ignore")
    kind = MLPClassifier if classes else MLPRegressor
    epochs = 8
    model = kind(
        hidden_layer_sizes=tuple(sizes[1:-1]), solver="sgd" if optimizer == "gradient_descent" else "adam", momentum=0, alpha=0,
        batch_size=batch, learning_rate_init=rate, max_iter=epochs, n_iter_no_change=10**9, warm_start=True,
    )
    target = y if classes or sizes[-1] > 1 else y.ravel()

    def steps():
        model.fit(x, target)
        return epochs * (rows // batch)

    return steps


def jax_steps():
    import jax

    if precision == "f64":
        jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    X, Y = jnp.asarray(x), jnp.asarray(y)
    parameters = [(jnp.asarray(w), jnp.asarray(b)) for w, b in zip(weights, biases)]
    zeros = jax.tree.map(jnp.zeros_like, parameters)

    def cost(parameters, x, y):
        for w, b in parameters[:-1]:
            x = jax.nn.relu(x @ w + b)
        w, b = parameters[-1]
        z = x @ w + b
        if classes:
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1))
        return 0.5 * jnp.mean(jnp.sum((z - y) ** 2, 1))

    def one(state, at):
        parameters, m, v, t = state
        gradient = jax.grad(cost)(parameters, X[at], Y[at])
        if optimizer == "gradient_descent":
            return (jax.tree.map(lambda p, g: p - rate * g, parameters, gradient), m, v, t), None
        t = t + 1
        m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, gradient)
        v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, gradient)
        fix1, fix2 = 1 - beta1**t, 1 - beta2**t
        update = lambda p, m, v: p - rate * (m / fix1) / (jnp.sqrt(v / fix2) + epsilon)
        return (jax.tree.map(update, parameters, m, v), m, v, t), None

    epochs = 1 if sizes[1] > 64 else 20

    @jax.jit
    def run(state, order):
        return jax.lax.scan(one, state, order)[0]

    state = (parameters, zeros, zeros, jnp.zeros((), dtype))

    def steps():
        nonlocal state
        order = np.concatenate([random.permutation(rows).reshape(-1, batch) for _ in range(epochs)])
        state = jax.block_until_ready(run(state, order))
        return len(order)

    return steps


def torch_steps():
    import torch

    torch.set_num_threads(threads)
    X, Y = torch.from_numpy(x), torch.from_numpy(y)
    layers = []
    for n, m in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(n, m, dtype=X.dtype), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    plain = optimizer == "gradient_descent"
    step = (torch.optim.SGD if plain else torch.optim.Adam)(model.parameters(), lr=rate)
    cost = torch.nn.CrossEntropyLoss() if classes else torch.nn.MSELoss()

    def steps():
        order = torch.randperm(rows)
        for start in range(0, rows, batch):
            at = order[start : start + batch]
            step.zero_grad()
            cost(model(X[at]), Y[at]).backward()
            step.step()
        return rows // batch

    return steps


def onnx_predictions():
    """`batch` rows through the network, by `session.run`."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, last = [], [], "x"
    for k, (w, b) in enumerate(zip(weights, biases)):
        constants += [numpy_helper.from_array(w, f"w{k}"), numpy_helper.from_array(b, f"b{k}")]
        nodes.append(helper.make_node("Gemm", [last, f"w{k}", f"b{k}"], [f"z{k}"]))
        last = f"z{k}"
        if k < len(weights) - 1:
            nodes.append(helper.make_node("Relu", [last], [f"a{k}"]))
            last = f"a{k}"
    value = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])
    graph = helper.make_graph(nodes, "mlp", [value("x", sizes[0])], [value(last, sizes[-1])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {"x": random.normal(size=(batch, sizes[0])).astype(np.float32)}

    def steps():
        session.run(None, feed)
        return 1

    return steps


answer({"numpy": numpy_steps, "sklearn": sklearn_steps, "jax": jax_steps, "torch": torch_steps,
        "onnxruntime": onnx_predictions}[name]())
