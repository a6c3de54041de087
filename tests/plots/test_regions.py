"""Pictures of regions, studies and masks; snapshots of a training and the sub-networks of dropout."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from float64 import ROUNDED, enabled, in_float64

from jaxnn import losses, models, training
from jaxnn.data import toy
from jaxnn.inspect import sample_dropout_masks, trajectory
from jaxnn.plots import _regions as regions
from jaxnn.plots import _signals as signals
from jaxnn.plots import _studies as studies
from jaxnn.plots import overlay

POINTS = np.array([[0.5, 0.5], [-0.5, -0.5], [0.2, -0.8]], np.float32)
LABELS = np.array([0, 1, 2], np.int32)


def drawn(figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=40)
    return content.getvalue()


def test_the_plane_runs_from_below_left_to_above_right():
    places = regions.plane(2.0, 5)
    assert places.shape == (5, 5, 2)
    np.testing.assert_array_equal(places[0, 0], [-2, -2])
    np.testing.assert_array_equal(places[0, -1], [2, -2])
    np.testing.assert_array_equal(places[3, 1], [-1, 1])
    with pytest.raises(ValueError, match="at least 2"):
        regions.plane(1.0, 1)


def test_regions_have_the_winners_color_paler_where_it_is_less_sure():
    places = regions.plane(1.0, 21)
    scores = np.stack([4 * places[..., 0], -4 * places[..., 0]], -1)  # class 0 right, class 1 left
    figure = regions.decision_regions([regions.Regions(scores, POINTS, LABELS, "a")], "title", limit=1.0)
    image = np.asarray(figure.axes[0].images[0].get_array())
    blue, vermilion = (np.array(regions.to_rgb(c)) for c in regions.COLORS[:2])
    assert np.argmin([np.abs(image[10, -1] - c).sum() for c in (blue, vermilion)]) == 0
    assert np.argmin([np.abs(image[10, 0] - c).sum() for c in (blue, vermilion)]) == 1
    assert image[10, 12].sum() > image[10, 20].sum()  # paler beside the border
    border = np.asarray(figure.axes[0].collections[0].get_paths()[0].vertices)
    np.testing.assert_allclose(border[:, 0], 0.0, atol=1e-6)
    assert drawn(figure)


def test_regions_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="empty"):
        regions.decision_regions([], "title")
    with pytest.raises(ValueError, match="C >= 2"):
        regions.decision_regions([regions.Regions(np.zeros((4, 4, 1)), POINTS, LABELS)], "title")
    with pytest.raises(ValueError, match="labels"):
        regions.decision_regions([regions.Regions(np.zeros((4, 4, 2)), POINTS, LABELS[:2])], "title")


def test_the_bent_plane_draws_the_line_where_both_scores_are_equal():
    grid = regions.plane(1.0, 25)
    panel = regions.Regions(np.stack([grid[..., 0], -grid[..., 0]], -1), POINTS, LABELS % 2)
    w, b = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0.3, -0.2])
    figure = regions.bent_plane(panel, regions.Bent(grid, POINTS, LABELS % 2, border=(w, b)), "title", limit=1.0)
    ends = np.asarray(figure.axes[1].lines[0].get_xydata())
    scores = ends @ w.T + b
    np.testing.assert_allclose(scores[:, 0], scores[:, 1], atol=1e-9)
    assert drawn(figure)
    with pytest.raises(ValueError, match="G, G, 2"):
        regions.bent_plane(panel, regions.Bent(grid[..., :1], POINTS, LABELS % 2), "title")


def test_a_study_draws_medians_and_places_zero_on_a_log_axis():
    values = [0.0, 0.01, 0.1]
    series = np.array([[1.0, 5.0, 3.0], [2.0, 2.0, 8.0], [np.nan, 4.0, 6.0]])
    figure = studies.study(values, [studies.Panel({"a": series}, "t", "y")], "title", "x", log=True)
    x, y = np.asarray(figure.axes[0].lines[0].get_xydata()).T
    np.testing.assert_allclose(y, [3.0, 2.0, 5.0])
    np.testing.assert_allclose(x, [0.001, 0.01, 0.1])
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["0", "0.01", "0.1"]
    assert drawn(figure)
    with pytest.raises(ValueError, match=r"\[3\]"):
        studies.study(values, [studies.Panel({"a": [1.0]}, "t", "y")], "title", "x")


def test_curves_and_bars_draw_what_they_are_given():
    figure = studies.progress([1, 2, 3], [studies.Panel({"a": [3.0, 2.0, 1.0]}, "t", "y")], "title", "epoch", log=True)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [3, 2, 1])
    figure = studies.bars({"w": np.array([1.0, -2.0])}, "title", "pixel")
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "-2"]
    assert len(figure.axes[0].patches) == 2
    with pytest.raises(ValueError, match="as many values"):
        studies.progress([1, 2], [studies.Panel({"a": [3.0]}, "t", "y")], "title", "epoch")
    with pytest.raises(ValueError, match="vectors"):
        studies.bars({}, "title", "pixel")


def test_the_mask_picture_shows_what_was_dropped():
    before = np.array([[1.0, 0.0, 2.0, 3.0]])
    figure = signals.dropout_masks(before, np.array([[2.0, 0.0, 0.0, 6.0]]), 0.5)
    mask = np.ma.filled(np.ma.asarray(figure.axes[1].images[0].get_array()), np.nan)
    np.testing.assert_array_equal(mask, [[0.0, np.nan, 0.5, 0.0]])
    assert "33 %" in figure.axes[1].get_title(loc="left")
    with pytest.raises(ValueError, match="one shape"):
        signals.dropout_masks(before, before[:, :2], 0.5)


def test_an_overlay_covers_the_more_the_stronger_a_pixel_counts():
    maps = np.zeros((1, 2, 2))
    maps[0, 0, 0], maps[0, 1, 1] = 4.0, -1.0
    figure = overlay(np.ones((5, 3, 3)), np.ones((2, 2, 1)), maps, ["a", "b", "c"], "title")
    alpha = np.asarray(figure.axes[2].images[1].get_alpha())
    assert alpha[0, 0] > alpha[1, 1] > alpha[0, 1] == 0
    assert figure.axes[2].images[1].get_clim() == (-4.0, 4.0)
    assert drawn(figure)
    with pytest.raises(ValueError, match="captions"):
        overlay(np.ones((5, 3, 3)), np.ones((2, 2, 1)), maps, ["a"], "title")


# ---------------------------------------------------------------- what the lessons look into


@in_float64
def task(h):
    return training.Task(models.mlp(2, (4,), 2), losses.softmax, optax.sgd(h["learning_rate"]))


@pytest.mark.portable
@pytest.mark.slow
@enabled()
def test_snapshots_are_the_parameters_of_shorter_runs():
    data, key, h = training.Data(*toy.circle(40)), jax.random.key(1), {"learning_rate": jnp.float32(0.1)}
    kept, last = jax.jit(lambda h: trajectory(task, h, key, data, (0, 2, 5), 10))(h)
    alone = jax.jit(lambda h: training.run(task, h, key, data, epochs=2, batch_size=10))(h)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, **ROUNDED), kept, alone.state.params)
    before = training.init_state(task(h), jax.random.fold_in(key, 0)).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, **ROUNDED), kept, before)
    assert int(last.epoch) == 5


@pytest.mark.parametrize("epochs", [(), (2, 1), (-1, 3), (0,), (1.5,)])
def test_snapshots_refuse_epochs_that_do_not_rise(epochs):
    with pytest.raises(ValueError, match="epochs must"):
        trajectory(task, {"learning_rate": 0.1}, jax.random.key(0), training.Data(*toy.circle(40)), epochs, 10)


def test_the_mean_of_all_sub_networks_is_the_network_without_dropout():
    """Four hidden neurons have 16 masks: their mean, each as likely as it is, in float64."""
    rate, model = 0.25, models.mlp(3, (4,), 2, dropout=0.25)
    params = model.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (5, 3))
    w = [np.asarray(layer["w"], np.float64) for layer in params]
    hidden = np.maximum(np.asarray(x, np.float64) @ w[0].T, 0)
    mean = np.zeros((5, 2))
    for bits in range(16):
        mask = np.array([bits >> k & 1 for k in range(4)])
        mean += np.prod(np.where(mask, 1 - rate, rate)) * (hidden * mask / (1 - rate)) @ w[1].T
    np.testing.assert_allclose(model.apply(params, x), mean, atol=1e-5)
    scores = sample_dropout_masks(model.apply, params, x, jax.random.key(2), 4000)
    assert scores.shape == (4000, 5, 2)
    error = np.asarray(scores).std(0) / np.sqrt(4000)
    assert (np.abs(np.asarray(scores).mean(0) - mean) < 5 * error + 1e-6).all()
    with pytest.raises(ValueError, match="at least 1"):
        sample_dropout_masks(model.apply, params, x, jax.random.key(2), 0)
