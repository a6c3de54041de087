"""Communication of a step: bytes counted in the compiled program, seconds simulated on a ring."""

import itertools
import json

import pytest

from experiments.benchmark import communication
from experiments.benchmark.communication import Options, collectives, ring_seconds, step_program


def test_collectives_are_read_from_a_program():
    text = """
      %a = (f32[3,4]{1,0}, bf16[5], /*index=2*/f32[]) all-reduce(%x, %y, %z), replica_groups={}
      ROOT %b = pred[] all-reduce(%q), channel_id=1
      %c = u8[2,3]{1,0} all-gather-start(%r)
      %d = f32[9]{0} add(%all-reduce.1, %e)
    """
    assert collectives(text) == [("all-reduce", 3 * 4 * 4 + 2 * 5 + 4), ("all-reduce", 1), ("all-gather", 6)]


@pytest.mark.parametrize("hidden", [(), (16,), (16, 8)])
def test_a_step_sends_its_gradient_with_the_loss_and_the_accuracy(hidden):
    sizes = [20, *hidden, 10]
    parameters = sum(a * b + b for a, b in itertools.pairwise(sizes))
    found = collectives(step_program(Options(inputs=20, hidden=hidden, batch_size=32)))
    assert {one.kind for one in found} == {"all-reduce"}
    assert sum(one.bytes for one in found) == 4 * (parameters + 2)


@pytest.mark.parametrize("hosts", [2, 3, 8])
def test_the_ring_formula_matches_a_simulation_of_its_messages(hosts):
    size, bandwidth, latency = 1200.0, 1e5, 0.01
    have = [
        [{host} for _ in range(hosts)] for host in range(hosts)
    ]  # hosts whose values are summed in each part on each host
    seconds = 0.0
    for step in range(2 * (hosts - 1)):  # first the parts are summed, then the sums are passed on
        sent = [(host, (host - step) % hosts, have[host][(host - step) % hosts]) for host in range(hosts)]
        for host, part, values in sent:
            there = have[(host + 1) % hosts]
            there[part] = there[part] | values
        seconds += size / hosts / bandwidth + latency
    assert all(part == set(range(hosts)) for host in have for part in host)
    assert ring_seconds(size, hosts, bandwidth, latency) == pytest.approx(seconds)


def test_the_command_writes_the_seconds_and_a_figure(tmp_path, capsys):
    out = tmp_path / "found.json"
    arguments = ["--inputs", "20", "--hidden", "16", "--batch-size", "32", "--hosts", "2", "4", "--gigabits", "8"]
    assert communication.main([*arguments, "--latency-us", "0", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    size = 4 * (20 * 16 + 16 + 16 * 10 + 10 + 2)
    assert found["bytes_per_step"] == size
    assert found["seconds"] == {"8": pytest.approx([size / 1e9, 1.5 * size / 1e9])}
    assert "8 Gbit/s" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"found.json", "found.png", "found.svg"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gigabits", "0"], "--gigabits 0 must be above 0"),
        (["--hidden", "-3"], "--hidden -3 must be above 0"),
        (["--latency-us", "-1"], "--latency-us -1 must be at least 0"),
        (["--latency-us", "nan"], "--latency-us nan must be at least 0"),
        (["--hosts", "1"], "--hosts 1 must be increasing numbers of at least 2"),
        (["--hosts", "4", "2"], "--hosts 4 2 must be increasing numbers of at least 2"),
        (["--batch-size", "30"], "batch_size 30 cannot be split over 4 devices"),
    ],
)
def test_wrong_options_are_refused(arguments, message, tmp_path, capsys):
    assert communication.main([*arguments, "--out", str(tmp_path / "found.json")]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
