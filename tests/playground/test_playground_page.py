"""The page in a real browser: training, points, links, files, keys, languages."""

from typing import Any

import numpy as np
import pytest

from experiments.playground.engine.links import from_link


def test_it_trains_pauses_steps_and_resets(show):
    tab = show("#speed=1000000")
    first = tab.status()
    tab.press("Play")
    later = tab.until_status("s.step > 3000 && s.losses[0] < 0.1")
    assert later["losses"][0] < first["losses"][0]
    tab.press("Pause")
    paused = tab.until_status("!s.playing")
    tab.page.wait_for_timeout(500)
    assert tab.status()["step"] == paused["step"]
    tab.press("Step")
    assert tab.until_status(f"s.step != {paused['step']}")["step"] == paused["step"] + 1
    tab.press("Epoch")
    tab.until_status(f"s.step == {paused['step'] + 16}")
    tab.press("Reset")
    assert tab.until_status("s.step == 0")["losses"] == pytest.approx(first["losses"])


def test_the_untrained_network_is_drawn_before_anything_is_loaded(chromium, url, show):
    link = "#data=spiral&classes=3&hidden=8,8&seed=7&discrete=1&tests=0&size=12"
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.route("**/static/js/*", lambda route: route.abort())
    page.goto(url + link)
    page.wait_for_function("performance.getEntriesByName('first picture').length")
    tab = show(link)
    assert tab.page.locator("#early").count() == 0
    live = np.array(tab.plane()).reshape(96, 96)[::-1] // 51  # the classes, from the top
    nearest = """places => places.map(([x, y]) => {
        const canvas = document.getElementById("early"), scale = canvas.width / 96;
        const [r, g, b] = canvas.getContext("2d").getImageData((x + 0.5) * scale, (y + 0.5) * scale, 1, 1).data;
        const far = CONTENT.classes.map(color => Math.hypot(...mixed(color, 0.5).map((v, i) => v - [r, g, b][i])));
        return [far.indexOf(Math.min(...far)), Math.min(...far)];
    })"""
    places = [(x, y) for x in range(4, 96, 11) for y in range(4, 96, 11)]
    seen = zip(page.evaluate(nearest, places), places, strict=True)
    regions = [(early, live[y, x]) for (early, far), (x, y) in seen if far < 2]  # others are of points
    assert len(regions) > 60
    assert sum(early == wanted for early, wanted in regions) >= len(regions) - 2  # at a border
    page.close()


def test_points_are_added_moved_and_deleted_by_hand(show):
    tab = show("#data=simple&noise=0")
    assert tab.until_status("s.points == 9")["points"] == 9
    tab.page.locator("body").press("2")
    tab.page.wait_for_timeout(300)
    tab.page.mouse.click(*tab.at(-4.0, -4.0))
    tab.until_status("s.points == 10")
    tab.press("Link to this")
    tab.until("location.hash.includes('points=')")

    def points():
        found = from_link(tab.page.evaluate("location.hash")).points
        assert found is not None
        return found

    assert points().places[-1] == pytest.approx([-4.0, -4.0], abs=0.1)
    assert (points().targets[-1], bool(points().train[-1])) == (1.0, True)
    before = tab.page.evaluate("location.hash")
    tab.page.mouse.move(*tab.at(-4.0, -4.0))
    tab.page.mouse.down()
    tab.page.mouse.move(*tab.at(-1.0, -3.0), steps=4)
    tab.page.mouse.up()
    tab.page.wait_for_timeout(500)
    tab.press("Link to this")
    tab.until(f"location.hash != {before!r}")
    assert points().places[-1] == pytest.approx([-1.0, -3.0], abs=0.2)
    assert len(points().train) == 10
    tab.page.mouse.click(*tab.at(-1.0, -3.0))
    tab.page.wait_for_timeout(300)
    tab.press("Delete selected")
    assert tab.until_status("s.points == 9")["points"] == 9


def test_a_link_restores_state_and_picture(show, open_tab):
    tab = show("#data=moons&hidden=5,3&loss=svm&l2=0.001&seed=4&speed=10000&tests=0")
    tab.until_status("s.points == 300 && s.ready")
    tab.press("Play")
    tab.until_status("s.step > 500")
    tab.press("Pause")
    last = tab.until_status("!s.playing")
    tab.page.wait_for_timeout(300)
    tab.press("Link with weights")
    tab.until("location.hash.includes('weights=')")
    again = open_tab(tab.page.evaluate("location.hash"))
    again.until_status(f"s.ready && Math.abs(s.losses[0] - {last['losses'][0]}) < 1e-6")
    assert again.plane() == tab.plane()
    assert again.status()["accuracies"] == last["accuracies"]
    again.press("Link with weights")
    again.until("playground.link.includes('weights=')")
    assert again.page.evaluate("location.hash") == tab.page.evaluate("location.hash")


