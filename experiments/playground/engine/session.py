"""One user's playground: settings, points and networks, trained step by step. Knows nothing of the page."""

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
from experiments.playground.engine.settings import OF_DATA, Settings, Shape, change, shape_of

HISTORY = 400
"""The curves keep at most so many places; then every other one is dropped."""
CHUNK = 512
"""At most so many steps by one call of the compiled program."""
MAX_WEIGHT = 1e3
KEEPS_WEIGHTS = ("activation", "loss", "optimizer", "batch_size")
"""A change of these compiles, but the weights stay as they are."""


class Place(NamedTuple):
    """One place of the curves; losses and accuracies of training and test points, NaN where there are none."""

    step: int
    losses: tuple[float, float]
    accuracies: tuple[float, float]


class Frame(NamedTuple):
    """What the page draws: a copy of the state that no thread changes any more, with NumPy arrays."""

    settings: Settings
    points: Points
    own_points: bool
    playing: bool
    compiling: bool
    """Whether the programs of the settings are still compiled, so that an older network is seen."""
    message: str
    history: tuple[Place, ...]
    number: int
    look: Snapshot
    shape: Shape
    params: list[dict[str, np.ndarray]]
    """Of the network that is looked at."""
    step: int
    epoch: float
    all_planes: np.ndarray | None
    """u8[networks, SMALL, SMALL], of many networks."""
    all_means: np.ndarray | None
    """f32[networks, 2], their accuracies on training and test points, or mean squared errors."""


