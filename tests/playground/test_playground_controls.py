"""The page in a real browser: what its controls, diagram and layout do."""

import json

import numpy as np
import pytest

from experiments.playground.content.presets import PRESETS
from experiments.playground.engine.links import from_link
from experiments.playground.page import figures
from jaxnn.plots import _style

PLANE = "Array.from(Bokeh.documents[0].roots().find(r => r.name == 'plane').renderers[0].data_source.data.image[0])"


def test_classes_have_the_colors_of_the_lessons():
    assert list(figures.CLASSES) == list(_style.COLORS[:5])


def test_a_preset_plays_at_a_speed_to_watch_and_says_what_to_look_for(show):
    tab = show()
    drawn = "[...document.querySelectorAll('#cards canvas')].filter(c => new Set(c.getContext('2d').getImageData("
    tab.until(f"{drawn}0, 0, 104, 104).data).size > 20).length === {len(PRESETS)}")
    card = tab.page.get_by_role("button", name=PRESETS["values"].title.en)
    card.click()
    tab.until_status("s.ready && s.playing && s.step > 20")
    assert tab.page.locator("#hint").inner_text() == PRESETS["values"].hint.en
    assert card.get_attribute("aria-pressed") == "true"
    assert not tab.page.get_by_role("heading", name="Accuracy").is_visible()
    first = tab.status()["step"]
    tab.page.wait_for_timeout(1000)
    assert tab.status()["step"] - first < 250


def test_penalty_and_dropout_are_read_out(show):
    tab = show("#l2=0.5&l1=0.25&dropout=0.2&hidden=4")
    tab.press("Link with weights")
    tab.until("location.hash.includes('weights=')")
    weights = [layer["w"].astype(np.float64) for layer in from_link(tab.page.evaluate("location.hash")).weights or []]
    penalty = sum(0.5 * (w**2).sum() + 0.25 * np.abs(w).sum() for w in weights)
    told = tab.page.get_by_text("penalty:").inner_text()
    assert f"penalty: {penalty:.4f} " in told
    assert "drops 20.0% of the hidden values and multiplies the others by 1.25" in told


def test_every_control_has_a_tooltip(show):
    tab = show()
    bare = """() => {
        const kinds = ["Button", "Select", "NumericInput", "CheckboxButtonGroup", "RadioButtonGroup", "Slider"];
        return [...Bokeh.documents[0]._all_models.values()].filter(m => kinds.includes(m.type)).filter(
            m => !Bokeh.index.find_one(m)?.el.title).map(m => m.type + " " + m.name);
    }"""
    assert tab.page.evaluate(bare) == []
    bare = ", ".join(f"#{place} button:not([title])" for place in ("layers", "depth", "cards"))
    assert tab.page.locator(bare).count() == 0


def test_layers_and_neurons_are_added_and_removed_in_their_headings(show):
    tab = show("#hidden=3,32")
    tab.until("document.querySelector('[aria-label^=\"Add a neuron to hidden layer 2\"]')?.disabled")
    tab.press("Remove a neuron of hidden layer 1")
    tab.until("JSON.parse(playground.layers).sizes.join() === '2,2,32,2'")
    tab.press("Remove the last hidden layer")
    tab.until("JSON.parse(playground.layers).sizes.join() === '2,2,2' && !playground.busy")


def test_nothing_is_clamped_and_a_refused_value_goes_back(show):
    tab = show()
    field = tab.page.get_by_label("Noise")
    field.fill("7")
    field.press("Enter")
    tab.until("document.getElementById('message').textContent.includes('from 0 to 0.5; got 7')")
    tab.page.wait_for_function("field => field.value !== '7'", arg=field.element_handle())
    assert field.input_value() == "0.05"


