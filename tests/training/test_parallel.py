"""A training over several devices or processes is the one over a single device; what it sends is counted."""

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import train_in_parallel
from flax_nets import assert_trees
from float64 import ROUNDED, enabled
from processes import CONVEX, free_port, start_python
from train_in_parallel import HPARAMS, digits, task, wide_task

from jaxnn import distributed, sharding, training
from jaxnn.inspect._hlo import collectives
from jaxnn.training import run_grid

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def alone():
    return train_in_parallel.results()


def assert_same(found, alone):
    """The order and the masks are identical, the losses and weights of 200 steps equal to rounding."""
    for name in ("order", "kept", "epochs/accuracy", "steps/accuracy", "epochs/validation_accuracy"):
        np.testing.assert_array_equal(found[name], alone[name], err_msg=name)
    for name in alone:
        np.testing.assert_allclose(found[name], alone[name], **ROUNDED, err_msg=name)


@pytest.mark.portable
@pytest.mark.parametrize("devices", [*(pytest.param(n, marks=pytest.mark.slow) for n in (2, 4)), 8])
def test_devices_train_as_one(devices, alone):
    with sharding.data_parallel(jax.devices()[:devices]):
        assert sharding.axis_size() == devices
        assert_same(train_in_parallel.results(), alone)


@pytest.mark.portable
@pytest.mark.parametrize("count", [1, 7, 1000, 2003])
def test_every_example_is_evaluated(count):
    data = digits(645)
    inputs = np.resize(data.inputs, (count, 8, 8, 1))
    params = task(HPARAMS).model.init(KEY)

    def scores(params, inputs, statistics):
        return training.predict_scores(task(HPARAMS), params, inputs, statistics)

    with sharding.data_parallel():
        found = jax.jit(scores)(*sharding.replicate((params, inputs, data.statistics)))
    assert found.shape == (count, 10)
    np.testing.assert_allclose(found, scores(params, inputs, data.statistics), rtol=1e-5, atol=1e-5)


@pytest.mark.portable
@pytest.mark.slow
@enabled()
def test_a_training_goes_on_with_another_number_of_devices():
    data = jax.tree.map(jnp.asarray, digits(645))
    train = jax.jit(training.train_until, static_argnames="options")
    progress = training.init_run(wide_task, HPARAMS, KEY, data, epochs=6)
    for stop, devices in ((2, 4), (4, 1), (6, 8)):
        with sharding.data_parallel(jax.devices()[:devices]):
            arguments = sharding.replicate((HPARAMS, KEY, data, progress))
            run = train(training.Options(wide_task, 64), *arguments, jnp.int32(stop))
        key = jax.random.wrap_key_data(jnp.asarray(np.asarray(jax.random.key_data(run.state.key))))
        progress = jax.device_get(run._replace(state=run.state._replace(key=None)))  # as read from a file
        progress = progress._replace(state=progress.state._replace(key=key))
    alone = jax.jit(training.run, static_argnums=0, static_argnames=("epochs", "batch_size"))
    whole = alone(wide_task, HPARAMS, KEY, data, epochs=6, batch_size=64)
    for name, values in whole.history.items():
        np.testing.assert_allclose(progress.history[name], values, **ROUNDED, err_msg=name)
    assert_trees(progress.state.params, whole.state.params, **ROUNDED)


