"""What is read from compiled programs, beside counts by hand; the compilers of accelerators are not needed here."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import inspect, sharding, training
from jaxnn.inspect import _devices, topology
from jaxnn.inspect._hlo import Program, collectives

GPU = """HloModule jit_f, is_scheduled=true

%sum (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %add.1 = f32[] add(%a, %b)
}

%gather_computation (data: u8[1000,8], rows: s32[4]) -> f32[4,8] {
  %data = u8[1000,8]{1,0} parameter(0)
  %rows = s32[4]{0} parameter(1)
  %gather.1 = u8[4,8]{1,0} gather(%data, %rows), offset_dims={1}, slice_sizes={1,8}
  ROOT %convert.1 = f32[4,8]{1,0} convert(%gather.1)
}

%update_computation (history: f32[100], i: s32[], value: f32[1]) -> f32[100] {
  %history = f32[100]{0} parameter(0)
  %i = s32[] parameter(1)
  %value = f32[1]{0} parameter(2)
  ROOT %dynamic-update-slice.1 = f32[100]{0} dynamic-update-slice(%history, %value, %i)
}

%body (state: (f32[8,16], u8[1000,8], s32[4], f32[100], s32[])) -> (f32[8,16], u8[1000,8], s32[4], f32[100], s32[]) {
  %state = (f32[8,16]{1,0}, u8[1000,8]{1,0}, s32[4]{0}, f32[100]{0}, s32[]) parameter(0)
  %w = f32[8,16]{1,0} get-tuple-element(%state), index=0
  %images = u8[1000,8]{1,0} get-tuple-element(%state), index=1
  %rows.1 = s32[4]{0} get-tuple-element(%state), index=2
  %curve = f32[100]{0} get-tuple-element(%state), index=3
  %step = s32[] get-tuple-element(%state), index=4
  %x = f32[4,8]{1,0} fusion(%images, %rows.1), kind=kLoop, calls=%gather_computation
  %y = f32[4,16]{1,0} dot(%x, %w), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  %g = (f32[8,16]{1,0}, s8[4194304]{0}) custom-call(%x, %y), custom_call_target="__cublas$gemm", \
metadata={op_name="jit(f)/while/body/transpose(jvp())/dot_general"}, backend_config={"gemm_backend_config":\
{"dot_dimension_numbers":{"lhs_contracting_dimensions":["0"],"rhs_contracting_dimensions":["0"]}}}
  %g.1 = f32[8,16]{1,0} get-tuple-element(%g), index=0
  %sums = (f32[8,16]{1,0}, f32[]) all-reduce-start(%g.1, %loss), replica_groups={}, to_apply=%sum
  %sums.1 = (f32[8,16]{1,0}, f32[]) all-reduce-done(%sums)
  %w.1 = f32[8,16]{1,0} get-tuple-element(%sums.1), index=0
  %loss = f32[1]{0} bitcast(%w.1)
  %curve.1 = f32[100]{0} fusion(%curve, %step, %loss), kind=kLoop, calls=%update_computation
  %next = s32[] add(%step, %step)
  ROOT %out = (f32[8,16]{1,0}, u8[1000,8]{1,0}, s32[4]{0}, f32[100]{0}, s32[]) \
tuple(%w.1, %images, %rows.1, %curve.1, %next)
}

%condition (state.1: (f32[8,16], u8[1000,8], s32[4], f32[100], s32[])) -> pred[] {
  %state.1 = (f32[8,16]{1,0}, u8[1000,8]{1,0}, s32[4]{0}, f32[100]{0}, s32[]) parameter(0)
  ROOT %less = pred[] constant(true)
}

