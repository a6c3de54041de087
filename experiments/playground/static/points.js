"use strict";
// The points to learn: the sets of `jaxnn.data.toy` and of the playground, and points as CSV text.

const EXTENT = 6, SCALE = 5, GRAIN = 1 / 1024;

/** Rounds halves to the even neighbour, as Python and NumPy do. */
function roundEven(x) {
  const low = Math.floor(x), rest = x - low;
  return rest < 0.5 || rest === 0.5 && low % 2 === 0 ? low : low + 1;
}

const clip = (x, low, high) => Math.min(Math.max(x, low), high);
const many = (count, draw) => Array.from({length: count}, (_, i) => draw(i));

/** The sets of `jaxnn.data.toy`: places in [-1, 1]^2 in single precision, and classes. */
const TOY = {
  circle(generator, labels, noise) {
    const radius = labels.map(label => Math.sqrt(generator.uniform(...[[0, 0.5 ** 2], [0.7 ** 2, 1]][label])));
    const angle = labels.map(() => generator.uniform(0, 2 * Math.PI));
    return withNoise(generator, radius.map((r, i) => polar(r, angle[i])), noise);
  },
  moons(generator, labels, noise) {
    const places = labels.map(label => {
      const [x, y] = polar(1, generator.uniform(0, Math.PI));
      return label === 0 ? [x, y] : [1 - x, 0.5 - y];
    });
    return withNoise(generator, places.map(([x, y]) => [(x - 0.5) / 1.5, (y - 0.25) / 1.5]), noise);
  },
  xor(generator, labels, noise) {
    const first = labels.map(() => [-1, 1][generator.upTo(1)]);
    const places = labels.map((label, i) => [first[i], label === 0 ? first[i] : -first[i]].map(
      sign => sign * generator.uniform(0.05, 1)));
    return withNoise(generator, places, noise);
  },
  spiral(generator, labels, noise, classes) {
    const counts = many(classes, label => labels.filter(one => one === label).length);
    const radius = labels.map((label, i) => (Math.floor(i / classes) + 1) / counts[label]);
    return labels.map((label, i) => polar(
      radius[i], 2 * Math.PI * label / classes + 4 * radius[i] + noise * generator.normal()));
  },
  gauss(generator, labels, noise, classes) {
    return withNoise(generator, labels.map(label => polar(0.6, Math.PI / 4 + 2 * Math.PI * label / classes)), noise);
  },
};

const polar = (radius, angle) => [radius * Math.cos(angle), radius * Math.sin(angle)];
const withNoise = (generator, places, noise) => places.map(
  place => place.map(value => value + noise * generator.normal()));

/** The points that the settings describe, {places: [[x1, x2]], targets, train}; as `points.draw` in Python. */
function drawPoints(settings) {
  const {data, noise, data_seed: seed, classes} = settings, size = Math.max(settings.size, classes);
  const generator = new Generator(seed, 1), values = CONTENT.values.includes(data);
  let places, targets;
  if (data in TOY) {
    const found = data === "spiral" || data === "gauss" ? classes : 2;
    targets = many(size, i => i % found);
    const spread = data === "gauss" ? 0.1 + 0.5 * noise : noise;
    places = TOY[data](new Generator(seed), targets, spread, found);
    places = places.map(place => place.map(x => Math.fround(Math.fround(x) * SCALE)));
  } else if (data === "simple") {
    places = CONTENT.simple.map(([x, y]) => [x, y].map(value => value + SCALE * noise * generator.normal()));
    targets = CONTENT.simple.map(row => row[2]);
  } else if (data === "random") {
    places = many(size, () => [generator.uniform(-3, 3), generator.uniform(-3, 3)]);
    targets = many(size, () => generator.upTo(classes - 1));
  } else {
    places = many(size, () => [generator.uniform(-SCALE, SCALE), generator.uniform(-SCALE, SCALE)]);
    if (data === "plane") targets = places.map(([x, y]) => (x + y) / (2 * SCALE)).map(
      value => value + noise * generator.normal());
    else targets = places.map(place => place.map(x => x + SCALE * noise * generator.normal())).map(height);
  }
  const count = places.length, all = data === "simple" || data === "random";
  const trained = all ? count : Math.min(Math.max(1, roundEven(count * settings.train_share)), count);
  const train = new Array(count).fill(false);
  for (const i of generator.permutation(count).slice(0, trained)) train[i] = true;
  places = places.map(place => place.map(x => roundEven(clip(x, -EXTENT, EXTENT) / GRAIN) * GRAIN));
  return {places, targets: targets.map(t => Math.fround(values ? clip(t, -1, 1) : t)), train};
}

/** The height of the hill that is nearest in effect. */
function height([x, y]) {
  let best = 0;
  for (const [centreX, centreY, top] of CONTENT.hills) {
    const value = top * clip(1 - Math.hypot(x - centreX, y - centreY) / 2, 0, 1);
    if (Math.abs(value) > Math.abs(best)) best = value;
  }
  return best;
}

/** The points, or an error that says what is wrong with them. */
function checkPoints(points, settings) {
  const {places, targets, train} = points, values = CONTENT.values.includes(settings.data);
  if (places.length > CONTENT.max_points)
    throw new Error(`there may be at most ${CONTENT.max_points} points; got ${places.length}`);
  if (train.length && !train.some(Boolean)) throw new Error("there must be at least one training point");
  if (![...places.flat(), ...targets].every(Number.isFinite))
    throw new Error("coordinates and targets of points must be finite");
  if (places.flat().some(x => Math.abs(x) > EXTENT))
    throw new Error(`x1 and x2 must be from ${-EXTENT} to ${EXTENT}; scale the columns first`);
  const good = values ? t => Math.abs(t) <= 1 : t => Number.isInteger(t) && t >= 0 && t < settings.classes;
  const bad = targets.find(t => !good(t));
  if (bad !== undefined) throw new Error(values ? `targets of values must be from -1 to 1; got ${bad}`
    : `classes of points must be whole numbers from 0 to ${settings.classes - 1}; got ${bad}`);
  return {places: places.map(place => place.map(x => roundEven(x / GRAIN) * GRAIN)), targets, train};
}
