"""Who takes part in which work. Each library has a module of its own, which only a process of its own imports."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import NamedTuple

from experiments.benchmark.works import ONE_BY_ONE


class Peer(NamedTuple):
    """One way to do a work, made by a function `(work, folder) -> Peer` in its own process.

    Attributes:
        train: `train(n)` does n more units.
        accuracies: the training accuracy of each model it has trained, in the order of `models`.
        warm: done in place of a first unit that does not count; returns the seconds of compiling, if it knows them.
        models: the places of the models it trains among all models of the work.
        scale: its seconds are multiplied by this, where it does a part of the work.
    """

    train: Callable[[int], None]
    accuracies: Callable[[], list[float]]
    warm: Callable[[], float | None] | None = None
    models: tuple[int, ...] = (0,)
    scale: float = 1.0


class Entry(NamedTuple):
    """A peer in the list of a work: `make` is "module:function" under `experiments.benchmark.peers`."""

    family: str
    form: str
    make: str
    note: str = ""

    @property
    def name(self) -> str:
        """As shown."""
        return f"{self.family}, {self.form}" if self.form else self.family


NEEDS = {"PyTorch": "torch", "Keras": "keras", "Flax": "flax", "scikit-learn": "sklearn"}
"""The module that a family needs."""

_STEPS_OF_ONE = "one example a step, one class against the rest: other mathematics"
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
_SGD = Entry("scikit-learn", "SGDClassifier", "scikit_learn:sgd", _STEPS_OF_ONE)
_MLP = Entry("scikit-learn", "MLPClassifier", "scikit_learn:mlp")
_SAGA = "variance-reduced steps of one example (SAGA): other mathematics; time of a pass"
_SVC = "liblinear's dual coordinate descent, one class against the rest: other mathematics; time of a pass"
_LINEAR = [_BYTES, _FLOATS, _COMPILED, _COMPILED_BYTES, _LOADER, _SGD]
_LOOPS = [*_KERAS, *_FLAX]
PEERS: dict[str, list[Entry]] = {
    "linear": [
        *_LINEAR,
        Entry("scikit-learn", "LogisticRegression", "scikit_learn:logistic_regression", _SAGA),
        *_LOOPS,
    ],
    "linear-svm": [*_LINEAR, Entry("scikit-learn", "LinearSVC", "scikit_learn:linear_svc", _SVC), *_LOOPS],
    "mlp": [_BYTES, _FLOATS, _COMPILED, _COMPILED_BYTES, *_LOOPS, _MLP],
    "mlp-dropout": [_BYTES, _FLOATS, _COMPILED, _COMPILED_BYTES, *_LOOPS],
    "mlp-64": [_BYTES, _FLOATS, _COMPILED, _COMPILED_BYTES],
    "digits": [_FLOATS, _COMPILED, _KERAS[1], _MLP],
    "digits-whole": [_FLOATS, _KERAS[0], *_FLAX, _MLP],
    "toy": [_FLOATS, _COMPILED, _MLP],
    "sweep-linear": [
        Entry("scikit-learn", "SGDClassifier", "scikit_learn:sgd_sweep", f"two models at a time; {_STEPS_OF_ONE}"),
        Entry(ONE_BY_ONE, "", "ours:one_by_one"),
    ],
    "sweep-mlp": [
        Entry("PyTorch", "one by one", "pytorch:one_by_one"),
        Entry(ONE_BY_ONE, "", "ours:one_by_one"),
    ],
    "sweep-toy": [Entry("PyTorch", "one by one", "pytorch:one_by_one")],
    "grid-digits": [Entry("scikit-learn", "GridSearchCV", "scikit_learn:grid_search", "two fits at a time")],
}
"""The peers of each work; our own form is in `OURS`. The work "process" has its own module, `startup`."""

OURS = {"digits-whole": "ours:whole_call", "grid-digits": "ours:grid_search"} | dict.fromkeys(
    ("sweep-linear", "sweep-mlp", "sweep-toy"), "ours:sweep"
)
"""Where ours is not `ours:training_run`."""


def missing(family: str) -> str | None:
    """The module that a family of peers needs and that is not installed.

    Args:
        family: as in `Entry`.

    Returns:
        Its name, or None if nothing is missing.
    """
    module = NEEDS.get(family)
    return module if module is not None and importlib.util.find_spec(module) is None else None
