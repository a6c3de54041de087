"""The state of one session: settings, points and networks in training. Independent of the page."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.playground.engine import points as data
from experiments.playground.engine.compiler import Compiler, Programs, hparams, networks, select, widths
from experiments.playground.engine.points import Points
from experiments.playground.engine.probe import Snapshot
from experiments.playground.engine.programs import WIDTHS, Learner
from experiments.playground.engine.settings import DATA_SETTINGS, Settings, Shape, change, shape_of

HISTORY = 400
"""Points of the curves at which every other one is dropped."""
_CHUNK = 512
"""The largest number of steps per call of the compiled program."""
_MAX_WEIGHT = 1e3
_KEEP_WEIGHTS = ("activation", "loss", "optimizer", "batch_size")
"""Changes of these compile new programs but keep the weights."""

Weights = list[dict[str, np.ndarray]]
"""f32 W[out, in] and b[out] of each layer."""


class CurvePoint(NamedTuple):
    """One point of the curves: losses and accuracies on training and test points, NaN where there are none."""

    step: int
    losses: tuple[float, float]
    accuracies: tuple[float, float]


class Frame(NamedTuple):
    """A copy of the state for the page to draw, in NumPy arrays that no thread changes."""

    settings: Settings
    points: Points
    own_points: bool
    playing: bool
    compiling: bool
    """Whether programs of the settings are still being compiled; the previous network is shown, or an untrained one."""
    message: str
    history: tuple[CurvePoint, ...]
    number: int
    snapshot: Snapshot
    shape: Shape
    params: Weights
    """Of the selected network."""
    step: int
    epoch: float
    all_planes: np.ndarray | None
    """u8[networks, SMALL, SMALL], of several networks."""
    all_means: np.ndarray | None
    """f32[networks, 2], their accuracies (of values: mean squared errors) on training and test points."""


class Playground:
    """The state of one session; all methods are called by one thread."""

    def __init__(self, compiler: Compiler, settings: Settings | None = None) -> None:
        self.compiler = compiler
        self.settings = settings or Settings()
        self.points: Points = data.draw(self.settings)
        self.own_points = False
        """Whether the points differ from those that the settings describe."""
        self.playing = False
        self.message = ""
        self.history: list[CurvePoint] = []
        self.chosen = (0, 0)
        self.number = 0
        """Index of the selected network."""
        self.shape = shape_of(self.settings)
        self._table = data.as_table(self.points)
        self._orders: tuple[Any, Any] | None = None
        self._every, self._due = 1, 0
        self._programs: Programs = compiler.prepare(self.shape)
        self._pending: tuple[Shape, Programs] | None = (self.shape, self._programs)
        self._weights: Weights | None = None
        self._fresh = True
        """Whether the pending programs always start from new weights."""
        self.learner: Learner | None = None

    # ------------------------------------------------------------ changes

    def change(self, **given: Any) -> None:
        """Change settings, or raise ValueError and change nothing; takes effect once the programs are compiled."""
        settings = change(self.settings, given)
        changed = {name for name in DATA_SETTINGS if getattr(settings, name) != getattr(self.settings, name)}
        kept = self.own_points and changed <= {"classes"} and not settings.regression
        points = self.points if kept or not changed else data.draw(settings)
        points = data.checked(points, settings)
        if changed and not kept:
            self.own_points = False
        fresh = settings.seed != self.settings.seed or settings.init != self.settings.init
        self.settings = settings
        self._set_points(points)
        self._reshape()
        if fresh:
            self._weights, self._fresh = None, self._pending is not None
            self.reset()

    def regenerate(self) -> None:
        """Draw points with the next seed."""
        self.own_points = False
        self.settings = change(self.settings, {"data_seed": (self.settings.data_seed + 1) % 10000})
        self._set_points(data.draw(self.settings))

    def edit(self, points: Points) -> None:
        """Replace the points, or raise ValueError and change nothing."""
        self._set_points(data.checked(points, self.settings))
        self.own_points = True

    def load(self, settings: Settings, points: Points | None, weights: Weights | None) -> None:
        """Load a whole state, or raise ValueError and change nothing; None stands for what the settings describe."""
        if weights is not None:
            check_weights(weights, settings)
        taken = data.draw(settings) if points is None else data.checked(points, settings)
        self.settings, self.own_points, self.number, self.chosen = settings, points is not None, 0, (0, 0)
        self._set_points(taken)
        self._weights, self._fresh, self.message = weights, True, ""
        shape = shape_of(settings)
        self._pending = (shape, self.compiler.prepare(shape))
        self.ready()

    def reset(self) -> None:
        """Restart with the initial weights of the seed."""
        self._weights, self.message = None, ""
        if self._pending is None:
            self._begin()

    def set_parameter(self, layer: int, name: str, place: tuple[int, ...], value: float) -> None:
        """Set one weight ("w" at (out, in)) or bias ("b" at (out,)) of the selected network."""
        if not (math.isfinite(value) and abs(value) <= _MAX_WEIGHT):
            raise ValueError(f"a weight must be a number from {-_MAX_WEIGHT:g} to {_MAX_WEIGHT:g}; got {value!r}")
        if self.learner is None:
            return
        params = list(self.learner.state.params)
        if not 0 <= layer < len(params) or name not in ("w", "b"):
            raise ValueError(f"layer {layer} has no weight {name}")
        old = np.array(params[layer][name])
        where = place if self.shape.many == "one" else (self.number, *place)
        if len(where) != old.ndim or any(not 0 <= i < n for i, n in zip(where, old.shape, strict=True)):
            raise ValueError(f"layer {layer} has no weight {name}{list(place)}")
        old[where] = value
        params[layer] = {**params[layer], name: jnp.asarray(old)}
        self.learner = _with(self.learner, params=params)

    def _set_points(self, points: Points) -> None:
        if self.message == "empty":
            self.message = ""
        self.points, self._table, self._orders = points, data.as_table(points), None

    def _reshape(self) -> None:
        shape = shape_of(self.settings)
        wanted = self._pending[0] if self._pending else self.shape
        if shape != wanted:
            self._pending = (shape, self.compiler.prepare(shape))
            self.ready()

    # ------------------------------------------------------------ work

    def ready(self, *, wait: bool = False) -> bool:
        """Whether the programs of the settings are compiled (`wait`: wait for it); switches to them once they draw."""
        if self._pending is not None and (wait or self._pending[1].can_draw()):
            self._switch(*self._pending)
        if wait:
            self._programs.train.result()
        return self._pending is None and self._programs.train.done()

    def _switch(self, shape: Shape, programs: Programs) -> None:
        before, learner = self.shape, self.learner
        self.shape, self._programs, self._pending = shape, programs, None
        fresh, self._fresh = self._fresh, False
        same = not fresh and before._replace(**{name: getattr(shape, name) for name in _KEEP_WEIGHTS}) == shape
        self._begin()
        if learner is not None and self.learner is not None and same:
            self.learner = _with(learner, opt_state=self.learner.state.opt_state)
        self.number = min(self.number, networks(shape) - 1)

    def _begin(self) -> None:
        begin = self._programs.begin.result()
        self.learner = begin(self._h(), jax.random.key(self.settings.seed))
        self._orders, self.history, self._every, self._due = None, [], 1, 0
        if self._weights is not None and self.learner is not None:
            self.learner = _with(self.learner, params=jax.tree.map(jnp.asarray, self._weights))

    def _h(self) -> dict[str, Any]:
        return hparams(self.settings) | widths(self.shape)

    def steps_per_epoch(self) -> int:
        """Steps per epoch."""
        return max(1, int(self._table.train) // self.shape.batch_size)

    def train(self, steps: int) -> int:
        """Train for `steps` steps and return their number; 0 while programs are being compiled or without points."""
        if self.learner is None or not self.ready() or not self._table.train:
            return 0
        done, h, train, learner = 0, self._h(), self._programs.train.result(), self.learner
        while done < steps:
            epoch, place = int(learner.epoch), int(learner.place)
            if self._orders is None or not 0 <= epoch - self._orders[0] < len(self._orders[1]):
                order = self.compiler.orders()(learner.state.key, np.int32(epoch), self._table.train)
                self._orders = (epoch, order)
            first, order = self._orders
            room = max((first + len(order) - epoch) * self.steps_per_epoch() - place, 1)
            now = min(steps - done, room, _CHUNK)
            learner = self.learner = train(learner, h, self._table, order, np.int32(first), np.int32(now))
            done += now
        return done

    def train_for(self, seconds: float, most: int) -> int:
        """Train for a time and at most `most` steps; returns the number of steps."""
        end, done = time.perf_counter() + seconds, 0
        while done < most and (done == 0 or time.perf_counter() < end):
            now = self.train(min(_CHUNK, most - done))
            if now == 0:
                break
            done += now
        return done

    def frame(self) -> Frame | None:
        """The frame to draw, None until there is a network; also adds a point to the curves."""
        ready = self.ready()
        if self.learner is None:
            return None
        h = hparams(self.settings)
        if self.shape.many == "widths":
            h["width"] = np.int32(WIDTHS[self.number])
        params = select(self.shape, self.learner, self.number)
        seen = self._programs.snapshot.result()(params, h, self._table, np.array(self.chosen, np.int32))
        planes = means = None
        if (small := self._programs.small_pictures) is not None:
            planes, means = map(np.asarray, small.result()(self.learner.state.params, self._h(), self._table))
        seen = jax.tree.map(np.asarray, seen)
        self._remember(seen)
        if not np.isfinite(seen.losses[0]) and self.playing:
            self.playing, self.message = False, "diverged" if self._table.train else "empty"
        epoch = int(self.learner.epoch) + int(self.learner.place) / self.steps_per_epoch()
        state = (self.settings, self.points, self.own_points, self.playing, not ready, self.message)
        step = int(self.learner.state.step)
        return Frame(
            *state, tuple(self.history), self.number, seen, self.shape, _as_numpy(params), step, epoch, planes, means
        )

    def _remember(self, seen: Snapshot) -> None:
        assert self.learner is not None
        step = int(self.learner.state.step)
        place = CurvePoint(step, tuple(seen.losses.tolist()), tuple(seen.accuracies.tolist()))
        if self.history and self.history[-1].step >= step:
            self.history[-1] = place
            return
        self._due -= 1
        if self._due > 0:
            return
        self._due = self._every
        self.history.append(place)
        if len(self.history) >= HISTORY:
            self.history = self.history[::2]
            self._every *= 2

    def weights(self) -> Weights | None:
        """The parameters of the network; None for several networks or while programs are being compiled."""
        if self.learner is None or self.shape.many != "one" or self._pending is not None:
            return None
        return _as_numpy(self.learner.state.params)


def _with(learner: Learner, **changes: Any) -> Learner:
    """The learner with another part of its state."""
    return learner._replace(state=learner.state._replace(**changes))


def _as_numpy(params: Any) -> Weights:
    return [{name: np.asarray(a) for name, a in layer.items()} for layer in params]


def check_weights(weights: Weights, settings: Settings) -> None:
    """Check that weights are finite and fit the network of the settings."""
    shape = shape_of(settings)
    if shape.many != "one":
        raise ValueError("weights are for one network, but the settings ask for several")
    wanted = [{"w": (out, into), "b": (out,)} for into, out in itertools.pairwise(shape.sizes)]
    found = [{name: np.shape(a) for name, a in layer.items()} for layer in weights]
    if found != wanted:
        raise ValueError(f"the weights {found} do not fit the network, which needs {wanted}")
    if not all(np.isfinite(a).all() and np.abs(a).max() <= _MAX_WEIGHT for layer in weights for a in layer.values()):
        raise ValueError(f"weights must be finite numbers from {-_MAX_WEIGHT:g} to {_MAX_WEIGHT:g}")
