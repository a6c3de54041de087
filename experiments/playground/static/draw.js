"use strict";
// Pictures: the plane, the points, the network, the curves, the cards.

const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark";  // a page without dark colors has none
const paper = () => isDark() ? [27, 30, 35] : [255, 255, 255];
const ink = () => isDark() ? "#e8e8e8" : "#222222";
const rgb = color => [1, 3, 5].map(i => parseInt(color.slice(i, i + 2), 16));
const mixed = (color, fraction) => rgb(color).map((part, i) => paper()[i] + (part - paper()[i]) * fraction);
const css = parts => `rgb(${parts.map(Math.round).join(",")})`;
const signed = value => mixed(CONTENT.classes[value < 0 ? 0 : 1], Math.min(Math.abs(value) || 0, 1));

const LEVELS = 51;
const palettes = new Map();

/** The colors of values from -1 to 1 or of classes with how sure the network is, as pixels. */
function paletteOf(kind, discrete) {
  const name = `${kind} ${discrete} ${isDark()}`;
  if (!palettes.has(name)) {
    const colors = kind === "signed"
      ? many(255, i => discrete ? mixed(CONTENT.classes[i < 127 ? 0 : 1], 0.5) : signed(i / 127 - 1))
      : many(CONTENT.classes.length * LEVELS, i => mixed(CONTENT.classes[Math.floor(i / LEVELS)],
        discrete ? 0.5 : 0.12 + 0.68 * (i % LEVELS) / (LEVELS - 1)));
    palettes.set(name, Uint32Array.from(colors, ([r, g, b]) => (255 << 24 | b << 16 | g << 8 | r) >>> 0));
  }
  return palettes.get(name);
}

const signedIndex = value => Math.round(127 + 127 * clip(value || 0, -1, 1));

/** The color index of a pixel by its scores. */
function colorOf(scores, at, n, loss) {
  if (loss === "value") return signedIndex(scores[at]);
  const best = winner(scores, at, n);
  let sure;
  if (loss === "softmax") {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += Math.exp(scores[at + j] - scores[at + best]);
    sure = (1 / sum - 1 / n) / (1 - 1 / n);
  } else sure = leadOf(scores, at, n);
  return best * LEVELS + Math.floor(clip((sure || 0) * LEVELS, 0, LEVELS - 1));
}

/** The regions of a network by the scores of `size` x `size` pixels. */
function regionsPicture(scores, n, size, loss, discrete = false) {
  return paint(size, i => colorOf(scores, i * n, n, loss), paletteOf(loss === "value" ? "signed" : "classes", discrete));
}

/** How far the highest score leads. */
function leadOf(scores, at, n) {
  const best = winner(scores, at, n);
  let next = -Infinity;
  for (let j = 0; j < n; j++) if (j !== best) next = Math.max(next, scores[at + j]);
  return scores[at + best] - next;
}

/** A canvas of `size` x `size` pixels, each of a color of the palette. */
function paint(size, indexAt, palette) {
  const small = Object.assign(document.createElement("canvas"), {width: size, height: size});
  const context = small.getContext("2d"), image = context.createImageData(size, size), pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < size * size; i++) pixels[i] = palette[indexAt(i)];
  context.putImageData(image, 0, 0);
  return small;
}

/** A canvas with one unit per CSS pixel. */
function prepare(canvas) {
  const {clientWidth: width, clientHeight: height} = canvas, scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale))
    [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return {context, width, height};
}

function drawPlane(canvas, session, outputs, {discrete, tests, selected, enlarged}) {
  const {context, width} = prepare(canvas), size = Math.sqrt(outputs[0].length / session.network.sizes[0]);
  const scores = outputs.at(-1), n = session.network.sizes.at(-1);
  context.imageSmoothingEnabled = !discrete || Boolean(enlarged);
  const picture = enlarged ? neuronPicture(outputs[enlarged[0]], session.network.sizes[enlarged[0]], enlarged[1], size, size)
    : regionsPicture(scores, n, size, session.loss, discrete);
  context.drawImage(picture, 0, 0, width, width);
  if (session.loss === "svm" && !enlarged) {
    context.strokeStyle = ink();
    context.setLineDash([5, 4]);
    contour(context, size, width / size, i => leadOf(scores, i * n, n) - 1);
    context.setLineDash([]);
  }
  drawPoints2d(context, session, width, tests, selected);
}

