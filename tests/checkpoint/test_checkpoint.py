"""Checkpoints as files: what is stored comes back bit for bit, and no change of any byte goes unseen."""

import functools
import hashlib
import json
import shutil
import subprocess
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn import _files as files
from jaxnn import checkpoint, losses, models, optimizers
from jaxnn.checkpoint import Checkpointer, DamagedError
from jaxnn.training import Data, Run, Task, fit, init_run

KEY = jax.random.key(7)


class Kinds(NamedTuple):
    """One of each kind of leaf and of node."""

    leaves: Any
    nothing: None
    key: Any


TREE = Kinds(
    {
        "f32": np.array([0.1, -0.0, np.nan, np.inf, 1e-45], np.float32),
        "i32": jnp.int32(-3),
        "u8": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "bool": np.array([True, False]),
        "bf16": jnp.asarray([1.5, -2.0], jnp.bfloat16),
        "one_bf16": jnp.bfloat16(0.1),
        "f8": jnp.asarray([[1.5], [-2.0]], jnp.float8_e5m2),
        "empty": np.zeros((0, 3), np.float32),
        "empty_bf16": jnp.zeros((2, 0), jnp.bfloat16),
        "file": np.float32(3),
        "nested": [{"a/b": np.ones((1, 1), np.float32)}, (np.float32(2),)],
    },
    None,
    jax.random.split(KEY, 2),
)


def bits(tree):
    def of(leaf):
        key = jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if key else leaf).tobytes()

    return [of(leaf) for leaf in jax.tree.leaves(tree)]


def shapes(tree):
    return jax.eval_shape(lambda: jax.tree.map(jnp.asarray, tree))


@pytest.fixture
def written(tmp_path):
    return checkpoint.save(tmp_path / "checkpoints", 12, TREE, {"settings": {"rate": 0.1}, "quality": 0.5})


# ---------------------------------------------------------------- what is stored comes back


def test_every_kind_of_leaf_comes_back_bit_for_bit(written):
    found = checkpoint.load(written)
    assert written.name == "000012"
    assert (found.about["epoch"], found.about["settings"]) == (12, {"rate": 0.1})
    tree = checkpoint.restore(found, shapes(TREE))
    assert jax.tree.structure(tree) == jax.tree.structure(TREE)
    assert bits(tree) == bits(TREE)
    assert [leaf.dtype for leaf in jax.tree.leaves(tree)] == [jnp.asarray(leaf).dtype for leaf in jax.tree.leaves(TREE)]


def test_the_kind_of_a_key_is_kept(tmp_path):
    key = jax.random.key(3, impl="rbg")
    found = checkpoint.load(checkpoint.save(tmp_path, 1, {"key": key}, {}))
    again = checkpoint.restore(found, {"key": jax.ShapeDtypeStruct((), key.dtype)})["key"]
    assert again.dtype == key.dtype
    assert bits(again) == bits(key)
    with pytest.raises(ValueError, match="key is key<rbg>"):
        checkpoint.restore(found, {"key": jax.ShapeDtypeStruct((), jax.random.key(0).dtype)})


def test_the_checksums_are_those_of_sha256sum(written):
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=written, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = (written / "SHA256SUMS").read_text().splitlines()
    listed = {line.split("  ")[1] for line in lines}
    assert listed == {str(p.relative_to(written)) for p in written.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert hashlib.sha256((written / "about.json").read_bytes()).hexdigest() + "  about.json" in lines


def test_no_file_is_a_pickle_and_reading_loads_no_pickle(written, monkeypatch):
    import pickle

    for path in written.rglob("*"):
        if path.is_file():
            with pytest.raises(Exception, match=r"."):
                pickle.loads(path.read_bytes())

    def refuse(*arguments, **options):
        raise AssertionError("a pickle was read")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    checkpoint.load(written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda like: like._replace(nothing=jax.ShapeDtypeStruct((), jnp.float32)), "only one of the two has nothing"),
        (
            lambda like: like._replace(leaves={**like.leaves, "i32": jax.ShapeDtypeStruct((2,), jnp.int32)}),
            "i32 is int",
        ),
        (
            lambda like: like._replace(leaves={**like.leaves, "i32": jax.ShapeDtypeStruct((), jnp.int8)}),
            "expected int8",
        ),
    ],
)
def test_another_tree_is_refused(change, message, written):
    with pytest.raises(ValueError, match=message):
        checkpoint.restore(checkpoint.load(written), change(shapes(TREE)))


