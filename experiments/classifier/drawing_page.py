"""A page to draw on: scores, contributions and the image as the classifier sees it follow the pen.

The page is served to this computer only. The browser sends the drawing as PNG and gets the findings as JSON.
"""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

MAX_BYTES = 4_000_000
"""Of a drawing."""
Classify = Callable[[Image.Image], dict[str, Any]]


def serve(classify: Classify, port: int) -> ThreadingHTTPServer:
    """A server on this computer, whose `serve_forever` is still to be called; port 0 takes a free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Handler, classify))


def picture(values: np.ndarray) -> str:
    """An image f[H, W, C] from 0 to 1 as a data URL."""
    shown = np.round(255 * np.asarray(values, np.float32).clip(0, 1)).astype(np.uint8)
    return _url(Image.fromarray(shown[..., 0] if shown.shape[-1] == 1 else shown[..., :3]))


def heat(parts: np.ndarray, most: float) -> str:
    """Signed values f[H, W] as a data URL: orange raises the score, blue lowers it, white is 0."""
    share = (np.abs(parts) / (most or 1.0)).clip(0, 1)[..., None]
    ends = np.where(parts[..., None] > 0, np.array([213.0, 94.0, 0.0]), np.array([0.0, 114.0, 178.0]))
    return _url(Image.fromarray(np.round(255 + share * (ends - 255)).astype(np.uint8)))


def _url(image: Image.Image) -> str:
    content = io.BytesIO()
    image.save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


class _Handler(BaseHTTPRequestHandler):
    """GET gives the page, POST classifies a drawing."""

    def __init__(self, classify: Classify, *arguments: Any) -> None:
        self._classify = classify
        super().__init__(*arguments)

    def do_GET(self) -> None:
        found = self.path == "/"
        self._answer(200 if found else 404, "text/html; charset=utf-8", PAGE if found else "there is only one page: /")

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        if not 0 < size <= MAX_BYTES:
            return self._answer(413, "text/plain", f"a drawing has 1 to {MAX_BYTES:,} bytes; this one has {size:,}")
        try:
            image = Image.open(io.BytesIO(self.rfile.read(size)), formats=["PNG"]).convert("RGBA")
        except (UnidentifiedImageError, OSError, ValueError) as error:
            return self._answer(400, "text/plain", f"the drawing is not a PNG ({error})")
        on_white = Image.new("RGBA", image.size, "white")
        self._answer(200, "application/json", json.dumps(self._classify(Image.alpha_composite(on_white, image))))

    def _answer(self, status: int, kind: str, text: str) -> None:
        content = text.encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):  # the tab was closed
            self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is logged."""


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Draw for a classifier</title>
<link rel="icon" href="data:,">
<style>
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 980px; padding: 10px; font: 15px/1.4 system-ui, sans-serif; color: #222;
  background: #fafafa; }
