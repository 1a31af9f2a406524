"""The engine. Numbers come and go as C-contiguous NumPy arrays of one type, float32 or float64.

Common arguments: ``layers``, each a name (``dense:8``, ``relu``, ``dropout:0.1``, …) or the tuple (name, function,
derivative); ``inputs``, the columns of X; ``net``, a network: layers, inputs, and flat arrays in the engine's layout, its
parameters and its running statistics.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Layers = Sequence[str | tuple[str, Callable[[Any], Any], Callable[[Any], Any]]]
Loss = str | tuple[str, Callable[[Any, Any], Any], Callable[[Any, Any], Any]]
Array = NDArray[np.float32] | NDArray[np.float64]
Net = tuple[Layers, int, Array, Array]
Rows = tuple[Array, Array, Array | None]

__version__: str
activations: tuple[str, ...]
losses: tuple[str, ...]

def command(arguments: Sequence[str]) -> int: ...
def threads() -> int: ...
def layout(layers: Layers, inputs: int) -> tuple[list[tuple[int, str, int, int]], int]: ...
def initial(layers: Layers, inputs: int, init: str | None, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def predict(net: Net, x: Array, loss_name: str | None, threads: int) -> Array: ...
def passes(
    net: Net,
    x: Array,
    y: Array,
    weights: Array | None,
    loss_of: Loss,
    step: tuple[int, int] | None = None,
) -> dict[str, Any]: ...
def fingerprint(net: Net) -> str: ...
def pack(arrays: dict[str, Array], text: str) -> bytes: ...
def unpack(bytes: bytes) -> tuple[dict[str, Array], str]: ...
def link(loss_name: str, outputs: int) -> tuple[str, int]: ...
def train(
    net: Net,
    data: Rows,
    validation: Rows | None,
    given: dict[str, Any],
    progress: dict[str, Any],
    epochs: int,
    threads: int,
    watch: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]: ...
def diagnose(
    net: Net,
    x: Array,
    y: Array,
    loss_of: Loss,
    claimed: dict[str, Array],
    deltas: dict[int, Array],
) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]: ...
def ledger(
    net: Net,
    x: Array,
    y: Array,
    loss_of: Loss,
    weight: tuple[int, int, int],
    most: int,
) -> dict[str, Any]: ...
def diagram(
    net: Net,
    loss_of: Loss,
    columns: Sequence[str],
    x: Array | None = None,
    row: int = 0,
) -> str: ...

class Table:
    def __init__(self, frame: object | None, more: Sequence[tuple[str, Array | Sequence[str | None]]]) -> None: ...
    @property
    def rows(self) -> int: ...
    @property
    def names(self) -> list[str]: ...

class Model:
    @staticmethod
    def fit(
        table: Table,
        options: Sequence[tuple[str, str]],
        threads: int,
        watch: Callable[[int, float, float | None], object] | None = None,
    ) -> tuple[Model, dict[str, Any], list[str]]: ...
    def predict(self, table: Table, threads: int) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(bytes: bytes) -> Model: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def quantile_levels(self) -> list[float]: ...
    @property
    def facts(self) -> str: ...
