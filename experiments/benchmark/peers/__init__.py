"""The peers of each workload; each library has a module here that only its own process imports."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import NamedTuple

from experiments.benchmark.workloads import BARE, ONE_BY_ONE


class Peer(NamedTuple):
    """One implementation of a workload, made by a function `(workload, folder) -> Peer` in its own process."""

    train: Callable[[int], None]
    """Trains that many more units."""
    accuracies: Callable[[], list[float]]
    """The training accuracy of each trained model, in the order of `models`."""
    warm: Callable[[], float | None] | None = None
    """Replaces the first, uncounted unit; returns the seconds of compilation where it knows them."""
    models: tuple[int, ...] = (0,)
    """Indices of the trained models among all models of the workload."""
    scale: float = 1.0
    """Its seconds are multiplied by this where it trains only some of the models."""


class Entry(NamedTuple):
    """A peer of a workload: `make` is "module:function" under `experiments.benchmark.peers`."""

    family: str
    form: str
    make: str
    note: str = ""

    @property
    def name(self) -> str:
        """As shown in tables."""
        return f"{self.family}, {self.form}" if self.form else self.family


_MODULES = {"PyTorch": "torch", "Keras": "keras", "Flax": "flax", "scikit-learn": "sklearn"}

_ONE_EXAMPLE_STEPS = "one example a step, one class against the rest: other mathematics"
_BYTES = Entry("PyTorch", "bytes", "pytorch:slicing_bytes", "standardizes each batch from the stored bytes, as jaxnn")
_FLOATS = Entry("PyTorch", "floats", "pytorch:slicing_floats")
_COMPILED = Entry("PyTorch", "compiled", "pytorch:compiled")
_COMPILED_BYTES = Entry("PyTorch", "compiled, bytes", "pytorch:compiled_bytes", "standardizes each batch, as jaxnn")
_LOADER = Entry("PyTorch", "DataLoader", "pytorch:loader")
_KERAS = [
    Entry("Keras", "fit", "keras_fit:fit", "JAX backend"),
    Entry("Keras", "fit, 16 steps a call", "keras_fit:fit_in_bundles", "JAX backend, steps_per_execution=16"),
]
_FLAX = [Entry("Flax", "NNX", "flax_loops:nnx_loop"), Entry("Flax", "Linen", "flax_loops:linen_loop")]
_SGD = Entry("scikit-learn", "SGDClassifier", "scikit_learn:sgd", _ONE_EXAMPLE_STEPS)
_MLP = Entry("scikit-learn", "MLPClassifier", "scikit_learn:mlp")
_SAGA = "variance-reduced steps of one example (SAGA): other mathematics; time of a pass"
_SVC = "liblinear's dual coordinate descent, one class against the rest: other mathematics; time of a pass"
_LOOP_BOUND = Entry(
    BARE,
    "",
    "ours:bare_loop",
    "the same float32 batches every epoch; no order, momentum, penalty or measures",
)
_LINEAR = [_BYTES, _FLOATS, _COMPILED, _COMPILED_BYTES, _LOADER, _SGD]
_LOOPS = [*_KERAS, *_FLAX]
PEERS: dict[str, list[Entry]] = {
    "linear": [
        *_LINEAR,
        Entry("scikit-learn", "LogisticRegression", "scikit_learn:logistic_regression", _SAGA),
        *_LOOPS,
        _LOOP_BOUND,
    ],
    "linear-svm": [*_LINEAR, Entry("scikit-learn", "LinearSVC", "scikit_learn:linear_svc", _SVC), *_LOOPS, _LOOP_BOUND],
    "mlp": [_BYTES, _FLOATS, _COMPILED, _COMPILED_BYTES, *_LOOPS, _MLP, _LOOP_BOUND],
    "mlp-dropout": [_BYTES, _FLOATS, _COMPILED, _COMPILED_BYTES, *_LOOPS, _LOOP_BOUND],
    "mlp-64": [_BYTES, _FLOATS, _COMPILED, _COMPILED_BYTES, _LOOP_BOUND],
    "digits": [_FLOATS, _COMPILED, _KERAS[1], _MLP, _LOOP_BOUND],
    "digits-whole": [_FLOATS, _KERAS[0], *_FLAX, _MLP],
    "digits-again": [Entry("scikit-learn", "MLPClassifier", "scikit_learn:mlp_again", "a new estimator fits again")],
    "toy": [_FLOATS, _COMPILED, _MLP],
    "sweep-linear": [
        Entry("scikit-learn", "SGDClassifier", "scikit_learn:sgd_sweep", f"two models at a time; {_ONE_EXAMPLE_STEPS}"),
        Entry(ONE_BY_ONE, "", "ours:one_by_one"),
    ],
    "sweep-mlp": [
        Entry("PyTorch", "one by one", "pytorch:one_by_one"),
        Entry(ONE_BY_ONE, "", "ours:one_by_one"),
    ],
    "sweep-toy": [Entry("PyTorch", "one by one", "pytorch:one_by_one")],
    "grid-digits": [Entry("scikit-learn", "GridSearchCV", "scikit_learn:grid_search", "two fits at a time")],
}
"""By the key of the workload; `OURS` has the form of jaxnn, and the workload "process" is in `startup`."""

OURS = dict.fromkeys(("sweep-linear", "sweep-mlp", "sweep-toy"), "ours:sweep") | {
    "digits-whole": "ours:whole_call",
    "digits-again": "ours:fit_again",
    "grid-digits": "ours:grid_search",
}
"""The form of jaxnn where it is not `ours:training_run`."""


def missing(family: str) -> str | None:
    """The module of a family of peers, if it is not installed."""
    module = _MODULES.get(family)
    return module if module is not None and importlib.util.find_spec(module) is None else None
