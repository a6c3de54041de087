"""Measure the playground in a headless browser.

    python -m experiments.playground.measure
    python -m experiments.playground.measure --minutes 10

Starts the server and Chromium, and writes pictures and steps per second of the default network, the time to the first
picture, the memory during training, and the speed of four sessions at once, compared with the algorithm of ConvNetJS's
classify2d (20 ticks per second of 20 passes through 100 points, one example after the other, in JavaScript in the same
browser). Needs the extra `dev` and Chromium; takes 90 s with the defaults.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.cli import command, environment, files, parser

_GOALS = {"pictures_per_second": 20, "steps_per_second": 20_000, "seconds_to_live_picture": 3.0}
_WARM_UP = 2.0
_RULE = """
() => new Promise(resolve => {
  const sizes = [2, 6, 2, 2], N = 100, B = 10, rate = 0.01, momentum = 0.1, decay = 0.001;
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const data = [], labels = [];
  for (let i = 0; i < N; i++) {
    const c = i % 2, r = c ? 3 + 2 * Math.random() : 2 * Math.random(), t = 2 * Math.PI * i / N;
    data.push([r * Math.sin(t), r * Math.cos(t)]); labels.push(c);
  }
  const layers = sizes.slice(1).map((out, i) => {
    const n = sizes[i], w = Float64Array.from({length: out * n}, () => normal() / Math.sqrt(n));
    return {n, out, w, b: new Float64Array(out), gw: new Float64Array(out * n), gb: new Float64Array(out),
      vw: new Float64Array(out * n), vb: new Float64Array(out), x: null, y: new Float64Array(out),
      dx: new Float64Array(n)};
  });
  const forward = input => {
    let x = input;
    layers.forEach((l, k) => {
      l.x = x;
      for (let i = 0; i < l.out; i++) {
        let sum = l.b[i];
        for (let j = 0; j < l.n; j++) sum += l.w[i * l.n + j] * x[j];
        l.y[i] = k < layers.length - 1 ? Math.tanh(sum) : sum;
      }
      x = l.y;
    });
    return x;
  };
  let seen = 0, loss = 0;
  const learn = (input, label) => {
    const s = forward(input), most = Math.max(...s), e = s.map(v => Math.exp(v - most));
    const total = e.reduce((a, b) => a + b);
    loss += Math.log(total) - (s[label] - most);
    let d = Float64Array.from(e, (v, i) => v / total - (i === label ? 1 : 0));
    for (let k = layers.length - 1; k >= 0; k--) {
      const l = layers[k];
      if (k < layers.length - 1) for (let i = 0; i < l.out; i++) d[i] *= 1 - l.y[i] * l.y[i];
      l.dx.fill(0);
      for (let i = 0; i < l.out; i++) {
        l.gb[i] += d[i];
        for (let j = 0; j < l.n; j++) {
          l.gw[i * l.n + j] += d[i] * l.x[j];
          l.dx[j] += d[i] * l.w[i * l.n + j];
        }
      }
      d = l.dx.slice();
    }
    if (++seen % B) return;
    for (const l of layers) for (const [p, g, v, wd] of [[l.w, l.gw, l.vw, decay], [l.b, l.gb, l.vb, 0]])
      for (let i = 0; i < p.length; i++) {
        v[i] = momentum * v[i] - rate * (g[i] + wd * p[i]) / B;
        p[i] += v[i];
        g[i] = 0;
      }
  };
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 400;
  document.body.append(canvas);
  const context = canvas.getContext("2d");
  let ticks = 0, steps = 0;
  const begin = performance.now();
  const tick = () => {
    loss = 0;
    for (let pass = 0; pass < 20; pass++) for (let i = 0; i < N; i++) learn(data[i], labels[i]);
    for (let x = 0; x < 400; x += 5) for (let y = 0; y < 400; y += 5) {
      const s = forward([(x - 200) / 50, (y - 200) / 50]);
      context.fillStyle = s[0] > s[1] ? "#fa9696" : "#96fa96";
      context.fillRect(x, y, 5, 5);
    }
    for (let i = 0; i < N; i++) {
      context.beginPath();
      context.arc(data[i][0] * 50 + 200, data[i][1] * 50 + 200, 5, 0, 2 * Math.PI);
      context.stroke();
    }
    ticks++; steps += 20 * N / B;
  };
  const timer = setInterval(tick, 1000 / 20);
  setTimeout(() => {
    clearInterval(timer);
    const seconds = (performance.now() - begin) / 1000;
    resolve({pictures_per_second: ticks / seconds, steps_per_second: steps / seconds, loss: loss / (20 * N)});
  }, SECONDS * 1000);
})
"""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure, and where to write it."""

    seconds: float = 10.0
    """Duration of each speed measurement."""
    minutes: float = 1.0
    """Duration of the memory measurement during training."""
    out: Path = Path(__file__).resolve().parents[1] / "results" / "playground.json"
    """The result file."""


