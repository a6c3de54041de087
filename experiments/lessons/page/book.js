"use strict";
const root = document.documentElement;
const stored = {
  get(name) { try { return localStorage.getItem("lessons-" + name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem("lessons-" + name, value); } catch { /* private window */ } },
};
const text = value => (value && value.en !== undefined ? value[root.lang === "zh" ? "zh" : "en"] : String(value));
const redraws = [];
const redraw = () => redraws.forEach(draw => draw());

// ---------------------------------------------------------------- language and theme

function setLanguage(language) {
  root.lang = language;
  stored.set("language", language);
  for (const element of document.querySelectorAll("[data-en]")) {
    const value = element.dataset[language];
    if (element.dataset.attribute) element.setAttribute(element.dataset.attribute, value);
    else element.textContent = value;
  }
  for (const link of document.querySelectorAll("a[href]")) {
    const [path, hash] = link.getAttribute("href").split("#");
    if (!/^[a-z0-9_]+\.html(\?|$)/.test(path)) continue;
    link.href = path.split("?")[0] + (language === "zh" ? "?lang=zh" : "") + (hash ? "#" + hash : "");
  }
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  redraw();
}

function setTheme(theme) {
  root.dataset.theme = theme;
  stored.set("theme", theme);
  redraw();
}

function isDark() {
  const chosen = root.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// ---------------------------------------------------------------- search

function search(words) {
  const out = document.getElementById("found");
  out.replaceChildren();
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) { out.hidden = true; return; }
  const language = root.lang;
  const ranked = INDEX.map(entry => {
    const title = text(entry.title).toLowerCase(), body = (entry.en + " " + entry.zh).toLowerCase();
    let score = 0;
    for (const word of wanted) {
      if (title.includes(word)) score += 10;
      else if (body.includes(word)) score += 1;
      else return [0, entry];
    }
    return [score, entry];
  }).filter(([score]) => score > 0).sort((a, b) => b[0] - a[0]).slice(0, 12);
  for (const [, entry] of ranked) {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = entry.page + (SINGLE || language === "en" ? "" : "?lang=zh") + "#" + entry.id;
    link.textContent = text(entry.title);
    const words = document.createElement("small"), body = entry[language], lower = body.toLowerCase();
    const at = Math.max(0, lower.indexOf(wanted[0]) - 30);
    words.textContent = (at ? "… " : "") + body.slice(at, at + 110) + " …";
    item.append(link, words);
    out.append(item);
  }
  if (!ranked.length) {
    const item = document.createElement("li");
    item.textContent = language === "zh" ? "没有找到" : "Nothing found";
    out.append(item);
  }
  out.hidden = false;
}

// ---------------------------------------------------------------- questions

for (const form of document.querySelectorAll("form.question")) {
  const answer = form.querySelector(".answer");
  const open = choice => {
    for (const option of form.querySelectorAll("[data-right]")) {
      option.classList.toggle("right", option.dataset.right === "true");
      option.classList.toggle("wrong", option.dataset.right === "false" && option.contains(choice));
    }
    answer.hidden = false;
  };
  form.addEventListener("change", event => open(event.target));
  form.addEventListener("submit", event => { event.preventDefault(); open(null); });
}

// ---------------------------------------------------------------- figures

for (const figure of document.querySelectorAll("figure.still")) {
  const enlarge = () => figure.classList.toggle("large");
  figure.addEventListener("click", enlarge);
  figure.addEventListener("keydown", event => { if (event.key === "Enter") enlarge(); });
}

const LIGHT = ["#0072B2", "#D55E00", "#009E73", "#A5497F", "#B07800", "#2E86C1", "#666666", "#000000"];
const DARK = ["#56B4E9", "#FF8C42", "#3DDBA7", "#E59CC5", "#F0C050", "#9AD0F5", "#AAAAAA", "#FFFFFF"];

async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.data), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  let values;
  if (packed.kind === "u8") values = new Uint8Array(buffer);
  else if (packed.kind === "f32") values = new Float32Array(buffer);
  else {
    const stored = new Uint16Array(buffer), width = (packed.high - packed.low) / 65534;
    values = Float64Array.from(stored, one => {
      if (one === 65535) return NaN;
      const value = packed.low + one * width;
      return packed.log ? Math.exp(value) : value;
    });
  }
  Object.assign(packed, {values});
}

function everyArray(value, use) {
  if (Array.isArray(value)) value.forEach(one => everyArray(one, use));
  else if (value && typeof value === "object") {
    if (value.data !== undefined) use(value);
    else Object.values(value).forEach(one => everyArray(one, use));
  }
}

