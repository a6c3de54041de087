"""Budgets of the programs compiled for TPUs and GPUs: kernels, communication and memory of a step.

Run in two environments, one with the extra `tpu-compiler` and one with `gpu-compiler` (.ci/run does).
"""

import functools
import importlib.util
import re

import jax
import jax.numpy as jnp
import pytest

from experiments.benchmark import programs
from jaxnn import inspect
from jaxnn.inspect import _devices, _hlo, topology

pytestmark = [pytest.mark.accelerators, pytest.mark.usefixtures("standard_promotion")]
LINEAR, MLP = 4 * (3072 * 10 + 10), 4 * (3072 * 512 + 512 + 512 * 10 + 10)
"""Bytes of the parameters."""


def needs(name):
    module, extra = ("jax_cuda12_plugin", "gpu") if "00" in name else ("libtpu", "tpu")
    missing = importlib.util.find_spec(module) is None
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=f"the extra {extra}-compiler is not installed"))


@functools.cache
def compiled(program, name):
    made = programs.PROGRAMS[program](topology(name).chips)
    return inspect.describe(*made.call, topology=name, axis=made.axis)


def each(*budgets):
    """Parameters of a test, skipped where the compiler is not installed."""
    return [pytest.param(*budget, marks=needs(budget[0]).marks, id=" ".join(budget[:2])) for budget in budgets]


@pytest.mark.parametrize(
    ("name", "program", "kernels", "sent", "temporaries"),
    each(
        ("h100", "linear", 15, None, 48),
        ("h100", "mlp", 25, None, 64),
        ("4xh100", "mlp", 33, MLP, 64),
        ("v5e", "mlp", 25, None, 40),
        ("v5e:2x2", "mlp", 29, MLP, 40),
        ("v5e:2x2", "linear", 20, LINEAR, 40),
    ),
)
def test_a_step_keeps_to_its_budget(name, program, kernels, sent, temporaries):
    found = compiled(program, name)
    assert found.kernels <= kernels
    sums = [] if sent is None else [("all-reduce", sent + 8)]  # with the loss and the accuracy
    assert [*found.collectives] == sums
    assert found.temporaries <= temporaries * 2**20
    everywhere = _hlo.collectives(found.text)  # after an epoch, the sums of each split
    assert {one.kind for one in everywhere} == ({"all-reduce"} if sums else set())


@pytest.mark.parametrize(("name", "program"), each(("v5e:2x2", "mlp, bfloat16")))
def test_all_gradients_in_bfloat16_are_summed_at_once(name, program):
    assert [*compiled(program, name).collectives] == [("all-reduce", MLP // 2 + 8)]


@pytest.mark.parametrize(("name", "program"), each(("h100", "mlp, bfloat16"), ("v5e", "mlp, bfloat16")))
def test_products_in_bfloat16_have_sums_in_float32(name, program):
    found = compiled(program, name)
    assert found.flops.keys() == {"bf16"}
    products = re.findall(r" = (\w+)\[[^=]*? (?:dot|convolution)\(", found.text)
    assert products
    assert {*products} <= {"f32"}


@pytest.mark.parametrize(("name", "program"), each(("h100", "linear"), ("v5e:4x4", "linear")))
def test_the_time_of_a_step_is_estimated(name, program):
    found = compiled(program, name)
    assert set(found.seconds) == {"compute", "memory", "launches", "network"}
    assert found.step_seconds >= max(found.seconds.values())
    assert found.bound in found.seconds
    assert found.device is not None
    assert found.peak < 0.1 * found.device.memory


@pytest.mark.parametrize("name", [needs("h100"), needs("v5e")])
def test_what_does_not_fit_says_by_how_much(name):
    x = jax.ShapeDtypeStruct((300_000, 300_000), jnp.float32)  # 335 GiB
    with pytest.raises(
        MemoryError, match=rf"needs [\d.]+ GiB on each chip of {name}, which has [\d.]+ GiB: .* too much"
    ):
        inspect.describe(lambda x: (x + 1, x + 2), x, topology=name)


@pytest.mark.parametrize("name", [needs("a100"), needs("v5p:2x2x1"), needs("v6e:2x2")])
def test_every_chip_is_known_to_its_compiler(name):
    x = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    found = inspect.describe(lambda x: x @ x, x, topology=name)
    assert sum(found.flops.values()) == 2 * 64**3


@pytest.mark.parametrize("name", [needs("h100")])
def test_the_private_call_that_a_gpu_needs_still_works(name):
    _devices._initialize_gpu_compiler()
    assert len(_devices.compile_only_devices(topology("16xh100"))) == 16