def test_the_language_is_switched_and_back(show):
    tab = show()
    tab.press("中文")
    tab.page.get_by_role("button", name="播放", exact=True).wait_for()
    assert tab.page.get_by_role("heading", name="决策区域").is_visible()
    assert not tab.page.get_by_role("heading", name="Decision regions").is_visible()
    assert tab.page.locator("html").get_attribute("lang") == "zh"
    tab.press("English")
    tab.page.get_by_role("button", name="Play", exact=True).wait_for()


def test_a_bad_link_or_file_gives_a_message_and_the_page_keeps_working(open_tab, tmp_path):
    tab = open_tab("#hidden=99")
    tab.until("document.getElementById('message').textContent.includes('from 1 to 32')")
    (tmp_path / "bad.json").write_text("{}")
    tab.page.set_input_files("#model", tmp_path / "bad.json")
    tab.until("document.getElementById('message').textContent.includes('not a model of this page')")
    (tmp_path / "bad.csv").write_text("x1,x2,target\n1,<img src=x onerror=alert(1)>,0\n")
    tab.page.set_input_files("#csv", tmp_path / "bad.csv")
    tab.until("document.getElementById('message').textContent.includes('line 2')")
    (tmp_path / "huge.csv").write_bytes(bytes(3_000_000))
    tab.page.set_input_files("#csv", tmp_path / "huge.csv")
    tab.until("document.getElementById('message').textContent.includes('has 3,000,000 bytes')")
    (tmp_path / "good.csv").write_text("x1,x2,target\n1,1,0\n-1,1,1\n")
    tab.page.set_input_files("#csv", tmp_path / "good.csv")
    tab.until_status("s.points == 2")
    tab.press("Step")
    tab.until_status("s.step == 1")
    assert tab.page.evaluate("document.getElementById('message').textContent") == ""


def test_a_model_is_saved_and_opened_again(show, tmp_path):
    tab = show()
    tab.press("Epoch")
    before = tab.until_status("s.step == 15")
    with tab.page.expect_download() as download:
        tab.press("Save model")
    download.value.save_as(tmp_path / "model.json")
    tab.press("Reset")
    tab.until_status("s.step == 0")
    tab.page.set_input_files("#model", tmp_path / "model.json")
    tab.until_status(f"Math.abs(s.losses[0] - {before['losses'][0]}) < 1e-6")


def test_keys_do_what_the_footer_says(show):
    tab = show()
    tab.page.keyboard.press("s")
    tab.until_status("s.step == 1")
    tab.page.keyboard.press("e")
    tab.until_status("s.step == 16")
    tab.page.keyboard.press(" ")
    tab.until_status("s.playing")
    tab.page.keyboard.press(" ")
    tab.until_status("!s.playing")
    tab.page.keyboard.press("r")
    tab.until_status("s.step == 0")


def test_sessions_are_independent(show, open_tab):
    one, two = show(), open_tab("#data=xor")
    one.press("Play")
    one.until_status("s.step > 30")
    assert two.status()["step"] == 0
    assert not two.status()["playing"]


def test_the_code_of_the_network_is_shown_runs_and_gives_its_scores(show, tmp_path):
    tab = show("#data=hills&hidden=5,3&activation=sigmoid&features=x1,x1^2,x1*x2,sin(x2)")
    tab.until_status("s.ready")
    tab.press("Epoch")
    tab.until_status("s.step == 15")
    tab.press("Show the code")
    tab.until("document.querySelector('#code pre').textContent.includes('numpy')")
    made: dict[str, Any] = {"__name__": "made"}
    exec(tab.page.locator("#code pre").text_content(), made)
    tab.page.keyboard.press("s")  # a letter in the dialog is no step
    tab.page.locator("#code select").select_option("jax")
    tab.until("document.querySelector('#code pre').textContent.includes('jnp.sin')")
    with tab.page.expect_download() as download:
        tab.press("Save")
    download.value.save_as(tmp_path / "network.py")
    assert "import jax" in (tmp_path / "network.py").read_text()
    tab.page.keyboard.press("Escape")
    tab.press("Link with weights")
    tab.until("location.hash.includes('weights=')")
    assert tab.status()["step"] == 15
    x = np.random.default_rng(0).uniform(-6, 6, (20, 2))
    h = np.stack([x[:, 0], x[:, 0] ** 2, x[:, 0] * x[:, 1], np.sin(x[:, 1])], axis=1)
    *hidden, last = from_link(tab.page.evaluate("location.hash")).weights or []
    for layer in hidden:
        h = 1 / (1 + np.exp(-(h @ layer["w"].T + layer["b"])))
    np.testing.assert_allclose(made["scores"](x), h @ last["w"].T + last["b"], atol=1e-5, rtol=1e-5)