@pytest.mark.portable
@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_two_processes_train_as_one(devices, alone, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    program = [str(Path(train_in_parallel.__file__)), str(tmp_path / "found.npz"), address, "2"]
    processes = [start_python([*program, str(i)], devices) for i in range(2)]
    for process in processes:
        said = process.communicate(timeout=600)[1]
        assert process.returncode == 0, said
    with np.load(tmp_path / "found.npz") as found:
        assert found["devices"].tolist() == [2, 2 * devices]
        assert_same(found, alone)


@pytest.mark.slow
@pytest.mark.parametrize(("killed", "seconds"), [(0, 1), (1, 1), (0, 8), (1, 8)])
def test_the_others_end_when_a_process_is_killed(killed, seconds, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    options = ["--epochs", "1000000", "--coordinator", address, "--num-processes", "2", "--out", str(tmp_path / "run")]
    program = ["-m", "experiments.train", "--dataset", "moons", *options, "--process-id"]
    processes = [start_python([*program, str(i)], 1) for i in range(2)]
    while not (tmp_path / "run" / "tensorboard").exists():
        assert processes[killed].poll() is None
        time.sleep(0.2)
    time.sleep(seconds)  # it compiles, or trains
    processes[killed].kill()
    clock = time.monotonic()
    said = processes[1 - killed].communicate(timeout=120)[1]
    assert time.monotonic() - clock < 30
    processes[killed].communicate()
    assert processes[1 - killed].returncode not in (0, None)
    assert "lost the others" in said or "another task died" in said


@pytest.mark.portable
@pytest.mark.slow
def test_the_command_over_two_processes_writes_what_one_writes(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    program = ["-m", "experiments.train", *CONVEX, "--quick", "--seed", "3"]
    several = ["--coordinator", address, "--num-processes", "2"]
    runs = {
        "alone": [start_python([*program, "--out", str(tmp_path / "alone")], 1)],
        "two": [
            start_python([*program, *several, "--process-id", str(i), "--out", str(tmp_path / "two")], 2)
            for i in range(2)
        ],
    }
    for process in (*runs["alone"], *runs["two"]):
        said = process.communicate(timeout=600)[1]
        assert process.returncode == 0, said
    one, two = (sorted(path.name for path in (tmp_path / name).iterdir()) for name in runs)
    assert one == two
    with np.load(tmp_path / "alone/classifier.npz") as a, np.load(tmp_path / "two/classifier.npz") as b:
        assert sorted(a.files) == sorted(b.files)
        for name in a.files:
            np.testing.assert_allclose(a[name], b[name], atol=2e-6)


@pytest.mark.slow
def test_the_variables_of_a_cluster_are_enough(tmp_path):
    """Those that Open MPI's mpirun sets; JAX makes the port of the number of the job."""
    job = (free_port() % 2**12) * 2**12
    variables = {"OMPI_MCA_orte_hnp_uri": f"{job}.0;tcp://127.0.0.1:1", "OMPI_COMM_WORLD_SIZE": "2"}
    program = ["-m", "experiments.train", "--dataset", "moons", "--quick", "--coordinator", "auto"]
    processes = [
        start_python(
            [*program, "--out", str(tmp_path / "run")],
            1,
            variables | {"OMPI_COMM_WORLD_RANK": str(i), "OMPI_COMM_WORLD_LOCAL_RANK": str(i)},
        )
        for i in range(2)
    ]
    said = [process.communicate(timeout=600) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert " x 2" in said[0][0]
    assert (tmp_path / "run" / "summary.json").exists()


# ---------------------------------------------------------------- what is sent


def compiled_program(function, *arguments, **static):
    return jax.jit(function, static_argnames=("make_task", *static)).lower(*arguments, **static).compile()


def compiled_text(function, *arguments, **static):
    return compiled_program(function, *arguments, **static).as_text() or ""


def test_a_step_sends_the_gradient_and_nothing_else_of_size():
    data = digits(645)
    with sharding.data_parallel(jax.devices()[:4]):
        arguments = sharding.replicate((HPARAMS, KEY, data))
        found = collectives(compiled_text(training.run, task, *arguments, epochs=2, batch_size=64))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(task(HPARAMS).model.init(KEY)))
    large = [one for one in found if one.bytes > 1000]
    # in the loop over the steps: gradient, loss and accuracy
    steps = [one for one in large if one.kind == "all-reduce"]
    assert [one.bytes for one in steps] == [4 * (parameters + 2)]
    assert data.evaluate is not None
    scores = 4 * 10 * len(data.evaluate["validation"][1])  # after each epoch
    assert sum(one.bytes for one in large if one not in steps) <= 2 * scores


def test_one_device_sends_nothing():
    with sharding.data_parallel(jax.devices()[:1]):
        arguments = sharding.replicate((HPARAMS, KEY, digits(645)))
        assert collectives(compiled_text(training.run, task, *arguments, epochs=2, batch_size=64)) == []


def settings(count):
    return {
        "learning_rate": jnp.linspace(0.01, 0.1, count),
        "l2": jnp.full(count, 1e-4),
        "dropout": jnp.full(count, 0.5),
    }


@pytest.mark.portable
@pytest.mark.parametrize(("count", "seeds"), [(4, 1), pytest.param(3, 4, marks=pytest.mark.slow)])
def test_a_sweep_over_devices_is_the_same_and_sends_next_to_nothing(count, seeds):
    data, keys = digits(200), jax.random.split(KEY, seeds)
    options = {"epochs": 2, "batch_size": 64, "select": "validation_accuracy", "patience": 2}
    with enabled():
        alone = training.sweep(wide_task, settings(count), keys, data, **options)
        with sharding.model_parallel(jax.devices()[:4]):
            found = training.sweep(wide_task, settings(count), keys, data, **options)
    with sharding.model_parallel(jax.devices()[:4]):
        arguments = sharding.replicate((settings(count), keys, data))
        static = training.Options(task, 64, "validation_accuracy", 2)
        program = jax.jit(run_grid, static_argnames=("options", "epochs")).lower(static, *arguments, epochs=2).compile()
    assert_trees(jax.device_get(found), alone, **ROUNDED)
    assert all(one.bytes <= 4 for one in collectives(program.as_text() or ""))  # whether anyone goes on
    outputs = jax.tree.leaves(program.output_shardings.state.params)
    assert not any(sharding.is_fully_replicated for sharding in outputs)


# ---------------------------------------------------------------- places and refusals


def test_each_device_holds_the_data_whole_and_a_part_of_a_batch():
    with sharding.data_parallel():
        whole = sharding.replicate((np.arange(24.0, dtype=np.float32).reshape(12, 2), 3.0, KEY))
        part = jax.jit(sharding.shard)(whole[0][:8])
        again = jax.jit(sharding.replicate_inside)(part)
    assert [shard.data.shape for shard in whole[0].addressable_shards] == [(12, 2)] * 8
    assert len(whole[2].sharding.device_set) == 8
    assert [shard.data.shape for shard in part.addressable_shards] == [(1, 2)] * 8
    assert again.sharding.is_fully_replicated
    np.testing.assert_array_equal(jax.device_get(part), np.arange(16.0).reshape(8, 2))


def test_without_a_mesh_nothing_changes():
    x = jnp.ones((8, 2))
    assert sharding.axis_size() == sharding.axis_size(sharding.MODELS) == 1
    assert sharding.shard(x) is x
    assert sharding.replicate_inside(x) is x
    assert len(sharding.replicate(x).sharding.device_set) == 1
    assert distributed.broadcast_scalar(1.5) == 1.5
    assert distributed.exit_on_failure(2) == 2


@pytest.mark.parametrize(("size", "nearest"), [(100, "96 or 104"), (9, "8 or 16"), (3, "8")])
def test_a_batch_that_cannot_be_split_is_refused(size, nearest):
    message = f"batch_size {size} cannot be split over 8 devices; the nearest sizes that can: {nearest}$"
    with sharding.data_parallel(), pytest.raises(ValueError, match=message):
        training.fit(task, HPARAMS, KEY, digits(645), epochs=1, batch_size=size)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("10.0.0.1",), "must be HOST:PORT.*'10.0.0.1'"),
        (("host:port", 2, 0), "must be HOST:PORT.*'host:port'"),
        (("host:70000", 2, 0), "must be HOST:PORT"),
        (("host:1234",), "needs the number of processes"),
        (("host:1234", 2), "needs the number of processes"),
        (("host:1234", 0, 0), "at least 1, got 0"),
        (("host:1234", 2, 2), "from 0 to 1, got 2"),
        (("host:1234", 2, -1), "from 0 to 1, got -1"),
    ],
)
def test_a_wrong_address_or_number_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        distributed.initialize(*arguments)


def test_a_lost_process_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with (
        pytest.raises(ConnectionError, match=r"process 0 of 2 lost the others.*Gloo failed\)$"),
        distributed.report_lost_peers(),
    ):
        raise jax.errors.JaxRuntimeError("Gloo failed\nand more")


def test_an_error_of_one_process_alone_stays_as_it_is():
    with pytest.raises(jax.errors.JaxRuntimeError, match="memory"), distributed.report_lost_peers():
        raise jax.errors.JaxRuntimeError("out of memory")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--num-processes", "2"], "--num-processes needs --coordinator"),
        (["--process-id", "0"], "--process-id needs --coordinator"),
        (["--coordinator", "nowhere"], "must be HOST:PORT"),
        (["--batch-size", "60"], "batch_size 60 cannot be split over 8 devices"),
    ],
)
def test_the_command_refuses_in_one_line_and_writes_nothing(options, said, capsys, tmp_path):
    from experiments import train

    assert train.main([*options, "--dataset", "moons", "--out", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