def measure(options: Options) -> None:
    """Measure everything and write the results."""
    if options.seconds <= 0 or options.minutes <= 0:
        raise ValueError(f"--seconds and --minutes must be positive; got {options.seconds} and {options.minutes}")
    from playwright.sync_api import sync_playwright

    path = _chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        blank = browser.new_page()
        rule = blank.evaluate(_RULE.replace("SECONDS", str(options.seconds)))
        blank.close()
        started = time.perf_counter()
        with _served() as (server, url):
            opened = time.perf_counter()
            page = _open(browser, url)
            start, live = time.perf_counter() - started, time.perf_counter() - opened
            first = _first_picture(page)
            page.keyboard.press("Space")
            page.wait_for_timeout(1000 * _WARM_UP)
            default = _speed([page], options.seconds)[0]
            others = [_open(browser, url) for _ in range(3)]
            for other in others:
                other.keyboard.press("Space")
            page.wait_for_timeout(1000 * _WARM_UP)
            four = _speed([page, *others], options.seconds)
            for other in others:
                other.close()
            compile_seconds = _recompile(page)
            page.keyboard.press("Space")
            memory = _memory(page, server, options.minutes)
        browser.close()
    result: dict[str, Any] = {
        "default": default,
        "convnetjs_rule": rule,
        "seconds_to_live_picture": start,
        "seconds_from_page_to_first_picture": first,
        "seconds_from_page_to_live_picture": live,
        "seconds_to_first_picture_of_another_network": compile_seconds,
        "memory": memory,
        "four_sessions": four,
        "goals": _GOALS,
        "browser": subprocess.run([path, "--version"], capture_output=True, text=True).stdout.strip(),
    }
    result |= environment.environment()
    files.write_json(options.out, result)
    print(files.as_json(result))


def page_to_pictures(environment: Mapping[str, str], repetitions: int) -> dict[str, list[float]]:
    """Seconds from opening the page to its first picture, which the page draws itself, and to the first that is live.

    The servers find their programs in the cache.
    """
    from playwright.sync_api import sync_playwright

    path, found = _chromium(), {"first": [], "live": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(1 + repetitions):
            with _served(environment) as (_, url):
                started = time.perf_counter()
                page = _open(browser, url)
                found["live"].append(time.perf_counter() - started)
                found["first"].append(_first_picture(page))
                page.wait_for_function("JSON.parse(playground.status).ready", timeout=60_000)
                page.close()
        browser.close()
    return {kind: seconds[1:] for kind, seconds in found.items()}


def _chromium() -> str:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise FileNotFoundError("no chromium is installed; on Debian: apt-get install chromium")
    return path


@contextlib.contextmanager
def _served(environment: Mapping[str, str] | None = None) -> Iterator[tuple[int, str]]:
    """A server of the page: the number of its process, and its address."""
    serve = [sys.executable, "-m", "experiments.playground", "--no-show", "--port", "0"]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(serve, stdout=pipe, stderr=nothing, text=True, env=environment) as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found
        try:
            yield server.pid, found[0]
        finally:
            server.terminate()


def _open(browser: Any, url: str) -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url + "#speed=1000000")
    page.wait_for_function("window.playground && playground.drawn > 0", timeout=60_000)
    return page


def _first_picture(page: Any) -> float:
    """Seconds from opening the page to the picture of the untrained network that the page draws itself."""
    return page.evaluate("performance.getEntriesByName('first picture')[0].startTime") / 1000


def _now(page: Any) -> tuple[float, int, int]:
    found = page.evaluate("[performance.now(), playground.drawn, JSON.parse(playground.status).step]")
    return found[0] / 1000, found[1], found[2]


def _speed(pages: list[Any], seconds: float) -> list[dict[str, float]]:
    """Pictures drawn and steps trained per second, of all pages at once."""
    before = [_now(page) for page in pages]
    pages[0].wait_for_timeout(1000 * seconds)
    after = [_now(page) for page in pages]
    return [
        {"pictures_per_second": (b[1] - a[1]) / (b[0] - a[0]), "steps_per_second": (b[2] - a[2]) / (b[0] - a[0])}
        for a, b in zip(before, after, strict=True)
    ]


def _memory(page: Any, server: int, minutes: float) -> dict[str, Any]:
    """Memory of the server and of the page's JavaScript at regular intervals during training."""
    client = page.context.new_cdp_session(page)
    mib: dict[str, list[float]] = {"server": [], "javascript": []}
    for _ in range(11):
        client.send("HeapProfiler.collectGarbage")
        mib["javascript"].append(client.send("Runtime.getHeapUsage")["usedSize"] / 2**20)
        status = Path(f"/proc/{server}/status").read_text()
        mib["server"].append(int(status.split("VmRSS:")[1].split()[0]) / 2**10)
        page.wait_for_timeout(6000 * minutes)
    growth = {name: statistics.mean(values[-3:]) - statistics.mean(values[2:5]) for name, values in mib.items()}
    return {"minutes": minutes, "mib": mib, "growth_mib": growth}


def _recompile(page: Any) -> float:
    """Seconds from a change of the layers to the first picture of the newly compiled network."""
    hidden = ",".join(str(3 + int(time.time() * 10**k) % 9) for k in range(3))
    page.evaluate(
        "hidden => { window.started = performance.now(); location.hash = '#speed=1000000&hidden=' + hidden }", hidden
    )
    page.wait_for_function("(s => s.ready && s.step === 0)(JSON.parse(playground.status))", timeout=60_000)
    return json.loads(page.evaluate("JSON.stringify((performance.now() - window.started) / 1000)"))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for a wrong option or a missing program."""
    options = parser.parse(Options, prog="jaxnn playground.measure", description=__doc__, args=arguments)
    return command.run(measure, options)


if __name__ == "__main__":
    sys.exit(main())