// the part of an array at the positions of the controls: its values and the rest of its shape
function at(array, places) {
  let offset = 0, size = array.values.length;
  array.over.forEach((control, axis) => { size /= array.shape[axis]; offset += places[control] * size; });
  return {values: array.values.subarray(offset, offset + size), shape: array.shape.slice(array.over.length)};
}

const sum = (arrays, places, i) => arrays.reduce((total, array) => total + at(array, places).values[i], 0);

function number(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace("e+", "e");
  const shown = size >= 100 ? value.toFixed(1) : size >= 10 ? value.toFixed(2) : value.toFixed(3);
  return shown.includes(".") ? shown.replace(/\.?0+$/, "").replace(/^-0$/, "0") : shown;
}

function ticks(low, high, log, count) {
  if (log) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    const step = Math.max(1, Math.ceil((last - first + 1) / count));
    return Array.from({length: Math.max(0, Math.floor((last - first) / step) + 1)}, (_, i) => 10 ** (first + i * step));
  }
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= rough);
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + 1e-9 * step; value += step)
    found.push(Math.abs(value) < step / 1e6 ? 0 : value);
  return found;
}

function mix(color, share, other) {
  const part = (text, i) => parseInt(text.slice(1 + 2 * i, 3 + 2 * i), 16);
  return [0, 1, 2].map(i => Math.round(share * part(color, i) + (1 - share) * part(other, i)));
}

class Canvas {
  constructor(panel, places, element) {
    this.dark = isDark();
    this.colors = this.dark ? DARK : LIGHT;
    this.ink = this.dark ? "#e8e8e8" : "#1a1a1a";
    this.faint = this.dark ? "#3b4048" : "#dddddd";
    this.paper = this.dark ? "#1b1e23" : "#ffffff";
    this.places = places;
    const width = element.clientWidth, ratio = devicePixelRatio || 1;
    const height = Math.round(Math.max(width * (panel.square ? 0.94 : 0.66), Math.min(width, 280)));
    element.style.height = height + "px";
    element.width = width * ratio;
    element.height = height * ratio;
    this.context = element.getContext("2d");
    this.context.scale(ratio, ratio);
    this.context.font = "12px system-ui, sans-serif";
    this.box = {left: 46, right: width - 10, top: 26, bottom: height - 40};
    this.width = width;
    this.height = height;
  }

  frame(panel) {
    const {context, box} = this, log = panel.log || [false, false];
    const scale = (range, isLog, low, high) => {
      const f = isLog ? Math.log : value => value, a = f(range[0]), b = f(range[1]);
      return value => low + (f(value) - a) / (b - a) * (high - low);
    };
    context.fillStyle = this.ink;
    context.font = "bold 12px system-ui, sans-serif";
    context.textAlign = "left";
    context.fillText(text(panel.title), 4, 14, this.width - 8);
    context.font = "12px system-ui, sans-serif";
    this.legend(panel);
    this.y = scale(panel.y_range, log[1], box.bottom, box.top);
    if (panel.x_range) this.x = scale(panel.x_range, log[0], box.left, box.right);
    context.fillStyle = this.ink;
    if (panel.picture) this.picture(panel);
    context.strokeStyle = this.faint;
    context.lineWidth = 1;
    if (panel.axes === false) { this.below(panel); return; }
    context.textAlign = "right";
    const clear = panel.picture ? "rgba(0,0,0,0)" : this.faint;
    const words = value => (log[1] && (value < 0.01 || value > 9999) ? value.toExponential(0).replace("e+", "e") : number(value));
    for (const value of ticks(...panel.y_range, log[1], 5)) {
      context.strokeStyle = clear;
      this.stroke([[box.left, this.y(value)], [box.right, this.y(value)]]);
      context.fillText(words(value), box.left - 5, this.y(value) + 4, 40);
    }
    context.textAlign = "center";
    if (panel.x_range) for (const value of ticks(...panel.x_range, log[0], this.width < 330 ? 4 : 6)) {
      context.strokeStyle = clear;
      this.stroke([[this.x(value), box.top], [this.x(value), box.bottom]]);
      const half = context.measureText(number(value)).width / 2;  // the last one must not be cut off
      context.fillText(number(value), Math.min(this.x(value), this.width - half - 1), box.bottom + 15);
    }
    this.below(panel);
    context.textAlign = "right";
    if (panel.y) context.fillText(text(panel.y), this.width - 4, 14, this.width * 0.42);
  }

  below(panel) {
    const {context, box} = this;
    context.textAlign = "center";
    if (panel.x) context.fillText(text(panel.x), (box.left + box.right) / 2, this.height - 8, box.right - box.left);
  }

