"""Many training runs at once: every setting of the hyper-parameters with every seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnn import distributed, sharding
from jaxnn.training._evaluate import join_splits
from jaxnn.training._flat import flatten_data
from jaxnn.training._history import should_continue
from jaxnn.training._run import check_data, check_options, init_run, train_epoch
from jaxnn.training._step import init_state
from jaxnn.training._task import Data, Hparams, MakeTask, Options, Run, State

Chunk = tuple[slice, slice]
"""Settings and seeds that are trained together."""

_SMALL_ON_CPU = 2**26

# Which leaves of a `Run` have an axis of their own: of the settings of one key, then of the keys. The number of epochs
# and of steps is the same for all that are still running; the key of the steps is the seed's.
_MODELS: Any = Run._make((State._make((0, 0, None, None, 0)), 0, 0, None, 0, None))
_SEEDS: Any = Run._make((State._make((0, 0, None, 0, 0)), 0, 0, None, 0, None))


def run_grid(
    options: Options,
    hparams: Hparams,
    keys: Array,
    data: Data,
    epochs: int,
    before: Run | None = None,
    stop: Array | int | None = None,
) -> Run:
    """Every setting with every key, side by side; the leaves have two more leading axes, [settings, keys, ...].

    The runs continue those of `before`, and pause after `stop` of the `epochs` for which their history has room.
    """
    data = jax.tree.map(jnp.asarray, data)
    splits = join_splits(data)
    steps = data.labels.shape[0] // options.batch_size

    def begin(hparams: Hparams, key: Array) -> Run:
        return init_run(options.make_task, hparams, key, data, epochs=epochs, select=options.select)

    def train(hparams: Hparams, key: Array, progress: Run) -> tuple[Run, Array]:
        task = options.make_task(hparams)
        after = train_epoch(task, options, key, data, splits, progress)
        return after, should_continue(after, options.patience, task)

    def over_all(function: Callable[..., Any], *in_and_out: Any) -> Callable[..., Any]:
        """A function of (setting, key, ...) for all settings and keys; what all runs share stays one value."""
        (in_models, out_models), (in_seeds, out_seeds) = in_and_out
        return jax.vmap(jax.vmap(function, (0, None, *in_models), out_models), (None, 0, *in_seeds), out_seeds)

    def next_of_all(carry: tuple[Run, Array, Array]) -> tuple[Run, Array, Array]:
        before, on, done = carry
        after, still_on = over_all(train, ((_MODELS,), (_MODELS, 0)), ((_SEEDS,), (_SEEDS, 0)))(hparams, keys, before)

        def keep(axis: int | None, new: Any, old: Any) -> Any:
            if axis is None:
                return new
            return jax.tree.map(lambda n, o: jnp.where(on.reshape(on.shape + (1,) * (n.ndim - 2)), n, o), new, old)

        # values shared by all settings (epoch, step, key) advance; a run that has stopped keeps its own
        after = jax.tree.map(keep, _MODELS, after, before, is_leaf=lambda axis: axis is None)
        return after, on & still_on, done + on.astype(jnp.int32)

    devices, lengths = sharding.axis_size(sharding.MODELS), (len(keys), _count_settings(hparams))
    shared_out = min((1, 0), key=lambda axis: -(-lengths[axis] // devices) / lengths[axis])  # with fewest idle devices

    def spread(axis: int | None, part: Any) -> Any:
        """Where a mesh is set, each device has seeds or settings of its own."""
        return part if axis is None else sharding.shard(part, shared_out, sharding.MODELS)

    def may_continue(hparams: Hparams, key: Array, progress: Run) -> Array:
        return should_continue(progress, options.patience, options.make_task(hparams))

    progress = over_all(begin, ((), _MODELS), ((), _SEEDS))(hparams, keys)
    done = jnp.zeros(progress.bad_step.shape, jnp.int32)
    on = jnp.ones(done.shape, bool)
    if before is not None:
        key = progress.state.key
        progress = jax.tree.map(lambda a: a.swapaxes(0, 1), before._replace(state=before.state._replace(key=None)))
        done, epoch = progress.epoch, progress.epoch.max()  # of those still running; others stopped earlier
        progress = progress._replace(state=progress.state._replace(step=epoch * steps, key=key), epoch=epoch)
        on = over_all(may_continue, ((_MODELS,), 0), ((_SEEDS,), 0))(hparams, keys, progress)
    progress = jax.tree.map(spread, _MODELS, progress, is_leaf=lambda axis: axis is None)
    progress, _, done = jax.lax.while_loop(
        lambda carry: (carry[0].epoch < (epochs if stop is None else stop)) & carry[1].any(),
        next_of_all,
        (progress, on, done),
    )
    own = jnp.broadcast_to(progress.state.key[:, None], done.shape)
    progress = progress._replace(state=progress.state._replace(step=done * steps, key=own), epoch=done)
    return jax.tree.map(lambda a: a.swapaxes(0, 1), progress)


compiled_grid = jax.jit(run_grid, static_argnames=("options", "epochs"))


def sweep(
    make_task: MakeTask,
    hparams: Hparams,
    keys: Array,
    data: Data,
    *,
    epochs: int,
    batch_size: int,
    select: str | None = None,
    patience: int | None = None,
    before: Run | None = None,
    stop: int | None = None,
    chunk: tuple[int, int] | None = None,
    keep: Callable[[Run], Any] = lambda run: run,
    on_chunk: Callable[[Chunk, Any], None] | None = None,
    recall: Callable[[Chunk], Any] = lambda chunk: None,
) -> Any:
    """Train every setting with every seed, in chunks that fit in memory, each chunk as one compiled program.

    The runs of one seed go through the same batches in the same order, from the same initial weights where these do not
    depend on the setting: the batch is fetched and prepared once, and the products of all settings with it are one
    large product. Each run is the one that `run(make_task, setting, key, data, ...)` makes. Within
    `sharding.model_parallel` the models of a chunk are spread over devices, and the chunks over processes: bit for bit
    as in one process with as many devices as each of them.

    Args:
        make_task: as `run`.
        hparams: a pytree of numbers, each [H]: setting h consists of their values at index h.
        keys: key[S].
        data, epochs, batch_size, select, patience: as `run`. A run that has stopped waits until all have.
        before: the runs to continue instead of new ones, [H, S, ...]: what an earlier call with the same settings (or
            more of them, of which these were chosen), keys, data and epochs returned.
        stop: pause the runs after this many of their `epochs`; by default train them to the end.
        chunk: how many settings and how many seeds are trained together; by default `choose_chunk`. (1, 1) is a loop.
        keep: what to keep of each chunk's `Run`, such as `lambda run: run.history`; by default all of it but
            `state.key`, parameters of every run included.
        on_chunk: called with each chunk that was trained and what is kept of it, NumPy arrays [settings, seeds, ...];
            of several processes, in all of them.
        recall: returns what was kept of a chunk trained before, as by a sweep that was interrupted, else None; the same
            in all processes.

    Returns:
        What is kept, as NumPy arrays [H, S, ...].

    Raises:
        TypeError, ValueError: as `run`; also a ValueError for settings of unequal lengths, a chunk below (1, 1),
            a `stop` beyond `epochs`, or a `before` of other runs.

    Example:
        >>> rates, keys = {"rate": jnp.array([0.1, 0.5, 1.0])}, jax.random.split(key, 2)
        >>> runs = training.sweep(task, rates, keys, data, epochs=3, batch_size=10)
        >>> runs.state.params[0]["w"].shape  # settings, seeds, classes, inputs
        (3, 2, 2, 2)

        Successive halving trains fewer and fewer settings, each from where it was:

        >>> runs = training.sweep(task, rates, keys, data, epochs=3, batch_size=10, stop=1)
        >>> best = runs.history["loss"][:, :, 0].mean(1).argsort()[:2]
        >>> rates, runs = jax.tree.map(lambda a: a[best], (rates, runs))
        >>> training.sweep(task, rates, keys, data, epochs=3, batch_size=10, before=runs).epoch.tolist()
        [[3, 3], [3, 3]]
    """
    if chunk is not None and min(chunk) < 1:
        raise ValueError(f"sweep: chunk must be at least (1, 1), got {chunk}")
    settings, seeds = _count_settings(hparams), len(keys)
    check_options(epochs, batch_size, select, patience)
    check_data(data, batch_size)
    if stop is not None and not 1 <= stop <= epochs:
        raise ValueError(f"sweep: stop must be from 1 to epochs, {epochs}, got {stop}")
    if before is not None:
        _check_before(before, settings, seeds, epochs)
    stored, hparams, keys = sharding.replicate((flatten_data(data), hparams, keys))
    size = chunk or choose_chunk(make_task, hparams, keys, data, batch_size)
    options = Options(make_task, batch_size, select, patience)

    def train(place: Chunk) -> Any:
        of_chunk = jax.tree.map(lambda a: _padded(a, place[0], size[0]), hparams)
        continued: dict[str, Any] = {} if stop is None and before is None else {"stop": np.int32(stop or epochs)}
        if before is not None:
            rows = jax.tree.map(lambda a: _padded(a, place[0], size[0]), before)
            columns = jax.tree.map(lambda a: _padded(a.swapaxes(0, 1), place[1], size[1]).swapaxes(0, 1), rows)
            continued["before"] = sharding.replicate(columns)
        run = compiled_grid(options, of_chunk, _padded(keys, place[1], size[1]), stored, epochs=epochs, **continued)
        run = run._replace(state=run.state._replace(key=None))
        return keep(run)

    places = list(itertools.product(_slices(settings, size[0]), _slices(seeds, size[1])))
    kept = [recall(place) for place in places]
    left = [i for i, found in enumerate(kept) if found is None]
    together = jax.process_count() if sharding.MODELS in jax.sharding.get_abstract_mesh().shape else 1
    for first in range(0, len(left), together):  # a chunk for each process; those without one repeat the last
        now = left[first : first + together]
        own = train(places[now[min(jax.process_index(), len(now) - 1)]])
        for i, found in zip(now, distributed.all_gather(own) if together > 1 else [jax.device_get(own)], strict=False):
            inside = tuple(slice(0, part.stop - part.start) for part in places[i])
            kept[i] = jax.tree.map(lambda a, inside=inside: a[inside], found)
            if on_chunk is not None:
                on_chunk(places[i], kept[i])
    columns = len(places) // -(-settings // size[0])
    rows = (kept[first : first + columns] for first in range(0, len(kept), columns))
    rows = [jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *row) for row in rows]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *rows)


def choose_chunk(
    make_task: MakeTask, hparams: Hparams, keys: Array, data: Data, batch_size: int, *, memory: float | None = None
) -> tuple[int, int]:
    """How many settings and seeds to train together: all settings of a seed first, which share every batch, then seeds.

    Runs of different seeds share nothing. Together they save the overhead of small operations, but where a step has
    work enough for the processor they only compete for its caches: on a CPU seeds are joined only while the batches
    and the parameters of all of them are small.
    """
    settings, seeds = _count_settings(hparams), len(keys)
    first = lambda hparams, keys: init_state(make_task(jax.tree.map(lambda a: a[0], hparams)), keys[0])
    state = jax.eval_shape(first, hparams, keys)
    weights = sum(leaf.size for leaf in jax.tree.leaves((state.params, state.opt_state)))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    inputs = math.prod(data.inputs.shape[1:])
    examples = max(batch_size, 1000)
    # parameters, optimizer, gradient, the best so far; activations and their gradients, about a value a column of W
    of_model = 4 * (weights + 2 * parameters + 4 * examples * max(1, parameters // inputs))
    of_seed = 4 * examples * inputs
    device = jax.devices()[0]
    limit = (device.memory_stats() or {}).get("bytes_limit", 2.0**32) / 4 if memory is None else memory
    fit = max(1, int((limit - of_seed) // of_model)) * sharding.axis_size(sharding.MODELS)
    if fit < settings:
        return math.ceil(settings / math.ceil(settings / fit)), 1
    room = min(limit, _SMALL_ON_CPU) if memory is None and device.platform == "cpu" else limit
    together = max(1, min(seeds, int(room // (settings * of_model + of_seed))))
    return settings, math.ceil(seeds / math.ceil(seeds / together))


def _count_settings(hparams: Hparams) -> int:
    """The number of settings, the same for all hyper-parameters."""
    shapes = {jax.tree_util.keystr(at): np.shape(leaf) for at, leaf in jax.tree_util.tree_leaves_with_path(hparams)}
    counts = {shape[:1] for shape in shapes.values()}
    if len(counts) != 1 or counts & {(), (0,)}:
        found = ", ".join(f"hparams{at} of shape {list(shape)}" for at, shape in shapes.items()) or "none at all"
        raise ValueError(f"sweep: every hyper-parameter needs the same number of values [settings, ...], got {found}")
    return counts.pop()[0]


def _check_before(before: Run, settings: int, seeds: int, epochs: int) -> None:
    found = {np.shape(leaf)[:2] for leaf in jax.tree.leaves(before)}
    found |= {np.shape(values)[2:] for values in before.history.values()}
    if found != {(settings, seeds), (epochs,)}:
        raise ValueError(
            f"sweep: before must hold {settings} settings x {seeds} seeds with room for {epochs} epochs, "
            f"got arrays that begin with {sorted(found)}"
        )


def _slices(count: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def _padded(values: Any, part: slice, size: int) -> Any:
    """The values of a chunk; a smaller last chunk is padded with its last value, so that nothing is recompiled."""
    if part == slice(0, len(values)) and size == len(values):
        return values
    rows = np.minimum(np.arange(part.start, part.start + size), part.stop - 1)
    return values[rows]