/** Where the values change their sign, between the middles of the pixels. */
function contour(context, size, scale, valueAt) {
  const values = Array.from({length: size * size}, (_, i) => valueAt(i));
  context.beginPath();
  for (let y = 0; y < size - 1; y++) for (let x = 0; x < size - 1; x++) {
    const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]], found = [];
    corners.forEach(([ax, ay], i) => {
      const [bx, by] = corners[(i + 1) % 4], a = values[ay * size + ax], b = values[by * size + bx];
      if (a > 0 === b > 0) return;
      const t = a / (a - b);
      found.push([(ax + t * (bx - ax) + 0.5) * scale, (ay + t * (by - ay) + 0.5) * scale]);
    });
    for (let i = 0; i + 1 < found.length; i += 2) {
      context.moveTo(...found[i]);
      context.lineTo(...found[i + 1]);
    }
  }
  context.stroke();
}

const onScreen = ([x, y], width) => [(x + EXTENT) / (2 * EXTENT) * width, (EXTENT - y) / (2 * EXTENT) * width];

function drawPoints2d(context, session, width, tests, selected = -1, radius = 4) {
  session.points.places.forEach((place, i) => {
    const train = session.points.train[i], target = session.points.targets[i];
    if (!train && !tests) return;
    const dot = (r, color) => {
      context.beginPath();
      context.arc(...onScreen(place, width), r, 0, 2 * Math.PI);
      context.fillStyle = color;
      context.fill();
    };
    dot(i === selected ? radius + 4 : radius + 1, isDark() && radius > 2 ? "#000000" : "#222222");
    dot(i === selected ? radius + 2 : radius, session.values ? css(signed(target)) : CONTENT.classes[target]);
    if (!train) dot(radius / 2.5, "#ffffff");
  });
}

/** The picture of a neuron: the sign and the size of its output, relative to the largest. */
function neuronPicture(outputs, n, neuron, from, size) {
  let most = 1e-30;
  for (let i = neuron; i < outputs.length; i += n) most = Math.max(most, Math.abs(outputs[i]) || 0);
  const at = i => Math.floor((i + 0.5) * from / size);
  const value = i => outputs[(at(Math.floor(i / size)) * from + at(i % size)) * n + neuron];
  return paint(size, i => signedIndex(value(i) / most), paletteOf("signed", false));
}

/** The place of each neuron in the diagram: [x, y, side]. */
function layoutOf(sizes, width, height) {
  const pitch = Math.min(height / Math.max(...sizes), 58), side = Math.min(0.76 * pitch, 0.5 * width / sizes.length);
  return sizes.map((n, layer) => Array.from({length: n}, (_, i) => [
    (layer + 0.5) * width / sizes.length, height / 2 + pitch * (i - (n - 1) / 2), side]));
}

function drawNet(canvas, session, outputs, pinned) {
  const {context, width, height} = prepare(canvas), {sizes, params} = session.network;
  const places = layoutOf(sizes, width, height), from = Math.sqrt(outputs[0].length / sizes[0]);
  params.forEach(({w}, layer) => w.forEach((value, i) => {
    const [x0, y0, side] = places[layer][i % sizes[layer]], [x1, y1] = places[layer + 1][Math.floor(i / sizes[layer])];
    context.strokeStyle = css(mixed(CONTENT.classes[value < 0 ? 0 : 1], 0.25 + 0.75 * Math.min(Math.abs(value) / 2, 1)));
    context.lineWidth = 0.5 + 4.5 * Math.min(Math.abs(value) / 2 || 0, 1);
    context.beginPath();
    context.moveTo(x0 + side / 2, y0);
    context.lineTo(x1 - side / 2, y1);
    context.stroke();
  }));
  context.font = "11px system-ui";
  [context.textAlign, context.textBaseline] = ["center", "middle"];
  places.forEach((column, layer) => column.forEach(([x, y, side], neuron) => {
    context.drawImage(neuronPicture(outputs[layer], sizes[layer], neuron, from, 24), x - side / 2, y - side / 2, side, side);
    const last = layer === sizes.length - 1 && !session.values, chosen = pinned && pinned[0] === layer && pinned[1] === neuron;
    context.strokeStyle = chosen ? ink() : last ? CONTENT.classes[neuron] : "#888888";
    context.lineWidth = chosen ? 4 : 2;
    context.strokeRect(x - side / 2, y - side / 2, side, side);
    if (layer > 0) return;
    const name = session.settings.features[neuron], wide = context.measureText(name).width + 4;
    context.fillStyle = css(paper());
    context.fillRect(x - wide / 2, y - 7, wide, 14);
    context.fillStyle = ink();
    context.fillText(name, x, y);
  }));
  return places;
}

