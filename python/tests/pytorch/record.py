"""Records PyTorch's traces: ``python record.py`` with PyTorch on the CPU writes traces.npz beside this file.

For every optimizer x norm x activation x loss of setting.py, 200 steps in float64 from the same start on the same batches:
the mean loss of every tenth epoch, then all parameters, then a batch norm's running statistics.
"""

from pathlib import Path

import numpy as np
import torch
from setting import ACTIVATIONS, BATCH, DECAY, EPOCHS, EPSILON, LOSSES, NORMS, RATES, ROWS, TOLD, WIDTHS, data, rate, start
from torch import nn

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

ACTIVATION = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu:0.1": lambda: nn.LeakyReLU(0.1),
    "elu:1.5": lambda: nn.ELU(1.5),
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "softplus": lambda: nn.Softplus(threshold=1e9),  # no straight line for large z
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
}


def loss_of(name, z, y):
    """Summed over outputs, averaged over rows."""
    f = nn.functional
    if name == "cross_entropy":
        return f.cross_entropy(z, y[:, 0].long())
    total = {
        "squared_error": lambda: 0.5 * ((z - y) ** 2).sum(),
        "absolute_error": lambda: f.l1_loss(z, y, reduction="sum"),
        "huber:0.7": lambda: f.huber_loss(z, y, reduction="sum", delta=0.7),
        "binary_cross_entropy": lambda: f.binary_cross_entropy_with_logits(z, y, reduction="sum"),
        "poisson": lambda: f.poisson_nll_loss(z, y, log_input=True, full=False, reduction="sum"),
    }[name]()
    return total / len(z)


def optimizer_of(name, norm, weights, others):
    lr = rate(name, norm)
    if name in ("momentum:0.9", "nesterov:0.9"):
        return torch.optim.SGD(weights + others, lr=lr, momentum=0.9, nesterov=name.startswith("nesterov"))
    if name.startswith("adam:"):
        return torch.optim.Adam(weights + others, lr=lr, eps=EPSILON)
    if name.startswith("adamw:"):
        groups = [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=lr, eps=EPSILON)
    return torch.optim.RMSprop(weights + others, lr=lr, eps=EPSILON)


def trace(optimizer, norm, activation, loss):
    numbers = dict(start(norm))
    layers, parameters, norms = [], [], []
    for l, (n_in, n_out) in enumerate(zip(WIDTHS, WIDTHS[1:]), 1):
        dense = nn.Linear(n_in, n_out)
        dense.weight.data = torch.tensor(numbers[f"W{l}"].T.copy())
        dense.bias.data = torch.tensor(numbers[f"b{l}"])
        layers.append(dense)
        parameters += [dense.weight, dense.bias]
        if l < len(WIDTHS) - 1:
            if norm != "dense":
                kind = nn.BatchNorm1d(n_out) if norm == "batch_norm" else nn.LayerNorm(n_out)
                kind.weight.data, kind.bias.data = (torch.tensor(numbers[f"{w}{l}"]) for w in ("scale", "shift"))
                layers.append(kind)
                parameters += [kind.weight, kind.bias]
                norms.append(kind)
            layers.append(ACTIVATION[activation]())
    model = nn.Sequential(*layers)
    step = optimizer_of(optimizer, norm, [p for p in parameters if p.ndim == 2], [p for p in parameters if p.ndim == 1])
    X, Y = (torch.tensor(a) for a in data(loss))
    losses = []
    for _ in range(EPOCHS):
        epoch = []
        for i in range(0, ROWS, BATCH):
            value = loss_of(loss, model(X[i : i + BATCH]), Y[i : i + BATCH])
            step.zero_grad()
            value.backward()
            step.step()
            epoch.append(value.item())
        losses.append(np.mean(epoch))
    told = [np.array(losses)[TOLD]]
    told += [(p.detach().numpy().T if p.ndim == 2 else p.detach().numpy()).ravel() for p in parameters]
    if norm == "batch_norm":
        told += [n.running_mean.numpy() for n in norms] + [n.running_var.numpy() for n in norms]
    return np.concatenate(told)


if __name__ == "__main__":
    traces = {"pytorch": np.array(torch.__version__)}
    for norm in NORMS:
        traces[norm] = np.array(
            [[[trace(o, norm, a, l) for l in LOSSES] for a in ACTIVATIONS] for o in RATES]
        )
        print(norm, traces[norm].shape)
    np.savez_compressed(Path(__file__).with_name("traces.npz"), **traces)