  stroke(points) {
    const {context} = this;
    context.beginPath();
    let open = false;
    for (const [x, y] of points) {
      if (!Number.isFinite(x) || !Number.isFinite(y)) { open = false; continue; }
      const near = Math.max(-1e5, Math.min(1e5, y));
      if (open) context.lineTo(x, near); else context.moveTo(x, near);
      open = true;
    }
    context.stroke();
  }

  picture(panel) {
    const {values, shape: [rows, columns]} = at(panel.picture, this.places), {box, context} = this;
    const image = new ImageData(columns, rows);
    const paper = panel.colors === "gray" ? null : this.paper;
    for (let row = 0; row < rows; row += 1) for (let column = 0; column < columns; column += 1) {
      const value = values[row * columns + column];
      const rgb = panel.colors === "classes" ? mix(this.colors[value % 8], 0.32, paper)
        : panel.colors === "gray" ? [value, value, value]
          : mix(this.dark ? "#3a6ea5" : "#7fb2dd", value / 255, this.dark ? "#14171c" : "#ffffff");
      image.data.set([...rgb, 255], 4 * ((rows - 1 - row) * columns + column));
    }
    const small = document.createElement("canvas");
    small.width = columns; small.height = rows;
    small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, box.left, box.top, box.right - box.left, box.bottom - box.top);
  }

  plot(panel) {
    this.frame(panel);
    const {context, box} = this;
    context.save();
    context.beginPath();
    context.rect(box.left - 1, box.top - 1, box.right - box.left + 2, box.bottom - box.top + 2);
    context.clip();
    for (const series of panel.series) this.series(series);
    context.restore();
  }

  series(series) {
    const {context, colors} = this;
    const xs = at(series.x, this.places).values, ys = at(series.y, this.places).values;
    const labels = series.labels ? at(series.labels, this.places).values : null;
    let points = Array.from(xs, (x, i) => [this.x(x), this.y(ys[i])]);
    if (series.upto !== null) points = points.slice(0, this.places[series.upto] + 1);
    const color = colors[series.color % 8];
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = 2;
    if (series.kind === "arrow") { this.arrow(points[0], points[1]); return; }
    if (["line", "dashed", "path"].includes(series.kind)) {
      context.setLineDash(series.kind === "dashed" ? [6, 4] : []);
      context.lineWidth = series.kind === "path" ? 1.3 : 2;
      this.stroke(points);
      context.setLineDash([]);
    }
    if (series.kind === "cross") {
      for (const [x, y] of points) {
        this.stroke([[x - 6, y - 6], [x + 6, y + 6]]);
        this.stroke([[x - 6, y + 6], [x + 6, y - 6]]);
      }
    }
    if (series.kind !== "points" && series.kind !== "path") return;
    const radius = points.length > 150 ? 2.2 : points.length > 40 ? 3 : 4.5;
    points.forEach(([x, y], i) => {
      if (!Number.isFinite(x) || !Number.isFinite(y)) return;
      const last = series.kind === "path" && i === points.length - 1;
      context.fillStyle = labels ? colors[labels[i] % 8] : color;
      context.strokeStyle = this.paper;
      context.lineWidth = 1;
      context.beginPath();
      context.arc(x, y, last ? 6 : radius, 0, 7);
      context.fill();
      context.stroke();
    });
  }

  arrow(from, to) {
    const {context} = this, angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
    if (Math.hypot(to[0] - from[0], to[1] - from[1]) < 2) return;
    context.lineWidth = 3;
    this.stroke([from, to]);
    context.beginPath();
    context.moveTo(...to);
    for (const turn of [2.6, -2.6]) context.lineTo(to[0] + 11 * Math.cos(angle + turn), to[1] + 11 * Math.sin(angle + turn));
    context.fill();
  }

  // the names of the series, in rows below the title; the plot begins below them
  legend(panel) {
    const {context, box} = this, series = (panel.series || []).filter(one => text(one.name));
    if (series.length < 2 && !series.some(one => one.kind !== "line")) return;
    let x = box.left, y = 32;
    for (const one of series) {
      const name = text(one.name), wide = context.measureText(name).width + 38;
      if (x + wide > this.width && x > box.left) { x = box.left; y += 16; }
      context.fillStyle = context.strokeStyle = this.colors[one.color % 8];
      context.lineWidth = 2.5;
      context.setLineDash(one.kind === "dashed" ? [5, 3] : []);
      if (one.kind === "points") { context.beginPath(); context.arc(x + 8, y - 4, 4, 0, 7); context.fill(); }
      else if (one.kind === "arrow") this.arrow([x, y - 4], [x + 17, y - 4]);
      else this.stroke([[x, y - 4], [x + 17, y - 4]]);
      context.setLineDash([]);
      context.fillStyle = this.ink;
      context.fillText(name, x + 22, y);
      x += wide;
    }
    box.top = y + 12;
  }

  bars(panel) {
    this.frame(panel);
    const {context, box} = this, count = panel.names.length, step = (box.right - box.left) / count;
    context.textAlign = "center";
    const zero = this.y(Math.max(panel.y_range[0], Math.min(0, panel.y_range[1])));
    panel.names.forEach((name, i) => {
      const value = sum(panel.values, this.places, i), center = box.left + step * (i + 0.5);
      const end = Math.max(box.top, Math.min(box.bottom, this.y(value)));
      context.fillStyle = this.colors[i % 6];
      context.fillRect(center - step * 0.32, Math.min(zero, end), step * 0.64, Math.max(1, Math.abs(end - zero)));
      context.fillStyle = this.ink;
      const above = value >= 0 ? Math.max(box.top + 11, Math.min(zero, end) - 4) : Math.min(box.bottom - 3, end + 13);
      if (step > 38) context.fillText(number(value), center, above, step);
      context.fillText(text(name), center, box.bottom + 15, step - 2);
    });
    context.strokeStyle = this.ink;
    context.lineWidth = 1;
    this.stroke([[box.left, zero], [box.right, zero]]);
  }
}

