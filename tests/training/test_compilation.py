"""What makes a run fast, without timing it: programs compiled, operations in a step, constants, buffers given away."""

import functools
import importlib
import platform
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn import _random as random
from jaxnn import initializers, losses, models, training
from jaxnn.data import preprocess
from jaxnn.training._compile import jit_for_length
from jaxnn.training._step import step_keys

KEY = jax.random.key(0)
H = {"learning_rate": 0.1, "l2": 1e-3, "dropout": 0.5}
IMAGES = np.random.default_rng(0).integers(0, 256, (320, 48), dtype=np.uint8)
DATA = training.Data(IMAGES, np.arange(320, dtype=np.int32) % 10, preprocess.fit_moments(IMAGES))


def make_task(h, hidden=()):
    return training.Task(
        model=models.mlp(48, hidden, 10, dropout=h["dropout"] if hidden else 0.0),
        loss=losses.softmax,
        penalty=lambda params: h["l2"] * losses.l2(params),
        optimizer=optax.sgd(h["learning_rate"], momentum=0.9),
        transform=preprocess.standardize,
    )


with_dropout = functools.partial(make_task, hidden=(32,))


def step_text(make):
    """One step as it is handed to XLA."""
    state = training.init_state(make(H), KEY)

    def step(h, state, batch, keys):
        return training.make_train_step(make(h), DATA.statistics)(state, batch, keys)[0]

    keys = step_keys(state.key, state.step)
    return jax.jit(step).lower(H, state, (IMAGES[:32], DATA.labels[:32]), keys).as_text()


def operations(text):
    return len(re.findall(r" = stablehlo\.(?!constant)", text))


@pytest.mark.parametrize(("make", "most"), [(make_task, 75), (with_dropout, 230)], ids=["linear", "dropout"])
def test_a_step_has_few_operations(make, most):
    count = operations(step_text(make))
    assert 0.5 * most < count <= most


@pytest.mark.parametrize(("make", "most"), [(make_task, 690), (with_dropout, 920)], ids=["linear", "dropout"])
def test_a_whole_run_is_a_small_program_with_one_step_in_it(make, most):
    train = jax.jit(lambda h, key, data: training.run(make, h, key, data, epochs=4, batch_size=32))
    text = train.lower(H, KEY, jax.tree.map(jnp.asarray, DATA)).as_text()
    # from 0.12 on, JAX hands the step over a second time, without what only the last step is asked for
    times = 1 if jax.__version_info__ < (0, 12) else 2
    assert text.count("dot_general") == times * step_text(make).count("dot_general") > 0
    assert 0.5 * most < operations(text) <= times * most


@pytest.mark.skipif(jax.__version_info__ >= (0, 11, 1), reason="the compiler has no option for short trainings")
@pytest.mark.parametrize(("make", "most"), [(make_task, 68), (with_dropout, 96)], ids=["linear", "dropout"])
def test_a_short_training_is_compiled_into_few_kernels(make, most):
    """With the examples of two splits evaluated after each epoch; each kernel takes some milliseconds to compile."""
    data = jax.tree.map(jnp.asarray, DATA)
    data = data._replace(evaluate=dict.fromkeys(("train", "validation"), (data.inputs[:50], data.labels[:50])))
    progress = training.init_run(make, H, KEY, data, epochs=4)
    options, end = training.Options(make, 32), jnp.int32(4)
    train = jit_for_length(training.train_until, "options")[True]
    text = train.lower(options, H, KEY, data, progress, end).compile().as_text() or ""
    assert 0.5 * most < len(re.findall(r" fusion\(", text)) <= most


def test_random_numbers_are_drawn_along_one_axis():
    """XLA for CPUs takes up to twice the time to compile the hash of a table with short rows."""
    draw = jax.make_jaxpr(lambda key: (initializers.he(key, (64, 32)), random.feistel_keys(key, 1000)))(KEY)
    drawn = re.findall(r"u32\[([\d,]+)\] = random_bits", str(draw))
    assert drawn == ["2048", "512"]


def test_a_whole_fit_compiles_two_programs_and_a_second_one_none(compiled):
    programs = {"jit(new_run)", "jit(train_until)"}
    with jax.log_compiles():
        options = {"epochs": 4, "batch_size": 32, "chunk_seconds": 0.0}
        training.fit(with_dropout, H, KEY, DATA, **options)
        found = compiled()
        assert sorted(name for name in found if name in programs) == sorted(programs)
        assert "jit(stage)" not in found  # to put an array on the device
        training.fit(with_dropout, H | {"dropout": 0.1, "learning_rate": 0.2}, jax.random.key(1), DATA, **options)
        assert set(compiled()) & programs == set()


def test_data_are_arguments_and_not_constants():
    data = jax.tree.map(jnp.asarray, DATA)
    whole = jax.make_jaxpr(lambda h, key, data: training.run(with_dropout, h, key, data, epochs=2, batch_size=32))
    constants = sum(np.asarray(constant).nbytes for constant in whole(H, KEY, data).consts)
    assert constants == 0
    many = jax.make_jaxpr(lambda h, keys, data: training.run_grid(training.Options(with_dropout, 32), h, keys, data, 2))
    rates = {name: jnp.full(3, value) for name, value in H.items()}
    assert sum(np.asarray(c).nbytes for c in many(rates, KEY[None], data).consts) == 0


