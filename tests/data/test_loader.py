"""Examples that are read while training goes on: the batches of a run in memory, from any step, in any process."""

import resource
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from float64 import ROUNDED, enabled, in_float64
from prepared_sets import damage, prepare_tiny

from experiments.benchmark import streaming
from jaxnn import losses, models, sharding, training
from jaxnn._random import epoch_key, feistel_keys, permutation, permutation_at
from jaxnn.data import load, loader
from jaxnn.data._tfds import _records, _source

KEY = jax.random.key(4)
COUNT, BATCH = 50, 8
SHAPE = (5, 4, 3)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare_tiny(tmp_path_factory.mktemp("tiny"), COUNT, 6)


@pytest.fixture(scope="module")
def decoded(prepared):
    return _records.decode(prepared).train


@pytest.mark.parametrize("n", [1, 2, 7, 100, 101, 1000, 50_000])
def test_places_of_an_order_are_those_of_the_whole(n):
    key = jax.random.key(n)
    whole = np.asarray(permutation(key, n))
    places = np.random.default_rng(0).integers(0, n, 200)
    np.testing.assert_array_equal(permutation_at(places, np.asarray(feistel_keys(key, n)), n), whole[places])


def batches(examples, **options):
    found = loader.shuffled_batches(examples, KEY, **{"batch_size": BATCH, "epochs": 3, "threads": 2} | options)
    return [tuple(np.asarray(part) for part in batch) for batch in found]


def expected(decoded, epochs=3):
    """The batches of `training.run`, from the whole order of each epoch."""
    found = []
    for epoch in range(epochs):
        order = np.asarray(permutation(epoch_key(KEY, jnp.int32(epoch)), COUNT))
        found += [order[start : start + BATCH] for start in range(0, COUNT - BATCH + 1, BATCH)]
    return [(decoded.inputs[rows], decoded.labels[rows]) for rows in found]


def assert_equal(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
        assert one[0].dtype == np.uint8
        assert one[1].dtype == np.int32


@pytest.mark.parametrize("on_disk", [True, False])
def test_the_batches_are_those_of_a_run_in_memory(on_disk, prepared, decoded):
    examples = loader.open_examples(prepared, "train", memory_share=0.0 if on_disk else 1.0)
    assert isinstance(examples, loader.OnDisk if on_disk else loader.InMemory)
    assert_equal(batches(examples), expected(decoded))


@pytest.mark.parametrize("step", [1, 6, 13, 18])
def test_it_goes_on_at_any_step(step, prepared, decoded):
    examples = loader.OnDisk(prepared, "train")
    assert_equal(batches(examples, first_step=step), expected(decoded)[step:])


@pytest.mark.slow
def test_workers_give_the_same(prepared, decoded):
    assert_equal(batches(loader.OnDisk(prepared, "train"), workers=2, first_step=2), expected(decoded)[2:])


def test_each_process_reads_its_part(prepared, decoded, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    parts = []
    for process in range(2):
        monkeypatch.setattr(jax, "process_index", lambda process=process: process)
        parts.append(batches(loader.OnDisk(prepared, "train")))
    whole = [tuple(np.concatenate(halves) for halves in zip(*two, strict=True)) for two in zip(*parts, strict=True)]
    assert_equal(whole, expected(decoded))


def test_a_batch_lies_split_over_the_devices(prepared, decoded):
    with sharding.data_parallel():
        [first, *_] = loader.shuffled_batches(loader.OnDisk(prepared, "train"), KEY, batch_size=BATCH, epochs=1)
    assert [shard.data.shape for shard in first[0].addressable_shards] == [(1, *SHAPE)] * 8
    np.testing.assert_array_equal(np.asarray(first[0]), expected(decoded)[0][0])


@pytest.mark.portable
@enabled()
def test_the_same_update_trains_to_the_parameters_of_a_run_in_memory(prepared, decoded):
    @in_float64
    def task(h):
        model = models.mlp(SHAPE, (16,), 2, dropout=0.3)
        transform = lambda _, x: x.astype(jnp.float32) / 255
        return training.Task(model, losses.softmax, optax.sgd(h["rate"], momentum=0.9), transform=transform)

    run, _ = training.fit(task, {"rate": 0.1}, KEY, training.Data(*decoded), epochs=3, batch_size=BATCH)
    state = training.init_state(task({"rate": 0.1}), jax.random.fold_in(KEY, 0))
    update = jax.jit(training.make_train_step(task({"rate": 0.1})))
    losses_of_steps = []
    for batch in loader.shuffled_batches(loader.OnDisk(prepared, "train"), KEY, batch_size=BATCH, epochs=3):
        state, metrics = update(state, batch)
        losses_of_steps.append(float(metrics.loss))
    np.testing.assert_allclose(np.reshape(losses_of_steps, (3, -1)).mean(1), run.history["loss"], **ROUNDED)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **ROUNDED), state.params, run.state.params)


def test_a_part_of_a_split(prepared):
    part = loader.OnDisk(prepared, "train[:40%]")
    whole = loader.OnDisk(prepared, "train")
    assert (len(part), len(whole)) == (20, COUNT)
    np.testing.assert_array_equal(part.take(np.arange(20))[0], whole.take(np.arange(20))[0])


# ---------------------------------------------------------------- memory


