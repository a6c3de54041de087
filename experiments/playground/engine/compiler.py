"""Programs compiled in the background, once for each shape."""

from __future__ import annotations

import functools
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from experiments.playground.engine import probe, programs
from experiments.playground.engine.programs import SEEDS, WIDTHS, Learner, Table
from experiments.playground.engine.settings import MAX_POINTS, TRACED, Settings, Shape
from jaxnn.training._compile import compiler_options

_MAX_SHAPES = 32
"""Shapes whose programs are kept."""
_tracing = threading.Lock()
"""Tracing holds the interpreter lock: several tracing threads would only slow the server."""


class Programs(NamedTuple):
    """The programs of a shape, each compiled or about to be."""

    train: Future[Any]
    snapshot: Future[Any]
    begin: Future[Any]
    small_pictures: Future[Any] | None
    """None for one network."""

    def can_draw(self) -> bool:
        """Whether those are compiled that draw an untrained network."""
        return all(program.done() for program in self if program not in (None, self.train))


def hparams(settings: Settings) -> dict[str, Any]:
    """The traced numbers of the settings, f32[]."""
    return {name: np.float32(getattr(settings, name)) for name in TRACED}


def widths(shape: Shape) -> dict[str, Any]:
    """The hyper-parameter of networks of several widths, i32[widths]; otherwise nothing."""
    return {"width": np.array(WIDTHS, np.int32)} if shape.many == "widths" else {}


def networks(shape: Shape) -> int:
    """Number of networks trained at once."""
    return {"one": 1, "seeds": SEEDS, "widths": len(WIDTHS)}[shape.many]


def select(shape: Shape, learner: Learner, number: int) -> Any:
    """The parameters of one network; narrower ones keep their unused neurons."""
    params = learner.state.params
    return params if shape.many == "one" else jax.tree.map(lambda a: a[number], params)


def _example(shape: Shape) -> tuple[dict[str, Any], Array, Table]:
    h = hparams(Settings()) | widths(shape)
    table = Table(np.zeros((MAX_POINTS, 2), np.float32), np.zeros(MAX_POINTS, np.float32), np.int32(1), np.int32(1))
    return h, jax.random.key(0), table


class Compiler:
    """Compiles in the background; shared by all sessions of the server."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="compile")
        self._lock = threading.Lock()
        self._shapes: dict[Shape, Programs] = {}
        key = jax.random.key(0)
        self._orders = self._threads.submit(_compile, programs.orders, key, np.int32(0), np.int32(1))

    def prepare(self, shape: Shape) -> Programs:
        """The programs of a shape, compiled or being compiled."""
        with self._lock:
            if shape not in self._shapes:
                if len(self._shapes) >= _MAX_SHAPES:
                    del self._shapes[next(iter(self._shapes))]
                self._shapes[shape] = self._start(shape)
            self._shapes[shape] = self._shapes.pop(shape)  # the most recently used is dropped last
            return self._shapes[shape]

    def orders(self) -> Any:
        """The compiled `programs.orders`, which serves all shapes."""
        return self._orders.result()

    def _start(self, shape: Shape) -> Programs:
        """Tracing also runs in the threads, since it takes a good part of a second."""
        submit, (h, key, table) = self._threads.submit, _example(shape)
        begin = functools.partial(programs.begin, shape)
        like = submit(jax.eval_shape, begin, h, key)  # first in the queue: others wait for it

        def train() -> Any:
            order = jax.ShapeDtypeStruct((programs.ORDERS, MAX_POINTS), jnp.int32)
            of_shape = functools.partial(programs.train, shape)
            return _compile(of_shape, like.result(), h, table, order, np.int32(0), np.int32(1))

        def take_snapshot() -> Any:
            params = jax.eval_shape(lambda learner: select(shape, learner, 0), like.result())
            one = hparams(Settings()) | ({"width": np.int32(1)} if shape.many == "widths" else {})
            return _compile(functools.partial(probe.snapshot, shape), params, one, table, np.zeros(2, np.int32))

        def small_pictures() -> Any:
            return _compile(functools.partial(probe.small_pictures, shape), like.result().state.params, h, table)

        return Programs(  # what draws the first picture is compiled first
            begin=submit(_compile, begin, h, key, level=0),
            snapshot=submit(take_snapshot),
            small_pictures=None if shape.many == "one" else submit(small_pictures),
            train=submit(train),
        )


def _compile(function: Any, *arguments: Any, level: int = 1) -> Any:
    """Compile for arguments of these shapes, on CPUs in half the time: networks this small train nearly as fast.

    Two layers of 32 neurons lose a quarter of their speed. `level` 0 is for a program that runs once.
    """
    options: Any = None
    if jax.default_backend() == "cpu":
        options = {"xla_backend_optimization_level": level} | (compiler_options(short=True) or {})
    with _tracing:
        lowered = jax.jit(function).lower(*arguments)
    return lowered.compile(compiler_options=options)