def test_the_state_is_updated_in_place():
    """Every array of the run so far can be given away to the next chunk of epochs, which then needs no other memory."""
    data = jax.tree.map(jnp.asarray, DATA)
    progress = jax.jit(lambda h, key: training.init_run(with_dropout, h, key, data, epochs=4, select="loss"))(H, KEY)
    advance = jax.jit(training.train_until, static_argnames="options", donate_argnames="progress")
    after = advance(training.Options(with_dropout, 32, "loss"), H, KEY, data, progress, jnp.int32(2))
    assert int(after.epoch) == 2
    arrays = [leaf for leaf in jax.tree.leaves(progress) if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)]
    assert len(arrays) > 15
    assert all(leaf.is_deleted() for leaf in arrays)


def test_images_stay_bytes_until_a_step_needs_them():
    text = (
        jax.jit(lambda data: training.run(make_task, H, KEY, data, epochs=2, batch_size=32))
        .lower(jax.tree.map(jnp.asarray, DATA))
        .as_text()
    )
    assert "tensor<320x48xui8>" in text
    assert "tensor<320x48xf32>" not in text


def test_a_mask_is_made_where_it_is_used():
    """The random bits of dropout are elementwise operations on the place, which XLA fuses: no table of words."""
    x = jnp.ones((64, 32))
    jaxpr = str(jax.make_jaxpr(lambda key: importlib.import_module("jaxnn.layers").dropout(key, x, 0.5))(KEY))
    assert "threefry" not in jaxpr
    assert "random_bits" not in jaxpr


def test_compiled_programs_are_kept_and_found_again_by_a_function_defined_anew(run_python, tmp_path):
    """In a fresh process, which has no cache before it asks for one."""
    code = f"""
import os, pathlib
os.environ["JAXNN_CACHE_DIR"] = {str(tmp_path / "own")!r}
del os.environ["JAX_COMPILATION_CACHE_DIR"]
import warnings
import jax, numpy as np, optax
from jaxnn import losses, models, training
chosen = {str(tmp_path / "chosen")!r}
training.enable_compilation_cache(chosen)
training.enable_compilation_cache()
print(jax.config.jax_compilation_cache_dir == chosen)
jax.config.update("jax_compilation_cache_dir", None)
jax.config.update("jax_compilation_cache_max_size", -1)
own = pathlib.Path(os.environ["JAXNN_CACHE_DIR"], "compiled")
own.mkdir(parents=True)
(own / "written-before-cache").write_bytes(bytes(2**20))
training.enable_compilation_cache()
print(jax.config.jax_compilation_cache_max_size)
jax.config.update("jax_compilation_cache_max_size", 2**20)  # the oldest makes room for the new ones
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
hits, losses_of_runs = [], []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None)
data = training.Data(np.ones((4, 2), np.float32), np.zeros(4, np.int32))
for when in ("new", "again", "damaged", "replaced"):
    if when == "damaged":
        for i, entry in enumerate(sorted(own.glob("*-cache"))):
            entry.write_bytes([b"", b"x", entry.read_bytes()[:-9]][i % 3])
        jax.clear_caches()
    task = lambda h: training.Task(models.linear(2, 2), losses.softmax, optax.sgd(h["rate"]))
    hits.clear()
    with warnings.catch_warnings(record=True, action="always") as told:
        run, _ = training.fit(task, {{"rate": 0.1}}, jax.random.key(0), data, epochs=1, batch_size=2)
    losses_of_runs.append(run.history["loss"].item())
    print(len(hits), len(told), *("compiled again and replaced" in str(one.message) for one in told))
print(len(set(losses_of_runs)))
"""
    pytest.importorskip("filelock", reason="without it JAX bounds no cache")
    kept, size, *of_runs, different = run_python(code).splitlines()
    assert (kept, size) == ("True", str(2**31))
    new, again, damaged, replaced = map(str.split, of_runs)
    assert (new, damaged) == (["0", "0"], ["0", "1", "True"])
    assert int(again[0]) >= 2  # the start and the training
    assert int(replaced[0]) >= 2
    assert again[1:] == replaced[1:] == ["0"]
    assert different == "1"
    names = {path.name for path in (tmp_path / "own" / "compiled").iterdir()}
    assert "written-before-cache" not in names
    entries = {name for name in names if name.endswith("-cache")}
    assert len(entries) >= 2
    assert {name.replace("-cache", "-atime") for name in entries} <= names


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the instruction sets are those of x86-64")
def test_a_program_is_not_found_by_a_processor_with_other_instructions(run_python):
    """JAX makes the key of a program from this number besides others: the devices with their instructions."""
    code = """
import os, jax
os.environ["XLA_FLAGS"] = "--xla_cpu_max_isa={}"
print(__import__("jax._src.lib")._src.lib.xla_client.get_topology_for_devices(jax.devices()).fingerprint())
"""
    assert run_python(code.format("AVX")) != run_python(code.format("SSE4_2"))