class Playground:
    """The state of one session. All of its methods are called by one thread."""

    def __init__(self, compiler: Compiler, settings: Settings | None = None) -> None:
        self.compiler = compiler
        self.settings = settings or Settings()
        self.points: Points = data.draw(self.settings)
        self.own_points = False
        """Whether the points are not those that the settings describe."""
        self.playing = False
        self.message = ""
        self.history: list[Place] = []
        self.chosen = (0, 0)
        self.number = 0
        """Which of many networks is looked at."""
        self.shape = shape_of(self.settings)
        self._table = data.as_table(self.points)
        self._orders: tuple[Any, Any] | None = None
        self._every, self._due = 1, 0
        self._programs: Programs = compiler.prepare(self.shape)
        self._pending: tuple[Shape, Programs] | None = (self.shape, self._programs)
        self._weights: list[dict[str, np.ndarray]] | None = None
        self._fresh = True
        """Whether the pending programs begin anew, whatever they are."""
        self.learner: Learner | None = None

    # ------------------------------------------------------------ changes

    def change(self, **given: Any) -> None:
        """Change settings; what they describe follows, at once or when it is compiled."""
        settings = change(self.settings, given)
        of_data = [
            name for name in OF_DATA if name in given and getattr(settings, name) != getattr(self.settings, name)
        ]
        kept = self.own_points and set(of_data) <= {"classes"} and not settings.regression
        points = self.points if kept or not of_data else data.draw(settings)
        points = data.checked(points, settings)
        if of_data and not kept:
            self.own_points = False
        fresh = settings.seed != self.settings.seed or settings.init != self.settings.init
        self.settings = settings
        self._set_points(points)
        self._reshape()
        if fresh:
            self._weights, self._fresh = None, self._pending is not None
            self.reset()

    def regenerate(self) -> None:
        """Draw the points anew with the next seed."""
        self.own_points = False
        seed = (self.settings.data_seed + 1) % 10000
        self.settings = change(self.settings, {"data_seed": seed})
        self._set_points(data.draw(self.settings))

    def redraw(self) -> None:
        """Draw the points that the settings describe, without what was edited by hand."""
        self.own_points = False
        self._set_points(data.draw(self.settings))

    def edit(self, points: Points) -> None:
        """Take other points."""
        self._set_points(data.checked(points, self.settings))
        self.own_points = True

    def load(self, settings: Settings, points: Points | None, weights: list[dict[str, np.ndarray]] | None) -> None:
        """Take a whole state: settings, and points and weights where they are not what the settings describe."""
        if weights is not None:
            fit_weights(weights, settings)
        taken = data.draw(settings) if points is None else data.checked(points, settings)
        self.settings, self.own_points, self.number, self.chosen = settings, points is not None, 0, (0, 0)
        self._set_points(taken)
        self._weights, self._fresh, self.message = weights, True, ""
        shape = shape_of(settings)
        self._pending = (shape, self.compiler.prepare(shape))
        self.ready()

    def reset(self) -> None:
        """Begin anew with the initial weights of the seed."""
        self._weights, self.message = None, ""
        if self._pending is None:
            self._begin()

    def set_parameter(self, layer: int, name: str, place: tuple[int, ...], value: float) -> None:
        """Set one weight ("w", place (out, in)) or bias ("b", place (out,)) of the network that is looked at."""
        if not (math.isfinite(value) and abs(value) <= MAX_WEIGHT):
            raise ValueError(f"a weight must be a number from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}; got {value!r}")
        if self.learner is None:
            return
        params = list(self.learner.params)
        if not 0 <= layer < len(params) or name not in ("w", "b"):
            raise ValueError(f"there is no weight {name} in layer {layer}")
        old = np.array(params[layer][name])
        where = place if self.shape.many == "one" else (self.number, *place)
        if len(where) != old.ndim or any(not 0 <= i < n for i, n in zip(where, old.shape, strict=True)):
            raise ValueError(f"layer {layer} has no weight {name}{list(place)}")
        old[where] = value
        params[layer] = {**params[layer], name: jnp.asarray(old)}
        self.learner = self.learner._replace(params=params)

    def _set_points(self, points: Points) -> None:
        self.points, self._table, self._orders = points, data.as_table(points), None

    def _reshape(self) -> None:
        shape = shape_of(self.settings)
        wanted = self._pending[0] if self._pending else self.shape
        if shape != wanted:
            self._pending = (shape, self.compiler.prepare(shape))
            self.ready()

    # ------------------------------------------------------------ work

    def ready(self, *, wait: bool = False) -> bool:
        """Whether the programs of the settings are compiled; takes them when they are."""
        if self._pending is None:
            return True
        shape, programs = self._pending
        if not wait and not programs.ready():
            return False
        before, learner = self.shape, self.learner
        self.shape, self._programs, self._pending = shape, programs, None
        fresh, self._fresh = self._fresh, False
        same = not fresh and before._replace(**{name: getattr(shape, name) for name in KEEPS_WEIGHTS}) == shape
        self._begin()
        if learner is not None and self.learner is not None and same:
            self.learner = learner._replace(opt_state=self.learner.opt_state)
        self.number = min(self.number, networks(shape) - 1)
        return True

    def _begin(self) -> None:
        begin = self._programs.begin.result()
        self.learner = begin(self._h(), jax.random.key(self.settings.seed))
        self._orders, self.history, self._every, self._due = None, [], 1, 0
        if self._weights is not None and self.learner is not None:
            self.learner = self.learner._replace(params=jax.tree.map(jnp.asarray, self._weights))

    def _h(self) -> dict[str, Any]:
        return hparams(self.settings) | widths(self.shape)

    def steps_per_epoch(self) -> int:
        """How many steps go once through the training points."""
        return max(1, int(self._table.train) // self.shape.batch_size)

    def train(self, steps: int) -> int:
        """Train for so many steps, if the programs are compiled and all is finite."""
        if self.learner is None or not self.ready():
            return 0
        done, h, train, learner = 0, self._h(), self._programs.train.result(), self.learner
        while done < steps:
            epoch, place = int(learner.epoch), int(learner.place)
            if self._orders is None or not 0 <= epoch - self._orders[0] < len(self._orders[1]):
                order = self.compiler.orders()(learner.key, np.int32(epoch), self._table.train)
                self._orders = (epoch, order)
            first, order = self._orders
            room = max((first + len(order) - epoch) * self.steps_per_epoch() - place, 1)
            now = min(steps - done, room, CHUNK)
            learner = self.learner = train(learner, h, self._table, order, np.int32(first), np.int32(now))
            done += now
        return done

    def train_for(self, seconds: float, most: int) -> int:
        """Train for a time, at most so many steps."""
        end, done = time.perf_counter() + seconds, 0
        while done < most and (done == 0 or time.perf_counter() < end):
            now = self.train(min(CHUNK, most - done))
            if now == 0:
                break
            done += now
        return done

    def frame(self) -> Frame | None:
        """What is to be drawn now; None until there is a network. Adds a place to the curves."""
        self.ready()
        if self.learner is None:
            return None
        h = hparams(self.settings)
        if self.shape.many == "widths":
            h["width"] = np.int32(WIDTHS[self.number])
        params = select(self.shape, self.learner, self.number)
        seen = self._programs.look.result()(params, h, self._table, np.array(self.chosen, np.int32))
        planes = means = None
        if self._programs.look_at_all is not None:
            planes, means = map(
                np.asarray, self._programs.look_at_all.result()(self.learner.params, self._h(), self._table)
            )
        seen = jax.tree.map(np.asarray, seen)
        params = [{name: np.asarray(a) for name, a in layer.items()} for layer in params]
        self._remember(seen)
        if not np.isfinite(seen.losses[0]) and self.playing:
            self.playing, self.message = False, "diverged"
        epoch = int(self.learner.epoch) + int(self.learner.place) / self.steps_per_epoch()
        state = (self.settings, self.points, self.own_points, self.playing, self._pending is not None, self.message)
        step = int(self.learner.step)
        return Frame(*state, tuple(self.history), self.number, seen, self.shape, params, step, epoch, planes, means)

    def _remember(self, seen: Snapshot) -> None:
        assert self.learner is not None
        step = int(self.learner.step)
        place = Place(step, tuple(seen.losses.tolist()), tuple(seen.accuracies.tolist()))
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

    def weights(self) -> list[dict[str, np.ndarray]] | None:
        """The parameters of the one network, or None while there are none or many."""
        if self.learner is None or self.shape.many != "one" or self._pending is not None:
            return None
        return [{name: np.asarray(a) for name, a in layer.items()} for layer in self.learner.params]


def fit_weights(weights: list[dict[str, np.ndarray]], settings: Settings) -> None:
    """Check that weights fit the network that the settings describe."""
    shape = shape_of(settings)
    if shape.many != "one":
        raise ValueError("weights belong to one network, but the settings ask for many")
    sizes = (len(shape.features), *shape.hidden, shape.outputs)
    wanted = [{"w": (out, into), "b": (out,)} for into, out in itertools.pairwise(sizes)]
    found = [{name: np.shape(a) for name, a in layer.items()} for layer in weights]
    if found != wanted:
        raise ValueError(f"the weights {found} do not fit the network, which needs {wanted}")
    if not all(np.isfinite(a).all() and np.abs(a).max() <= MAX_WEIGHT for layer in weights for a in layer.values()):
        raise ValueError(f"weights must be finite numbers from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}")