def test_all_points_are_cleared_and_test_points_hidden(show):
    tab = show("#size=10")
    tab.until_status("s.points === 10")
    drawn = "Bokeh.documents[0].roots().find(r => r.name == 'plane').renderers[3].data_source.data.x.length"
    assert tab.page.evaluate(drawn) == 10
    tab.press("Test points")
    tab.until(f"{drawn} === 5")
    tab.press("Discretize")
    tab.press("Link to this")
    tab.until("location.hash.includes('tests=0') && location.hash.includes('discrete=1')")
    assert "link" in tab.page.locator("#notice").inner_text()
    tab.press("Clear all")
    tab.until_status("s.points === 0")
    tab.press("Play")
    tab.until("document.getElementById('message').textContent.includes('no training points')")
    tab.page.mouse.click(*tab.at(1.0, 1.0))
    tab.until_status("s.points === 1")


OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll("main section, header > *")].filter(e => e.offsetParent)
      .map(e => [e, e.getBoundingClientRect()]).filter(([e, b]) => b.width && b.height);
  const found = [];
  for (const [a, p] of boxes) for (const [b, q] of boxes)
    if (a !== b && !a.contains(b) && !b.contains(a) && p.left < q.right - 1 && q.left < p.right - 1 &&
        p.top < q.bottom - 1 && q.top < p.bottom - 1) found.push(a.textContent.slice(0, 20));
  for (const section of document.querySelectorAll("main section"))
    if (section.offsetParent && section.scrollWidth > section.clientWidth + 1) found.push(section.innerText);
  return found;
}"""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_overlaps_or_scrolls_sideways(show, language):
    tab = show(f"#language={language}&hidden=8,8,8,8,8,8&many=seeds")
    tab.until("playground.many")
    for width in (400, 768, 1280):
        tab.page.set_viewport_size({"width": width, "height": 900})
        tab.page.wait_for_timeout(500)
        assert tab.page.evaluate(OVERLAPS) == []
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        box = tab.page.locator("#plane-place").bounding_box()
        assert box["y"] + box["height"] <= 900, "Play and the plane are in one view"


def test_the_picture_is_saved_as_png_and_a_neuron_is_enlarged_and_edited(show, tmp_path):
    tab = show()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Save picture").click()
    download.value.save_as(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    regions = tab.plane()
    where = """() => {
        const model = Bokeh.documents[0].roots().find(r => r.name == 'net');
        const view = Bokeh.index.find_one(model), box = view.canvas_view.el.getBoundingClientRect();
        const data = model.renderers.map(r => r.data_source.data).find(d => d.w);
        return [box.x + view.frame.x_scale.compute(data.x[3]), box.y + view.frame.y_scale.compute(data.y[3])];
    }"""
    x, y = tab.page.evaluate(where)
    tab.page.mouse.move(x, y)
    tab.until("playground.hovered === 3")
    tab.until(f"JSON.stringify({PLANE}) !== '{json.dumps(regions, separators=(',', ':'))}'")
    tab.page.mouse.click(x, y)
    field = tab.page.get_by_label("Bias of hidden 1, neuron 2")
    before = tab.status()["losses"][0]
    field.fill("2.5")
    field.press("Enter")
    changed = tab.until_status(f"s.losses[0] !== {before}")["losses"][0]
    left, _ = tab.page.evaluate(where.replace("data.x[3]", "data.x[0]"))
    top, bottom = (tab.page.evaluate(where.replace("data.y[3]", f"data.y[{i}]"))[1] for i in (0, 2))
    tab.page.mouse.move((left + x) / 2, (top + bottom) / 2 + 6)  # beside the link from x1 to the first neuron
    field = tab.page.get_by_label("Weight x1 → hidden 1, neuron 1")
    field.wait_for()
    tab.page.mouse.click((left + x) / 2, (top + bottom) / 2 + 6)
    field.fill("-1.5")
    field.press("Enter")
    tab.until_status(f"s.losses[0] !== {changed}")
    with tab.page.expect_download() as download:
        tab.press("Save model")
    download.value.save_as(tmp_path / "model.json")
    first = json.loads((tmp_path / "model.json").read_text())["weights"][0]
    assert (first["b"][1], first["w"][0][0]) == (2.5, -1.5)
