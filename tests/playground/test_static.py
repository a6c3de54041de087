"""The page without Python, in a real browser: it opens from a file and trains as JAX does."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from experiments.playground import __main__ as command
from experiments.playground.content.presets import PRESETS
from experiments.playground.engine import points as data
from experiments.playground.engine.compiler import Compiler
from experiments.playground.engine.links import Saved, View, from_link, to_link
from experiments.playground.engine.programs import WIDTHS
from experiments.playground.engine.session import Playground
from experiments.playground.engine.settings import CLASS_SETS, VALUE_SETS, Settings, change

STEPS = 200
TRAIN = "n => { session.playing = false; session.train(n) }"
PARAMS = "session.networks.map(network => network.params.map(({w, b}) => [[...w], [...b]]))"


@pytest.fixture(scope="module")
def tab(chromium, tmp_path_factory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("static")
    assert command.main(["--static", str(folder)]) == 0
    page, errors, addresses = chromium.new_page(viewport={"width": 1280, "height": 900}), [], set()
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: addresses.add(request.url.split("/")[2]))
    page.goto((folder / "index.html").as_uri())
    page.wait_for_function("session.history.length")
    yield page
    page.close()
    assert errors == []
    assert addresses == {""}, "nothing but the folder is read"


@pytest.fixture(scope="module")
def compiler() -> Compiler:
    return Compiler()


@pytest.fixture(autouse=True)
def standard_promotion_in_all_threads() -> Iterator[None]:
    """Adam mixes i32 and f32 itself, and the programs are traced in threads."""
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    yield
    jax.config.update("jax_numpy_dtype_promotion", "strict")


def follow(tab, fragment: str) -> None:
    """Open a link in the page."""
    tab.evaluate("async text => { history.replaceState(null, '', text); await readLink() }", f"#{fragment}")


def params_of(playground: Playground) -> list[list[dict[str, np.ndarray]]]:
    """The parameters of each network, without the unused neurons of narrow ones."""
    assert playground.learner is not None
    params = [{name: np.asarray(a) for name, a in layer.items()} for layer in playground.learner.state.params]
    if playground.shape.many == "one":
        return [params]
    networks = [[{name: a[i] for name, a in layer.items()} for layer in params] for i in range(len(params[0]["w"]))]
    if playground.shape.many == "seeds":
        return networks
    for width, network in zip(WIDTHS, networks, strict=True):
        for i, layer in enumerate(network):
            into, out = (layer["w"].shape[1] if i == 0 else width), (width if i < len(network) - 1 else len(layer["w"]))
            network[i] = {"w": layer["w"][:out, :into], "b": layer["b"][:out]}
    return networks


def compare(tab, compiler, **given) -> None:
    """Both train from the same link; points, weights and curves agree."""
    settings = change(Settings(), given)
    follow(tab, to_link(Saved(settings, None, None)))
    playground = Playground(compiler, settings)
    playground.ready(wait=True)
    first = tab.evaluate(PARAMS)
    for network, ours in zip(params_of(playground), first, strict=True):
        for layer, (w, _) in zip(network, ours, strict=True):
            np.testing.assert_allclose(w, layer["w"].ravel(), rtol=1e-5, atol=1e-7)  # tails of the normal numbers
    tab.evaluate(TRAIN, STEPS)
    playground.train(STEPS)
    for network, ours in zip(params_of(playground), tab.evaluate(PARAMS), strict=True):
        for layer, (w, b) in zip(network, ours, strict=True):
            np.testing.assert_allclose(w, layer["w"].ravel(), rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(b, layer["b"], rtol=1e-4, atol=1e-4)
    frame, looked = playground.frame(), tab.evaluate("session.look()")
    assert frame is not None
    assert looked["step"] == frame.step == STEPS
    np.testing.assert_allclose(looked["losses"], frame.snapshot.losses, rtol=1e-4, atol=1e-4)


def test_200_steps_are_those_of_jax(tab, compiler):
    compare(tab, compiler, data="moons", hidden=(8, 5), dropout=0.4, l2=0.01, momentum=0.5, seed=3, data_seed=7)


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"optimizer": "rmsprop", "loss": "svm", "activation": "relu", "init": "he", "l1": 1e-3, "learning_rate": 0.003},
        {"optimizer": "adagrad", "loss": "squared", "activation": "leaky_relu", "data": "spiral", "classes": 3},
        {"optimizer": "nesterov", "momentum": 0.9, "activation": "sigmoid", "init": "normal", "data": "gauss"},
        {
            "optimizer": "adam",
            "data": "hills",
            "activation": "gelu",
            "learning_rate": 0.01,
            "features": ("x1", "sin(x1)"),
        },
        {"data": "plane", "hidden": (), "features": ("x1", "x2", "x1^2", "x2^2", "sin(x2)"), "learning_rate": 0.003},
        {"many": "widths", "hidden": (20, 20), "dropout": 0.2},
        {"many": "seeds", "hidden": (3,), "init": "he", "activation": "linear"},
        {"init": "zeros", "data": "xor", "batch_size": 37},
    ],
    ids=lambda given: "-".join(map(str, given.values())),
)
def test_every_choice_trains_as_in_jax(tab, compiler, given):
    compare(tab, compiler, **given)


def test_the_points_are_those_of_numpy(tab):
    changes = {"size": 137, "noise": 0.3, "train_share": 0.37, "classes": 4, "data_seed": 77}
    for name in CLASS_SETS + VALUE_SETS:
        settings = change(Settings(), {"data": name, **changes})
        found = tab.evaluate("given => drawPoints({...CONTENT.defaults, ...given})", dataclasses.asdict(settings))
        expected = data.draw(settings)
        np.testing.assert_array_equal(found["places"], expected.places, err_msg=name)
        np.testing.assert_allclose(found["targets"], expected.targets, atol=1e-7, err_msg=name)
        np.testing.assert_array_equal(found["train"], expected.train, err_msg=name)


def test_a_link_goes_both_ways_with_points_and_weights(tab):
    settings = change(
        Settings(), {"hidden": [3], "features": ["x1", "x1^2"], "classes": 3, "data": "gauss", "l2": 0.001}
    )
    generator = np.random.default_rng(0)
    weights = [
        {"w": generator.normal(size=(out, into)).astype(np.float32), "b": generator.normal(size=out).astype(np.float32)}
        for into, out in ((2, 3), (3, 3))
    ]
    points = data.checked(data.draw(settings)._replace(targets=np.arange(300) % 3), settings)
    link = to_link(Saved(settings, points, weights, View(language="zh", tests=0)))
    follow(tab, link)
    assert tab.locator("html").get_attribute("lang") == "zh"
    assert tab.get_by_role("button", name="播放", exact=True).is_visible()
    saved = from_link(tab.evaluate("toLink(session, view, true)"))
    assert (saved.settings, saved.view) == (settings, View(language="zh", tests=0))
    assert saved.points is not None
    for ours, theirs in zip(saved.points, points, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert saved.weights is not None
    for ours, theirs in zip(saved.weights, weights, strict=True):
        for name in ("w", "b"):
            np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("hidden=99", "from 1 to 32"),
        ("batch_size=2.5", "a whole number from 1 to 100"),
        ("loss=absolute", "must be one of softmax, svm, squared"),
        ("bias=1", "no setting is called 'bias'"),
        ("points=abc", "damaged"),
        ("weights=eJxjYGBgAAAABAAB", "do not fit the network"),
    ],
)
def test_a_bad_link_is_named_and_changes_nothing(tab, link, message):
    follow(tab, "data=xor")
    follow(tab, link)
    assert message in tab.locator("#message").inner_text()
    assert tab.evaluate("session.settings.data") == "xor"


def test_keys_points_presets_and_fields_work_on_a_narrow_screen(tab):
    tab.set_viewport_size({"width": 400, "height": 900})
    follow(tab, "data=simple&noise=0")
    assert tab.evaluate("document.documentElement.scrollWidth") == 400
    tab.locator("body").press("s")
    assert tab.evaluate("session.step") == 1
    tab.locator("body").press("2")
    tab.locator("#plane").click(position={"x": 20, "y": 20})
    assert tab.evaluate("[session.points.places.length, session.points.targets.at(-1)]") == [10, 1]
    tab.locator("#plane").click(position={"x": 20, "y": 20})
    tab.locator("body").press("Backspace")
    assert tab.evaluate("session.points.places.length") == 9
    tab.get_by_label("Learning rate").fill("11")
    tab.get_by_label("Learning rate").press("Tab")
    assert "from 0 to 10" in tab.locator("#message").inner_text()
    tab.get_by_label("L2", exact=True).fill("0.5")
    tab.get_by_label("L2", exact=True).press("Tab")
    tab.wait_for_function("document.getElementById('status').textContent.includes('penalty')")
    tab.get_by_role("button", name=PRESETS["values"].title.en).click()
    tab.wait_for_function("session.playing && session.step > 5")
    assert not tab.locator("#accuracy").is_visible()
    tab.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_axe_finds_nothing(tab, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 900})
    follow(tab, "data=spiral&classes=3")
    found = axe.run(tab, options={"preload": False}).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:100]) for one in found] == []
