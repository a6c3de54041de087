"use strict";
// The state as the fragment of a link, the same as that of the live playground. As `engine/links.py`.

const VIEW = {language: "en", layer: 1, axes: "0,1,", turn: 30, tests: 1, discrete: 0};
const MAX_WEIGHT = 1000;

/** A setting of unknown origin, checked. */
function checkSetting(name, value) {
  if (!Object.hasOwn(CONTENT.defaults, name))
    throw new Error(`no setting is called '${name}'; choose from ${Object.keys(CONTENT.defaults).sort().join(", ")}`);
  if (Object.hasOwn(CONTENT.choices, name)) {
    const choices = CONTENT.choices[name];
    if (!choices.includes(value)) throw new Error(`${name} must be one of ${choices.join(", ")}; got '${value}'`);
    return value;
  }
  if (name === "features") {
    const names = Object.keys(FEATURES);
    if (value.some(one => !names.includes(one))) throw new Error(`features must be some of ${names.join(", ")}; got ${value}`);
    if (!value.length) throw new Error(`the network needs at least one input of ${names.join(", ")}`);
    return names.filter(one => value.includes(one));
  }
  if (name === "hidden") {
    if (value.length > CONTENT.most[0])
      throw new Error(`hidden must be at most ${CONTENT.most[0]} whole numbers, one for each layer; got ${value}`);
    return value.map(size => checkNumber("neurons of a hidden layer", size, [1, CONTENT.most[1]], true));
  }
  return checkNumber(name, value, CONTENT.bounds[name], CONTENT.whole.includes(name));
}

function checkNumber(name, value, [low, high], whole) {
  const number = String(value).trim() === "" ? NaN : Number(value);
  if (!(number >= low && number <= high) || whole && !Number.isInteger(number))
    throw new Error(`${name} must be ${whole ? "a whole number" : "a number"} from ${low} to ${high}; got ${value}`);
  return number;
}

/** The state of a link: {settings, points, weights, view}. */
async function fromLink(text) {
  const parts = Object.fromEntries(new URLSearchParams(text.replace(/^#/, "")));
  const {points, weights, ...rest} = parts, view = {...VIEW}, settings = {...CONTENT.defaults};
  for (const [name, value] of Object.entries(rest)) {
    if (Object.hasOwn(VIEW, name)) view[name] = viewOf(name, value);
    else settings[name] = checkSetting(
      name, ["features", "hidden"].includes(name) ? value.split(",").filter(Boolean) : value);
  }
  return {settings, view, points: points === undefined ? null : checkPoints(await readPoints(points), settings),
    weights: weights === undefined ? null : await readWeights(weights, settings)};
}

function viewOf(name, value) {
  const good = {language: /^(en|zh)$/, axes: /^\d{1,2},\d{1,2},(\d{1,2})?$/, tests: /^[01]$/, discrete: /^[01]$/};
  if (name in good ? !good[name].test(value) : !(Number(value) >= 0 && Number(value) <= {layer: 7, turn: 360}[name]))
    throw new Error(`${name} of the link cannot be '${value}'`);
  return typeof VIEW[name] === "number" ? Number(value) : value;
}

/** The link of a session and a view; defaults are omitted, and weights unless they are wanted. */
async function toLink(session, view, withWeights) {
  const parts = new URLSearchParams();
  for (const [all, defaults] of [[session.settings, CONTENT.defaults], [view, VIEW]])
    for (const [name, value] of Object.entries(all)) if (String(value) !== String(defaults[name])) parts.set(name, value);
  if (session.ownPoints) {
    const {places, targets, train} = session.points, count = places.length, bytes = new DataView(new ArrayBuffer(9 * count));
    places.flat().forEach((x, i) => bytes.setInt16(2 * i, roundEven(x / GRAIN), true));
    targets.forEach((target, i) => bytes.setFloat32(4 * count + 4 * i, target, true));
    train.forEach((one, i) => bytes.setUint8(8 * count + i, one ? 1 : 0));
    parts.set("points", await pack(bytes.buffer));
  }
  if (withWeights) {
    const flat = session.network.params.flatMap(({w, b}) => [...w, ...b]), bytes = new DataView(new ArrayBuffer(4 * flat.length));
    flat.forEach((value, i) => bytes.setFloat32(4 * i, value, true));
    parts.set("weights", await pack(bytes.buffer));
  }
  return String(parts).replaceAll("%2C", ",").replaceAll("%5E", "^").replaceAll("%28", "(").replaceAll("%29", ")");
}

async function readPoints(text) {
  const bytes = await unpack(text, 9 * CONTENT.max_points), count = bytes.byteLength / 9;
  if (!Number.isInteger(count)) throw new Error("the points of the link are damaged: their bytes are not a whole number of points");
  const rows = Array.from({length: count}, (_, i) => i);
  return {places: rows.map(i => [0, 2].map(by => bytes.getInt16(4 * i + by, true) * GRAIN)),
    targets: rows.map(i => bytes.getFloat32(4 * count + 4 * i, true)), train: rows.map(i => bytes.getUint8(8 * count + i) !== 0)};
}

async function readWeights(text, settings) {
  if (settings.many !== "one" && settings.hidden.length)
    throw new Error("weights are for one network, but the settings ask for several");
  const values = CONTENT.values.includes(settings.data);
  const shapes = pairs([settings.features.length, ...settings.hidden, values ? 1 : settings.classes]);
  const total = shapes.reduce((sum, [into, out]) => sum + out * (into + 1), 0), bytes = await unpack(text, 4 * total);
  if (bytes.byteLength !== 4 * total) throw new Error(`the weights of the link do not fit the network, which has ${total}`);
  const flat = Float32Array.from({length: total}, (_, i) => bytes.getFloat32(4 * i, true));
  if (flat.some(value => !(Math.abs(value) <= MAX_WEIGHT))) throw new Error(`weights must be finite numbers from ${-MAX_WEIGHT} to ${MAX_WEIGHT}`);
  let at = 0;
  const take = count => flat.slice(at, at += count);
  return shapes.map(([into, out]) => ({w: take(into * out), b: take(out)}));
}

async function pack(buffer) {
  const stream = new Blob([buffer]).stream().pipeThrough(new CompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** At most so many bytes, as a DataView. */
async function unpack(text, most) {
  try {
    const packed = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), letter => letter.charCodeAt(0));
    const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate")).getReader(), parts = [];
    for (let size = 0;;) {
      const {done, value} = await reader.read();
      if (done) break;
      size += value.length;
      if (size > most) throw new Error("too long");
      parts.push(value);
    }
    return new DataView(await new Blob(parts).arrayBuffer());
  } catch (error) {
    throw new Error(`the points or weights of the link are damaged (${error.message})`);
  }
}