const short = value => Math.abs(value) >= 1000 ? `${+(value / 1000).toPrecision(3)}k` : String(+value.toPrecision(2));

/** Curves of training (solid) and test (dashed) against steps; `log`: on a logarithmic axis. */
function drawCurves(canvas, history, name, log) {
  const {context, width, height} = prepare(canvas), [left, top, bottom] = [42, 8, 20];
  const value = pair => pair.map(one => log ? Math.log10(Math.max(one, 1e-6)) : one);
  const rows = history.map(one => [one.step, ...value(one[name])]);
  const drawn = rows.flatMap(([, ...pair]) => pair).filter(Number.isFinite);
  if (rows.length < 2 || !drawn.length) return;
  const [low, high] = log ? [Math.min(...drawn), Math.max(...drawn, Math.min(...drawn) + 0.05)] : [0, 1.03], last = rows.at(-1)[0];
  const x = step => left + (step - rows[0][0]) / (last - rows[0][0]) * (width - left - 10);
  const y = one => top + (high - one) / (high - low) * (height - top - bottom);
  context.font = "11px system-ui";
  context.fillStyle = ink();
  context.strokeStyle = isDark() ? "#3b4048" : "#dddddd";
  const ticks = log ? [0, 1, 2, 3].map(i => low + (high - low) * i / 3) : [0, 0.5, 1];
  const labels = ticks.map(tick => short(log ? 10 ** tick : tick));
  [context.textAlign, context.textBaseline] = ["right", "middle"];
  ticks.forEach((tick, i) => {
    context.strokeRect(left, y(tick), width - left - 10, 0);
    if (labels.indexOf(labels[i]) === i) context.fillText(labels[i], left - 4, y(tick));
  });
  context.textBaseline = "top";
  [[rows[0][0], "left"], [last, "right"]].forEach(([step, align]) => {
    context.textAlign = align;
    context.fillText(short(step), x(step), height - bottom + 5);
  });
  context.strokeStyle = ink();
  context.lineWidth = 2;
  for (const which of [1, 2]) {
    context.setLineDash(which === 1 ? [] : [5, 4]);
    context.beginPath();
    for (const row of rows) if (Number.isFinite(row[which])) context.lineTo(x(row[0]), y(row[which]));
    context.stroke();
  }
  context.setLineDash([]);
}

/** Draws the card of each preset: its points, and the plane as its networks see it after 400 steps. */
async function drawCards(canvases, presets) {
  const sessions = presets.map(preset => new Session({settings: {...CONTENT.defaults, ...preset.given}}));
  for (const steps of [0, 400]) for (const [i, one] of sessions.entries()) {
    for (let done = 0; done < steps; done += 10) {  // a little at a time: the page stays quick
      await new Promise(ready => setTimeout(ready, 15));
      one.train(10);
    }
    drawCard(canvases[i], one);
  }
}

function drawCard(canvas, session) {
  const size = 26, side = 104, n = session.networks.length, across = n === 1 ? 1 : n > 9 ? 4 : 3;
  [canvas.width, canvas.height] = [side, side];
  const context = canvas.getContext("2d");
  session.networks.slice(0, across * across).forEach((network, i) => {
    const picture = regionsPicture(session.plane(network, size).at(-1), network.sizes.at(-1), size, session.loss);
    const [x, y] = [i % across, Math.floor(i / across)].map(at => at * side / across);
    context.drawImage(picture, x, y, side / across - (n > 1), side / across - (n > 1));
  });
  if (n === 1) drawPoints2d(context, session, side, false, -1, 1.6);
}
