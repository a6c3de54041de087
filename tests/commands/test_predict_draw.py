"""`predict --draw` in a real browser: the scores follow the pen, and a photo is told from a drawing."""

import base64
import http.client
import threading

import numpy as np
import pytest
from PIL import Image
from stored_runs import store

from experiments import predict
from experiments.classifier import drawing_page, picture_form
from jaxnn.data import load


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The address of a page for a linear classifier of digits, and its folder."""
    folder, servers, ready = tmp_path / "run", [], threading.Event()
    store(folder)
    picture_form.write(folder, picture_form.measure(load("digits").train.inputs))
    serve = drawing_page.serve

    def remember(answer, port):
        servers.append(serve(answer, port))
        ready.set()
        return servers[0]

    monkeypatch.setattr(drawing_page, "serve", remember)
    arguments = ["--run", str(folder), "--draw", "--no-show", "--port", "0"]
    thread = threading.Thread(target=predict.main, args=(arguments,))
    thread.start()
    assert ready.wait(60)
    yield servers[0].server_port, folder
    servers[0].shutdown()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("width", [1280, pytest.param(400, marks=pytest.mark.slow)])
def test_scores_follow_the_pen(served, chromium, width, tmp_path):
    port, folder = served
    page = chromium.new_page(viewport={"width": width, "height": 900})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://127.0.0.1:{port}/")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=3)
    page.mouse.up()
    page.wait_for_function("window.answers > 0 && !waiting && !changed")
    page.locator("canvas").screenshot(path=tmp_path / "drawn.png")
    trained = predict.read_run(folder)
    drawn = page.evaluate("canvas.toDataURL()").split(",")[1]
    (tmp_path / "drawn.png").write_bytes(base64.b64decode(drawn))
    seen, done = predict.fit_image(Image.open(tmp_path / "drawn.png").convert("RGB"), trained)
    found = predict.classify(trained, seen)
    assert done in page.locator("figcaption").first.text_content()
    shown = page.locator("td.name").all_text_contents()
    assert shown == [trained.names[c] for c in np.argsort(-found.scores)]
    assert f"score {found.scores[found.winner]:.2f}" in page.locator("td").all_text_contents()
    assert page.locator("figure img").count() == 3
    page.get_by_role("button", name="Clear").press("Enter")
    assert page.locator("figure").count() == 0
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    page.set_input_files("input", tmp_path / "photo.png")
    page.wait_for_function("document.getElementById('far').textContent.startsWith('no figure on a plain background')")
    page.close()
    assert errors == []


def test_what_is_no_drawing_is_refused_and_the_page_stays(served):
    port, _ = served
    for body, status in ((b"no picture", 400), (b"", 413), (bytes(drawing_page.MAX_BYTES + 1), 413)):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        if status == 400:
            connection.send(body)
        assert connection.getresponse().status == status
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/elsewhere")
    assert connection.getresponse().status == 404


def test_draw_and_files_exclude_each_other(tmp_path, capsys):
    assert predict.main(["--draw", "photo.png"]) == 2
    assert "leave out one of the two" in capsys.readouterr().err
    assert predict.main(["--draw", "--port", "70000"]) == 2
    assert "--port must be from 0 to 65535; got 70000" in capsys.readouterr().err