def test_what_fits_is_decoded_and_what_does_not_is_streamed(prepared, monkeypatch):
    size = COUNT * 5 * 4 * 3
    monkeypatch.setattr(loader, "memory", lambda: 2 * size)
    assert isinstance(loader.open_examples(prepared, "train"), loader.InMemory)
    monkeypatch.setattr(loader, "memory", lambda: 2 * size - 1)
    assert isinstance(loader.open_examples(prepared, "train"), loader.OnDisk)


def test_a_set_larger_than_the_memory_is_refused_before_it_is_decoded(prepared, tmp_path, monkeypatch):
    size = COUNT * 5 * 4 * 3
    options = {"data_dir": prepared.folder.parents[1], "cache_dir": tmp_path}
    monkeypatch.setattr(_records, "memory", lambda: size - 1)
    with pytest.raises(ValueError, match=r"images of tiny take 0\.0 GiB when decoded.*with jaxnn\.data\.loader"):
        load("tiny", **options)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(_records, "memory", lambda: size)
    assert len(load("tiny", **options, validation_share=0).train.labels) == COUNT


def test_the_memory_is_what_the_process_may_use(run_python):
    total = 1024 * int(Path("/proc/meminfo").read_text().split()[1])
    assert loader.memory() <= total
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
    code = "import resource\nfrom jaxnn.data import loader\nresource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30))\n"
    assert run_python(code + "print(loader.memory())").strip() == str(2**30)


@pytest.fixture
def group():
    """A control group whose processes may hold 300 MiB."""
    try:
        with streaming.memory_limit(300 * 2**20) as limit:
            yield limit
    except OSError as error:
        pytest.skip(str(error))


def test_the_limit_of_the_control_group_counts(group, run_python):
    code = f"import os\nopen({str(group)!r}, 'w').write(str(os.getpid()))\nfrom jaxnn.data import loader\n"
    assert run_python(code + "print(loader.memory())").strip() == str(300 * 2**20)


def test_what_holds_more_than_the_control_group_allows_is_killed(group):
    code = f"import os\nopen({str(group)!r}, 'w').write(str(os.getpid()))\n"
    holding = [code + f"held = b'x' * {size} * 2**20" for size in (200, 400)]
    assert [subprocess.run([sys.executable, "-c", one], check=False).returncode for one in holding] == [0, -9]


def test_the_benchmark_reads_every_example_once(tmp_path, monkeypatch):
    options = streaming.Options(side=16, batch_size=8, hidden=4)
    streaming.make_images(tmp_path, 44, 16)
    found = _source.find(streaming.NAME, tmp_path)
    assert found is not None
    whole = loader.open_examples(found, "train")
    assert [len(whole), *np.unique(whole.take(np.arange(44))[1])] == [44, *range(10)]
    rows = {reader: streaming.read(reader, tmp_path, options) for reader in ("memory", "memory, training")}
    monkeypatch.setattr(loader, "memory", lambda: 1000)
    rows |= {reader: streaming.read(reader, tmp_path, options) for reader in ("stream", "stream, training")}
    for row in rows.values():
        assert row["examples_per_second"] > 0
        assert 0 < row["waiting_share"] <= 1
        assert len(row["memory_mib"]) == 5  # at the start, and after each of the four batches after the first
    assert max(rows["memory, training"]["waiting_share"], rows["stream, training"]["waiting_share"]) < 1


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be from 1 to 50.*got 0"),
        ({"batch_size": 51}, "batch_size must be from 1 to 50.*got 51"),
        ({"epochs": 0}, "epochs and threads must be at least 1.*got 0, 2, 0"),
        ({"threads": 0}, "epochs and threads must be at least 1.*got 3, 0, 0"),
        ({"workers": -1}, "workers at least 0; got 3, 2, -1"),
        ({"first_step": -1}, "first_step must be from 0 to 18.*got -1"),
        ({"first_step": 19}, "first_step must be from 0 to 18.*got 19"),
    ],
)
def test_sizes_out_of_range_are_refused(options, message, prepared):
    with pytest.raises(ValueError, match=message):
        batches(loader.OnDisk(prepared, "train"), **options)


def test_a_batch_that_cannot_be_split_is_refused(prepared):
    with sharding.data_parallel(), pytest.raises(ValueError, match="batch_size 9 cannot be split over 8 devices"):
        batches(loader.OnDisk(prepared, "train"), batch_size=9)


def test_an_unknown_split_and_a_wrong_share_are_refused(prepared):
    with pytest.raises(ValueError, match="tiny has no split 'trian'"):
        loader.OnDisk(prepared, "trian")
    with pytest.raises(ValueError, match=r"memory_share must be from 0 to 1, got 1\.5"):
        loader.open_examples(prepared, "train", memory_share=1.5)


@pytest.mark.parametrize("kind", ["truncated", "emptied", "bit", "deleted"])
def test_a_damaged_file_is_named(kind, tmp_path):
    found = prepare_tiny(tmp_path, COUNT, 6)
    [shard] = found.folder.glob("*train*")
    damage(shard, kind)
    with pytest.raises(OSError, match=rf"{found.folder} is missing or damaged .* delete {found.folder}"):
        batches(loader.OnDisk(found, "train"))


def test_the_benchmark_refuses_wrong_sizes(tmp_path, capsys):
    assert streaming.main(["--workers", "0", "--out", str(tmp_path / "found.json")]) == 2
    assert "--workers 0 must be at least 1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