def write_with_orbax(folder, arrays, about):
    """A checkpoint in the former format: arrays as Orbax writes them, the shapes of empty ones in `about`."""
    import orbax.checkpoint as ocp

    folder.mkdir(parents=True)
    full = {name: array for name, array in arrays.items() if array.size}
    empty = {name: [array.dtype.name, array.shape] for name, array in arrays.items() if not array.size}
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        checkpointer.save(folder / "state", args=ocp.args.PyTreeSave(full))
    (folder / "about.json").write_text(json.dumps({**about, "empty": empty}))
    files.write_sums(folder)


def test_a_checkpoint_of_orbax_is_still_read(written, tmp_path):
    new = checkpoint.load(written)
    write_with_orbax(tmp_path / "old" / "000012", new.arrays, new.about)
    old = checkpoint.latest(tmp_path / "old")
    assert old is not None
    assert old.about["settings"] == {"rate": 0.1}
    assert bits(checkpoint.restore(old, shapes(TREE))) == bits(TREE)


def test_nothing_of_the_process_is_changed(run_python, tmp_path):
    code = f"""
import logging, sys
hooks = sys.excepthook, sys.unraisablehook, logging.getLogger("absl").filters[:]
from pathlib import Path
from jaxnn import checkpoint
checkpoint.load(checkpoint.save(Path({str(tmp_path)!r}), 1, {{"x": 1.0}}, {{}}))
assert hooks == (sys.excepthook, sys.unraisablehook, logging.getLogger("absl").filters)
print("orbax" in sys.modules)
"""
    assert run_python(code).strip() == "False"


# ---------------------------------------------------------------- damaged


def damages(path):
    """Every way in which a file is damaged in turn."""
    content = path.read_bytes()
    middle = len(content) // 2
    yield "deleted", None
    yield "emptied", b""
    for length in {1, middle, len(content) - 1} - {len(content)}:
        yield f"cut to {length}", content[:length]
    for place in np.unique(np.linspace(0, len(content) - 1, 12, dtype=int)).tolist():
        for bit in (0, 5, 7):
            yield (
                f"bit {bit} of byte {place}",
                bytes([*content[:place], content[place] ^ 1 << bit, *content[place + 1 :]]),
            )
    yield "longer", content + b"\n"