h1 { font-size: 20px; margin: 4px 0 10px; }
main { display: grid; gap: 12px; grid-template-columns: minmax(0, 320px) minmax(0, 1fr); align-items: start; }
section { background: white; border: 1px solid #ddd; border-radius: 6px; padding: 10px; min-width: 0; }
canvas { width: 100%; aspect-ratio: 1; border: 1px solid #888; touch-action: none; cursor: crosshair; display: block; }
button, input { font: inherit; padding: 8px 10px; margin: 8px 6px 0 0; max-width: 100%; }
button { border: 1px solid #888; border-radius: 4px; background: white; cursor: pointer; }
table { border-collapse: collapse; width: 100%; margin-top: 10px; } td { padding: 2px 6px; }
td.number { text-align: right; white-space: nowrap; } p { margin: 0 0 8px; }
td.name { max-width: 10em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
td.bar { width: 45%; } td.bar div { background: #0072B2; height: 12px; min-width: 1px; }
#pictures { display: flex; gap: 10px; } figure { margin: 0; flex: 0 1 148px; min-width: 0; }
figure img { width: 100%; image-rendering: pixelated; border: 1px solid #bbb; display: block; }
figcaption { font-size: 13px; } #far { color: #a40000; font-weight: 600; }
:focus-visible { outline: 3px solid #0072B2; outline-offset: 1px; }
@media (max-width: 620px) { main { grid-template-columns: minmax(0, 1fr); } canvas { max-width: 300px; } }
</style>
</head>
<body>
<h1>Draw for the classifier</h1>
<main>
  <section>
    <canvas width="320" height="320" role="img" aria-label="Drawing field: draw with mouse, pen or finger"></canvas>
    <button id="clear">Clear</button>
    <label>or open a picture <input type="file" accept="image/*"></label>
  </section>
  <section>
    <div role="status"><p id="result">Draw with mouse, pen or finger.</p><p id="far"></p></div>
    <div id="pictures"></div>
    <table><tbody></tbody></table>
  </section>
</main>
<script>
const canvas = document.querySelector("canvas"), pen = canvas.getContext("2d"), rows = document.querySelector("tbody");
const place = id => document.getElementById(id);
let last = null, waiting = false, changed = false, sheet = 0;
window.answers = 0;
const clear = () => { pen.fillStyle = "white"; pen.fillRect(0, 0, canvas.width, canvas.height); };
const forget = () => {
  clear();
  sheet += 1;
  for (const one of [rows, place("pictures"), place("far")]) one.replaceChildren();
  place("result").textContent = "Draw with mouse, pen or finger.";
  changed = false;
};
const at = event => {
  const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
  return [(event.clientX - box.x) * scale, (event.clientY - box.y) * scale];
};
const line = (from, to) => {
  Object.assign(pen, {lineWidth: 22, lineCap: "round", strokeStyle: "black"});
  pen.beginPath(); pen.moveTo(...from); pen.lineTo(...to); pen.stroke();
  changed = true; ask();
};
canvas.addEventListener("pointerdown", event => {
  canvas.setPointerCapture(event.pointerId);
  last = at(event); line(last, last);
});
canvas.addEventListener("pointermove", event => { if (last) { const now = at(event); line(last, now); last = now } });
for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null });
place("clear").addEventListener("click", forget);
document.querySelector("input").addEventListener("change", async event => {
  const file = event.target.files[0];
  if (!file) return;
  event.target.value = "";
  try {
    const image = await createImageBitmap(file), scale = Math.min(320 / image.width, 320 / image.height);
    const [wide, high] = [image.width * scale, image.height * scale];
    clear();
    pen.drawImage(image, (320 - wide) / 2, (320 - high) / 2, wide, high);
    changed = true; ask();
  } catch { place("result").textContent = `${file.name} is no picture that this browser can read.` }
});
const cell = (row, kind, content) => {
  const made = row.insertCell();
  made.className = kind;
  typeof content === "string" ? made.textContent = content : made.append(content);
};
const figure = (source, text) => {
  const made = document.createElement("figure"), image = new Image(), caption = document.createElement("figcaption");
  Object.assign(image, {src: source, alt: text});
  caption.textContent = text;
  made.append(image, caption);
  return made;
};
const show = found => {
  place("result").textContent = found.result;
  place("far").textContent = found.far;
  place("pictures").replaceChildren(...found.pictures.map(([source, text]) => figure(source, text)));
  rows.replaceChildren();
  for (const [name, score, probability] of found.classes) {
    const row = rows.insertRow(), bar = document.createElement("div");
    bar.style.width = `${100 * probability}%`;
    cell(row, "name", name);
    cell(row, "bar", bar);
    cell(row, "number", `${(100 * probability).toFixed(1)} %`);
    cell(row, "number", `score ${score.toFixed(2)}`);
  }
};
const ask = async () => {
  if (waiting) return;
  waiting = true;
  while (changed) {
    changed = false;
    const drawn = sheet, drawing = await new Promise(done => canvas.toBlob(done, "image/png"));
    try {
      const answer = await fetch("/", {method: "POST", body: drawing});
      if (!answer.ok) throw new Error(await answer.text());
      const found = await answer.json();
      if (drawn === sheet) show(found);
      window.answers += 1;
    } catch (error) { place("result").textContent = `No answer: ${error.message}` }
  }
  waiting = false;
};
clear();
</script>
</body>
</html>
"""
