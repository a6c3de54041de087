"""A sweep over several processes is the sweep in one, bit for bit, also after one of them was killed."""

import concurrent.futures
import json
import shutil
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh
from processes import free_port, start_python
from small_tasks import KEY, batches, linear_task

from experiments.sweeps import store
from experiments.sweeps.grid import SweepConfig
from jaxnn import distributed, sharding, training

RATES = ["--learning-rates", "0.003", "0.01", "0.03", "0.1"]
GRID = [*RATES, "--widths", "1", "4", "8", "--seeds", "2", "--chunk", "2", "1"]
SWEEP = ["--dataset", "moons", "--epochs", "300", *GRID, "--out"]
HALVED = ["--dataset", "moons", "--epochs", "80", *GRID, "--halving", "2", "--first-rung", "10", "--out"]


def start(arguments, processes, folder):
    """The processes of a sweep, one device each, of which only the first sees the folder."""
    program = ["-m", "experiments.sweep", *arguments]
    if processes == 1:
        return [start_python([*program, str(folder)], 1)]
    several = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", str(processes), "--process-id"]
    folders = [folder] + [folder.with_name("of another host")] * (processes - 1)
    return [start_python([*program, str(own), *several, str(i)], 1) for i, own in enumerate(folders)]


def complete(processes):
    for process in processes:
        said = process.communicate(timeout=600)[1]
        assert process.returncode == 0, said


def rate_task(h):
    return linear_task(optimizer=optax.sgd(h["rate"]))


@pytest.mark.parametrize("stored", [[], [2]], ids=["new", "one chunk is there"])
def test_chunks_are_dealt_to_processes_and_each_gets_all(stored, monkeypatch):
    """Two threads play two processes of a device each, of five chunks or four, with one process in the end idle."""
    [(inputs, labels)] = batches(1, size=20)
    arguments = {"rate": np.linspace(0.1, 0.5, 5, dtype=np.float32)}, jax.random.split(KEY, 1)
    options = {"epochs": 2, "batch_size": 5, "chunk": (1, 1), "keep": lambda run: (run.history, run.state.params)}

    def sweep(device, **more):
        with jax.set_mesh(Mesh(np.array([device]), (sharding.MODELS,))):
            return training.sweep(rate_task, *arguments, training.Data(inputs, labels), **options, **more)

    alone = sweep(jax.devices()[0])
    barrier, sent, told = threading.Barrier(2, timeout=60), {}, [[], []]

    def process():
        return int(threading.current_thread().name[-1])

    def all_gather(tree):
        sent[process()] = jax.device_get(tree)
        barrier.wait()
        found = [sent[0], sent[1]]
        barrier.wait()
        return found

    def take_part(_):
        there = lambda place: jax.tree.map(lambda a: a[place], alone) if place[0].start in stored else None
        on_chunk = lambda place, kept: told[process()].append((place[0].start, kept))
        return sweep(jax.devices()[process()], recall=there, on_chunk=on_chunk)

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", process)
    monkeypatch.setattr(distributed, "all_gather", all_gather)
    with concurrent.futures.ThreadPoolExecutor(2, "process") as pool:
        each = list(pool.map(take_part, range(2)))
    for found in each:
        jax.tree.map(np.testing.assert_array_equal, found, alone)
    for of_process in told:
        assert [start for start, _ in of_process] == [i for i in range(5) if i not in stored]
        for start, kept in of_process:
            jax.tree.map(lambda a, b, i=start: np.testing.assert_array_equal(a, b[i : i + 1]), kept, alone)


def test_models_are_not_spread_over_the_devices_of_others(monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    with pytest.raises(ValueError, match="devices must be of this process, got cpu:0"):
        sharding.model_parallel(jax.devices()[:2])


def test_all_processes_stop_where_the_first_was_told_to(tmp_path, monkeypatch):
    """Each by itself would stop after another chunk, and the others would wait for what it never sends."""
    monkeypatch.setattr(distributed, "broadcast_scalar", lambda value: 15.0)  # SIGTERM, of process 0
    kept = store.Store(SweepConfig(), tmp_path, lambda: None, print, lambda: "2 of 8 models")
    with pytest.raises(store.command.Interrupted, match="SIGTERM after 2 of 8 models"):
        kept.keep("0-0.npz", {"best": np.zeros(2)})
    assert (tmp_path / "chunks" / "0-0.npz").exists()


def test_bytes_are_sent_in_blocks(monkeypatch):
    sent = []
    monkeypatch.setattr(distributed, "BLOCK", 4)
    monkeypatch.setattr(
        distributed.multihost_utils, "broadcast_one_to_all", lambda value: sent.append(value) or np.asarray(value)
    )
    for content in (b"", b"abc", b"abcd", b"abcdefghi"):
        sent.clear()
        assert distributed.broadcast_bytes(content) == content
        assert [value.size for value in sent[1:]] == [len(content[i : i + 4]) for i in range(0, len(content), 4)]


def test_what_is_gathered_keeps_every_bit(monkeypatch):
    both = lambda sent: jax.tree.map(lambda a: np.asarray(jnp.stack([a, a])), sent)  # as JAX does, by its own arrays
    monkeypatch.setattr(distributed.multihost_utils, "process_allgather", both)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    sent = {"accuracy": np.float64(1 / 3), "steps": np.array([[2**40, -1]]), "on": np.array([True, False])}
    sent |= {"half": jnp.ones((2, 1), jnp.bfloat16), "none": np.zeros((0, 3))}
    for found in distributed.all_gather(sent):
        jax.tree.map(np.testing.assert_array_equal, found, jax.device_get(sent))
        assert {name: a.dtype for name, a in found.items()} == {name: a.dtype for name, a in sent.items()}


def assert_same_sweep(found, whole):
    for name in ("sweep.csv", "heat_map.png", "best/classifier.npz", "best/learning_curves.png"):
        assert (found / name).exists() == (whole / name).exists(), name
        if (whole / name).exists():
            assert (found / name).read_bytes() == (whole / name).read_bytes(), name
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (found, whole)]
    for name in ("best", "validation_accuracy_mean", "final", "epochs_trained", "device"):
        assert summaries[0].get(name) == summaries[1].get(name), name


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
@pytest.mark.parametrize("arguments", [SWEEP, HALVED], ids=["grid", "halving"])
def test_two_processes_are_one_and_go_on_after_a_kill_as_one_two_and_three(arguments, killed, tmp_path):
    folders = {name: tmp_path / name / "run" for name in ("whole", "two", "killed")}
    complete(start(arguments, 1, folders["whole"]))
    complete(start(arguments, 2, folders["two"]))
    assert_same_sweep(folders["two"], folders["whole"])
    assert not folders["two"].with_name("of another host").exists()
    processes = start(arguments, 2, folders["killed"])
    while not list((folders["killed"] / "chunks").glob("*.npz")):
        assert processes[killed].poll() is None
        time.sleep(0.01)
    processes[killed].kill()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode != 0
    assert not (folders["killed"] / "summary.json").exists()
    for count in (1, 2, 3):
        again = shutil.copytree(folders["killed"], tmp_path / f"again {count}" / "run")
        complete(start(["--resume"], count, again))
        assert_same_sweep(again, folders["whole"])