async function build(figure) {
  const live = JSON.parse(figure.querySelector("script").textContent), waiting = [];
  everyArray(live, array => waiting.push(unpack(array)));
  await Promise.all(waiting);
  const inputs = [...figure.querySelectorAll("[data-control]")], canvases = [...figure.querySelectorAll("canvas")];
  const show = () => {
    const places = inputs.map(input => Number(input.value));
    inputs.forEach((input, i) => {
      const shown = live.controls[i].values[places[i]];
      const value = typeof shown === "number" ? number(shown) : text(shown);
      if (input.type === "range") {
        input.setAttribute("aria-valuetext", value);
        input.parentElement.querySelector("output").textContent = value;
      }
    });
    const numbers = live.readouts.map(one => text(one.label) + " " + number(sum(one.values, places, 0)) + one.unit);
    figure.querySelectorAll("dd").forEach((element, i) => {
      element.textContent = number(sum(live.readouts[i].values, places, 0)) + live.readouts[i].unit;
    });
    canvases.forEach((element, i) => {
      const panel = live.panels[i];
      if (!element.clientWidth) return;
      const canvas = new Canvas(panel, places, element);
      if (panel.bars) canvas.bars(panel); else canvas.plot(panel);
      element.setAttribute("aria-label", [text(panel.title), ...numbers].join("; "));
    });
  };
  inputs.forEach(input => input.addEventListener("input", show));
  new ResizeObserver(show).observe(figure);
  redraws.push(show);
  const play = figure.querySelector("button.play");
  if (play) {
    let timer = 0;
    const first = inputs[Number(play.dataset.plays)], last = Number(first.max);
    const stop = () => { clearInterval(timer); timer = 0; play.setAttribute("aria-pressed", "false"); };
    play.addEventListener("click", () => {
      if (timer) { stop(); return; }
      if (Number(first.value) >= last) first.value = 0;
      play.setAttribute("aria-pressed", "true");
      timer = setInterval(() => {
        first.value = Number(first.value) + 1;
        show();
        if (Number(first.value) >= last) stop();
      }, 160);
    });
  }
  show();
  figure.dataset.ready = "true";
}

const narrow = matchMedia("(max-width: 60rem)");
const fold = () => { document.querySelector(".contents details").open = !narrow.matches; };
narrow.addEventListener("change", fold);
fold();
for (const figure of document.querySelectorAll("figure.live")) {
  new IntersectionObserver((entries, observer) => {
    if (!entries.some(entry => entry.isIntersecting)) return;
    observer.disconnect();
    build(figure);
  }, {rootMargin: "600px"}).observe(figure);
}

// ---------------------------------------------------------------- start

for (const button of document.querySelectorAll("[data-language]"))
  button.addEventListener("click", () => setLanguage(button.dataset.language));
document.getElementById("theme").addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
const box = document.getElementById("search");
box.addEventListener("input", () => search(box.value));
box.addEventListener("keydown", event => {
  if (event.key === "Escape") { box.value = ""; search(""); }
  if (event.key === "Enter") document.querySelector("#found a")?.click();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("beforeprint", () => { document.querySelectorAll(".answer").forEach(answer => { answer.hidden = false; }); });
const theme = new URLSearchParams(location.search).get("theme") || stored.get("theme");
if (theme) root.dataset.theme = theme;
setLanguage(new URLSearchParams(location.search).get("lang") || stored.get("language")
  || ((navigator.language || "").startsWith("zh") ? "zh" : "en"));