ENTRY %main (given: f32[8,16], all: u8[1000,8]) -> f32[8,16] {
  %given = f32[8,16]{1,0} parameter(0)
  %all = u8[1000,8]{1,0} parameter(1)
  %start = (f32[8,16]{1,0}, u8[1000,8]{1,0}, s32[4]{0}, f32[100]{0}, s32[]) tuple(%given, %all)
  %loop = (f32[8,16]{1,0}, u8[1000,8]{1,0}, s32[4]{0}, f32[100]{0}, s32[]) while(%start), condition=%condition, \
body=%body, metadata={op_name="jit(f)/while"}, backend_config={"known_trip_count":{"n":"7"}}
  ROOT %done = f32[8,16]{1,0} get-tuple-element(%loop), index=0
}
"""


def test_a_step_of_a_program_is_counted():
    program = Program(GPU)
    assert program.step() == "body"
    work = program.work("body")
    assert work.kernels == 5  # gather, product, product, all-reduce, update; a single number's sum is none
    assert work.collectives == (("all-reduce", 4 * (8 * 16 + 1)),)
    assert work.flops == {"f32": 2 * 4 * 8 * 16 * 2}
    gather = 4 * 8 + 4 * 4 + 4 * 4 * 8  # the rows that are taken, their numbers, and the result
    product = 4 * (4 * 8 + 8 * 16 + 4 * 16)
    gradient = 4 * (4 * 8 + 4 * 16 + 8 * 16)  # not the room that the library works in
    reduced = 2 * 4 * 8 * 16 + 4 + 4
    update = 4 + 4 + 4
    assert work.bytes == gather + product + gradient + reduced + update
    assert program.work("main").kernels == 7 * 5


def test_bytes_are_those_of_the_layout():
    line = "\n  %x = {} copy(%y)\n"
    computation = "ENTRY %main (y: f32[]) -> f32[] {{" + line + "}}"
    for shape, size in (
        ("u8[10,32,32,3]{3,2,1,0}", 10 * 32 * 32 * 3),
        ("u8[10,32,32,3]{3,2,1,0:T(8,128)(4,1)}", 10 * 32 * 32 * 128),  # the last axis is padded to 128
        ("u8[10,3072]{1,0:T(8,128)(4,1)}", 16 * 3072),
        ("bf16[3,4]{0,1:T(8,128)}", 2 * 8 * 128),  # the other order of axes
        ("f32[512,3072]{1,0:T(8,128)S(1)}", 0),  # in the fast memory of the chip
    ):
        assert Program(computation.format(shape)).work("main").bytes == size


def test_collectives_are_read_from_a_program():
    text = """
      %a = (f32[3,4]{1,0}, bf16[5], /*index=2*/f32[]) all-reduce(%x, %y, %z), replica_groups={}
      ROOT %b = pred[] all-reduce(%q), channel_id=1
      %c = u8[2,3]{1,0} all-gather-start(%r)
      %e = (u8[2,3], u8[8,3]) all-gather-start(%r)
      %d = f32[9]{0} add(%all-reduce.1, %e)
    """
    sizes = [("all-reduce", 3 * 4 * 4 + 2 * 5 + 4), ("all-reduce", 1), ("all-gather", 6), ("all-gather", 24)]
    assert collectives(text) == sizes


def test_a_convolution_is_counted():
    images, kernel = jnp.zeros((2, 8, 8, 3)), jnp.zeros((3, 3, 3, 16))
    convolve = lambda x, w: jax.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    found = inspect.describe(convolve, images, kernel)
    assert found.flops == {"f32": 2 * (2 * 8 * 8 * 16) * (3 * 3 * 3)}


@pytest.fixture(scope="module")
def trained(mlp_program):
    return inspect.describe(*mlp_program)


@pytest.fixture(scope="module")
def mlp_program():
    """The program of a training with a network 64-16-10, and its evaluation."""
    from train_in_parallel import HPARAMS, digits, task

    return training.program(task, HPARAMS, jax.random.key(0), digits(645), epochs=2, batch_size=64)


def test_the_step_of_a_training_is_found(trained):
    products = 2 * 64 * (2 * 64 * 64 + 3 * 64 * 10)  # the images need no gradient
    assert trained.flops == {"f32": products}
    data = 645 * 64 + 4 * 645 + 139 * 64 + 4 * 139
    parameters = 4 * (64 * 64 + 64 + 64 * 10 + 10)
    assert trained.arguments == pytest.approx(data + 2 * parameters, rel=0.05)
    assert trained.peak >= trained.arguments + trained.temporaries
    assert trained.kernels > 5
    assert trained.collectives == ()
    assert (trained.device, trained.seconds, trained.bound) == (None, {}, "")
    assert np.isnan(trained.step_seconds)


def test_a_split_training_sends_its_gradient_once(mlp_program, trained):
    found = inspect.describe(*mlp_program, topology="4xcpu")
    parameters = 64 * 64 + 64 + 64 * 10 + 10
    assert [one.kind for one in found.collectives] == ["all-reduce"]
    assert found.collectives[0].bytes == 4 * (parameters + 2)  # loss and accuracy go with it
    assert found.flops["f32"] == trained.flops["f32"] / 4


def test_arguments_may_be_split_already():
    split = jax.sharding.NamedSharding(jax.sharding.AbstractMesh((1,), ("data",)), jax.P("data"))
    x = jax.ShapeDtypeStruct((8, 4), jnp.float32, sharding=split)
    found = inspect.describe(lambda x: x.sum(0), x, topology="2xcpu")
    assert found.arguments == 4 * 4 * 4
    assert [one.kind for one in found.collectives] == ["all-reduce"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("v5e:3x3", "'v5e:3x3' is unknown; did you mean .*There are cpu, .*v5e:16x16"),
        ("h10", "'h10' is unknown; did you mean h100"),
        ("12xh100", "'12xh100' is unknown; did you mean"),
        ("", "'' is unknown; There are cpu"),
        ("64xcpu", "has 8 CPU devices; simulate more"),
    ],
)
def test_an_unknown_topology_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        inspect.describe(jnp.sum, jnp.ones(3), topology=name)


@pytest.mark.parametrize(("name", "extra"), [("v5e", "tpu-compiler"), ("4xh100", "gpu-compiler")])
def test_a_missing_compiler_is_named(name, extra, monkeypatch):
    monkeypatch.setattr(_devices.importlib.util, "find_spec", lambda module: None)
    with pytest.raises(ValueError, match=rf"{name}.* pip install 'jaxnn\[{extra}\]', in an environment of its own"):
        inspect.describe(jnp.sum, jnp.ones(3), topology=name)


def test_topologies_have_their_chips():
    names = {"v5e": 1, "V5E:2x4": 8, "v5p:2x2x2": 8, "h100": 1, "8xa100": 8, "256xh100": 256}
    assert {name: topology(name).chips for name in names} == names
    assert topology("256xh100").shape == (32, 8)


@pytest.mark.parametrize("hosts", [2, 3, 8])
def test_the_ring_formula_matches_a_simulation_of_its_messages(hosts):
    size, bandwidth, latency = 1200.0, 1e5, 0.01
    have = [[{host} for _ in range(hosts)] for host in range(hosts)]  # whose values are summed in each part
    seconds = 0.0
    for step in range(2 * (hosts - 1)):  # first the parts are summed, then the sums are passed on
        sent = [(host, (host - step) % hosts, have[host][(host - step) % hosts]) for host in range(hosts)]
        for host, part, values in sent:
            there = have[(host + 1) % hosts]
            there[part] = there[part] | values
        seconds += size / hosts / bandwidth + latency
    assert all(part == set(range(hosts)) for host in have for part in host)
    device = _devices.DEVICES["v5e"]._replace(link=bandwidth, hop=latency)
    assert _devices.Topology("", device, (hosts,)).all_reduce_seconds(size) == pytest.approx(seconds)


@pytest.mark.parametrize("hidden", [(), (16,), (16, 8)])
def test_a_step_alone_sends_its_gradient_with_the_loss_and_the_accuracy(hidden):
    import optax

    from jaxnn import losses, models

    task = training.Task(models.mlp(20, hidden, 10), losses.softmax, optax.sgd(0.1, momentum=0.9))
    state = jax.eval_shape(lambda: training.init_state(task, jax.random.key(0)))

    def step(state, inputs, labels):
        state, metrics = training.make_train_step(task)(state, sharding.shard((inputs, labels)))
        return state, [metrics.loss, metrics.penalty, metrics.accuracy]

    batch = jax.ShapeDtypeStruct((32, 20), jnp.float32), jax.ShapeDtypeStruct((32,), jnp.int32)
    found = inspect.describe(step, state, *batch, topology="4xcpu")
    parameters = sum(a * b + b for a, b in itertools.pairwise([20, *hidden, 10]))
    assert {one.kind for one in found.collectives} == {"all-reduce"}
    assert sum(one.bytes for one in found.collectives) == 4 * (parameters + 2)
