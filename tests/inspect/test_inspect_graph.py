"""The computational graph of a function, and its picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import losses, models
from jaxnn.inspect import computation_graph
from jaxnn.plots import _graphs as drawing

NUMBERS = {"w0": -0.197, "x0": 0.393, "w1": -0.393, "x1": -0.590, "w2": 0.197}


def neuron(w0, x0, w1, x1, w2):
    return 1 / (1 + jnp.exp(-(w0 * x0 + w1 * x1 + w2)))


def slope(node) -> float:
    return float(node.gradient)


def test_a_product_of_a_sum():
    x, y, z, total, result = computation_graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
    assert (x.name, y.name, z.name) == ("x", "y", "z")
    assert [node.kind for node in (x, total, result)] == ["input", "operation", "operation"]
    assert (total.name, total.operands, result.name, result.operands) == ("add", (0, 1), "mul", (3, 2))
    assert [float(node.value) for node in (total, result)] == [3, -12]
    assert [slope(node) for node in (x, y, z, total, result)] == [-4, -4, 3, -4, 1]


@pytest.mark.parametrize("function", [neuron, jax.jit(neuron)], ids=["plain", "compiled"])
def test_a_sigmoid_neuron(function):
    nodes = computation_graph(function, 2.0, -1.0, -3.0, -2.0, -3.0)
    assert float(nodes[-1].value) == pytest.approx(0.7311, abs=5e-5)
    found = {node.name: slope(node) for node in nodes if node.kind == "input"}
    assert found == pytest.approx(NUMBERS, abs=1e-3)
    [exponential] = [node for node in nodes if node.name == "exp"]
    assert float(exponential.value) == pytest.approx(np.exp(-1), rel=1e-5)
    assert slope(exponential) == pytest.approx(-1 / (1 + np.exp(-1)) ** 2, rel=1e-5)


def network():
    model = models.mlp(3, (4,), 2)
    params = model.init(jax.random.key(0))
    x, y = jax.random.normal(jax.random.key(1), (5, 3)), jnp.array([0, 1, 0, 1, 1])

    def objective(params, x, y):
        return losses.softmax(model.apply(params, x), y).mean() + 0.1 * losses.l2(params)

    return objective, params, x, y


def test_a_network_has_the_gradients_of_jax_at_its_inputs():
    objective, params, x, y = network()
    nodes = computation_graph(objective, params, x, y)
    value, gradient = jax.value_and_grad(objective)(params, x, y)
    np.testing.assert_allclose(nodes[-1].value, value, rtol=1e-6)
    by_name = {node.name: node for node in nodes}
    for layer in range(2):
        for name in ("w", "b"):
            found = np.asarray(by_name[f"params[{layer}]['{name}']"].gradient)
            np.testing.assert_allclose(found, gradient[layer][name], rtol=1e-5, atol=1e-7)
    assert by_name["y"].gradient is None
    assert by_name["relu"].kind == "operation"
    for i, node in enumerate(nodes):
        assert all(operand < i for operand in node.operands)


def test_a_relu_keeps_its_own_gradient_at_zero():
    nodes = computation_graph(lambda x: jax.nn.relu(x) + jnp.maximum(x, 0.0), 0.0)
    assert slope(nodes[0]) == 0.5  # 0 by relu, one half by the maximum


def test_what_the_result_does_not_need_is_left_out():
    def function(x, y):
        del y
        return jnp.cos(x) + 0 * jnp.sum(jnp.ones(3)), jnp.sin(x)

    nodes = computation_graph(lambda x, y: function(x, y)[0], 1.0, 2.0)
    assert "sin" not in {node.name for node in nodes}
    assert [node.name for node in nodes if node.kind == "input"] == ["x"]


def test_a_loop_stays_one_node():
    nodes = computation_graph(lambda x: jax.lax.fori_loop(0, 3, lambda i, a: a * x, 1.0), 2.0)
    assert float(nodes[-1].value) == 8
    assert slope(nodes[0]) == 12


def test_wrong_functions_are_refused():
    with pytest.raises(ValueError, match="must return one number"):
        computation_graph(lambda x: x, jnp.ones(2))
    with pytest.raises(TypeError, match="must be floating point, got int32"):
        computation_graph(lambda x: x, 1)
    with pytest.raises(ValueError, match="1 names given for 2 arguments"):
        computation_graph(lambda x, y: x + y, 1.0, 2.0, names=["x"])
    with pytest.raises(ValueError, match="no nodes"):
        drawing.graph([], "nothing")


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_picture_says_every_value_and_gradient(monkeypatch):
    monkeypatch.setattr(drawing.shutil, "which", lambda name: None)
    figure = drawing.graph(computation_graph(neuron, 2.0, -1.0, -3.0, -2.0, -3.0), "a neuron")
    found = texts(figure)
    assert {"w0", "x1", "exp", "1 + ·", "1 / ·", "0.7311", "-0.1966", "0.3932", "-0.5898"} <= set(found)
    assert len(figure.axes[0].patches) == 13 + 12  # boxes and arrows
    figure.savefig("/dev/null", format="png")


@pytest.mark.parametrize("downward", [True, False])
def test_boxes_do_not_overlap_and_stay_inside(downward):
    objective, *arguments = network()
    nodes = computation_graph(objective, *arguments)
    operands = drawing._visible(nodes, drawing._PLAIN)
    layout = drawing._layered(operands, drawing._layers(operands), downward)
    places = np.array(list(layout.centers.values()))
    apart = np.abs(places[:, None] - places[None])
    touching = (apart[..., 0] < drawing._BOX[0]) & (apart[..., 1] < drawing._BOX[1])
    assert touching.sum() == len(places)  # each only itself
    assert (places - np.array(drawing._BOX) / 2 > 0).all()
    assert (places + np.array(drawing._BOX) / 2 < layout.size).all()


def test_graphviz_places_the_boxes_where_it_is_installed(tmp_path, monkeypatch):
    dot = tmp_path / "dot"
    plain = "graph 1 5 2\nnode n0 1 1.5 1.2 0.6 0 solid box black lightgrey\n"
    plain += "node n1 4 0.5 1.2 0.6 1 solid box black lightgrey\n"
    plain += "edge n0 n1 4 1.6 1.5 2 1.5 3 0.5 3.4 0.5 solid black\nstop\n"
    dot.write_text(f"#!/bin/sh\ncat > {tmp_path}/given\ncat <<'END'\n{plain}END\n")
    dot.chmod(0o755)
    monkeypatch.setattr(drawing.shutil, "which", lambda name: str(dot))
    figure = drawing.graph(computation_graph(jnp.exp, 0.5, names=["x"]), "placed")
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert places["x"][0] == 1
    assert places["exp"][0] == 4
    given = (tmp_path / "given").read_text()
    assert "rankdir=LR" in given
    assert "n0 -> n1;" in given