def test_every_damage_of_every_file_is_found_and_named(written, tmp_path):
    tried, folder = 0, written.parent
    good = checkpoint.save(folder, 6, TREE, {})
    for file in sorted(path for path in written.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for damage, instead in damages(file):
            if instead is None:
                file.unlink()
            else:
                file.write_bytes(instead)
            with pytest.raises(DamagedError) as error:
                checkpoint.load(written)
            assert str(written) in str(error.value), damage
            if file.name != "SHA256SUMS":
                assert str(file) in str(error.value), damage
            told = []
            found = checkpoint.latest(folder, told.append)
            assert found is not None
            assert found.path == good, damage
            assert len(told) == 1
            assert told[0] == f"{error.value}; continuing from the previous good checkpoint, {good}"
            file.write_bytes(content)
            tried += 1
        checkpoint.load(written)
    assert tried > 100


def test_a_file_too_many_and_an_empty_folder_are_damage_too(written):
    (written / "more").write_bytes(b"")
    with pytest.raises(DamagedError, match="SHA256SUMS is damaged"):
        checkpoint.load(written)
    shutil.rmtree(written)
    written.mkdir()
    with pytest.raises(DamagedError, match="SHA256SUMS is missing"):
        checkpoint.load(written)
    with pytest.raises(DamagedError, match=r"holds no good checkpoint: .*SHA256SUMS is missing"):
        checkpoint.latest(written.parent)
    assert checkpoint.latest(written.parent / "nowhere") is None


# ---------------------------------------------------------------- written whole


@pytest.mark.parametrize("step", ["replace", "sums", "json", "arrays"])
def test_a_write_that_fails_leaves_nothing_and_the_former_in_place(step, written, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    target = {
        "replace": "pathlib.Path.replace",
        "sums": "jaxnn._files.write_sums",
        "json": "jaxnn._files.write",
        "arrays": "zipfile.ZipFile.open",
    }[step]
    before = checkpoint.load(written)
    with monkeypatch.context() as patch:
        patch.setattr(target, full)
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save(written.parent, 13, TREE, {})
    assert [path.name for path in written.parent.iterdir()] == ["000012"]
    assert checkpoint.load(written).about == before.about


# ---------------------------------------------------------------- going on


def averaged(h):
    """Adam with an average of the parameters, and dropout."""
    adam = optax.inject_hyperparams(optax.adam)(h["rate"])
    return noisy(h)._replace(optimizer=optimizers.with_ema(adam, 0.9))


def noisy(h):
    optimizer = optax.inject_hyperparams(optax.sgd)(h["rate"], momentum=0.9)
    return Task(models.mlp(3, (6,), 2, dropout=h["dropout"]), losses.softmax, optimizer)


HPARAMS = {"rate": 0.1, "dropout": 0.3}
SETTINGS: dict[str, Any] = {"batch_size": 8, "select": "validation_loss"}


def noisy_data():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 90)
    inputs = (random.normal(size=(90, 3)) + labels[:, None]).astype(np.float32)
    return Data(inputs[:60], labels[:60], evaluate={"validation": (inputs[60:], labels[60:])})


@pytest.mark.parametrize(("task", "patience"), [(averaged, None), (noisy, 4)])
def test_a_run_goes_on_from_every_checkpoint_bit_for_bit(task, patience, tmp_path, standard_promotion):
    data, keeper = noisy_data(), Checkpointer(tmp_path, epochs=1, keep=100)

    def on_chunk(run, timing):
        keeper.save(int(run.epoch), run, {"seconds": timing.epochs}, 0.0)

    train = functools.partial(fit, task, HPARAMS, KEY, data, epochs=12, patience=patience, **SETTINGS)
    expected, _ = train(on_chunk=on_chunk, chunk_ends=1)
    keeper.close()
    done = int(expected.epoch)
    assert len(checkpoint.list_checkpoints(tmp_path)) == done
    for path in checkpoint.list_checkpoints(tmp_path):
        stored = checkpoint.load(path)
        begin = functools.partial(init_run, task, epochs=1, select=SETTINGS["select"])
        progress: Run = checkpoint.restore(stored, jax.eval_shape(begin, HPARAMS, KEY, data))
        ended, timing = train(progress=progress)
        assert bits(ended) == bits(expected)
        assert len(timing.epochs) == done - int(path.name)
        assert len(json.loads((path / "about.json").read_text())["seconds"]) == int(path.name)


def test_a_run_of_another_training_is_refused():
    data = noisy_data()
    run, _ = fit(noisy, HPARAMS, KEY, data, epochs=2, **SETTINGS)
    unmeasured = data._replace(evaluate={})
    for of_data, select in ((data, None), (unmeasured, "loss")):
        with pytest.raises(ValueError, match="progress is a Run of another training"):
            fit(noisy, HPARAMS, KEY, of_data, epochs=3, progress=run, batch_size=8, select=select)
    with pytest.raises(ValueError, match="chunk_ends must be at least 1, got 0"):
        fit(noisy, HPARAMS, KEY, data, epochs=3, chunk_ends=0, **SETTINGS)


def test_checkpoints_are_in_the_order_of_epochs_and_steps(tmp_path):
    names = ["000001-000000900", "000002", *(f"000002-{step:09d}" for step in range(1, 12)), "000010"]
    for name in sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest()):
        (tmp_path / name).mkdir()
    assert [path.name for path in checkpoint.list_checkpoints(tmp_path)] == names[::-1]
