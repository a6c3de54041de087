"use strict";
// The state of the page: settings, points, networks in training, curves. As `engine/session.py`.

const SEEDS = 16, WIDTHS = [1, 2, 3, 6, 20], HISTORY = 400, FINE = 96;
const KEEP_WEIGHTS = ["activation", "loss", "optimizer", "batch_size"], COMPILED = ["features", "hidden", "init", "many"];
const DATA_SETTINGS = ["data", "size", "noise", "train_share", "classes", "data_seed"];

class Session {
  constructor(saved = {settings: {...CONTENT.defaults}}) { this.load(saved); }

  /** A whole state; points and weights are null for those that the settings describe. */
  load({settings, points = null, weights = null}) {
    Object.assign(this, {settings, ownPoints: points !== null, weights, playing: false, number: 0, message: ""});
    this.points = points ?? drawPoints(settings);
    this.begin();
  }

  get values() { return CONTENT.values.includes(this.settings.data); }
  get loss() { return this.values ? "value" : this.settings.loss; }
  get many() { return this.settings.hidden.length ? this.settings.many : "one"; }
  get network() { return this.networks[this.number]; }

  /** Changed settings, which are checked already. */
  change(given) {
    const before = this.settings, outputs = this.values ? 1 : before.classes, many = this.many;
    this.settings = {...before, ...given};
    const differs = names => names.some(name => String(this.settings[name]) !== String(before[name]));
    const drawn = DATA_SETTINGS.filter(name => this.settings[name] !== before[name]);
    const own = this.ownPoints && drawn.every(name => name === "classes") && !this.values;
    try {
      if (drawn.length && !own) [this.points, this.ownPoints] = [drawPoints(this.settings), false];
      else if (drawn.length) checkPoints(this.points, this.settings);
    } catch (error) {
      this.settings = before;
      throw error;
    }
    if (drawn.length && this.message === "empty") this.message = "";
    if (differs(["seed", ...COMPILED]) || outputs !== (this.values ? 1 : this.settings.classes) || many !== this.many) {
      this.weights = null;
      this.begin();
    } else if (differs(KEEP_WEIGHTS)) {
      this.networks.forEach(network => network.resetOptimizer(this.settings.optimizer));
      this.forget();
    }
  }

  edit(points) {
    this.points = checkPoints(points, this.settings);
    this.ownPoints = true;
    if (this.message === "empty") this.message = "";
  }

  reset() { this.weights = null; this.message = ""; this.begin(); }

  /** The initial networks. */
  begin() {
    const {settings} = this, key = keyOf(settings.seed), hidden = settings.hidden, outputs = this.values ? 1 : settings.classes;
    const sizes = hidden => [settings.features.length, ...hidden, outputs];
    const make = (key, used, full = used) => new Network(sizes(used), drawWeights(key, settings.init, sizes(used), sizes(full)), sizes(full));
    if (this.many === "seeds") this.networks = splitKey(key, SEEDS).map(one => make(one, hidden));
    else if (this.many === "widths") this.networks = WIDTHS.map(
      width => make(key, hidden.map(() => width), hidden.map(() => WIDTHS.at(-1))));
    else this.networks = [make(key, hidden)];
    if (this.weights) this.networks[0].params = this.weights.map(({w, b}) => ({w: w.slice(), b: b.slice()}));
    this.networks.forEach(network => network.resetOptimizer(settings.optimizer));
    this.number = Math.min(this.number, this.networks.length - 1);
    Object.assign(this, {key: foldIn(key, 1), step: 0, epoch: 0, place: 0});
    this.forget();
  }

  forget() { Object.assign(this, {history: [], every: 1, due: 0}); this.drawnEpoch = null; }

  get trainRows() { return this.points.train.flatMap((train, i) => train ? [i] : []); }
  get testRows() { return this.points.train.flatMap((train, i) => train ? [] : [i]); }
  stepsPerEpoch() { return Math.max(1, Math.floor(this.trainRows.length / this.settings.batch_size)); }

  /** Features of places, one row each. */
  featuresOf(places) {
    const functions = this.settings.features.map(name => FEATURES[name]), width = functions.length;
    const x = new Float64Array(places.length * width);
    places.forEach(([x1, x2], i) => functions.forEach((of, j) => { x[i * width + j] = Math.fround(of(x1, x2)); }));
    return x;
  }

  /** Train; returns the number of steps, 0 without points. */
  train(steps) {
    const rows = this.trainRows, {settings, loss} = this, size = settings.batch_size, perEpoch = this.stepsPerEpoch();
    if (!rows.length) return 0;
    const features = this.featuresOf(rows.map(i => this.points.places[i])), width = settings.features.length;
    const targets = rows.map(i => this.points.targets[i]), x = new Float64Array(size * width);
    for (let done = 0; done < steps; done++) {
      const drawn = `${this.epoch} ${rows.length}`;
      if (this.drawnEpoch !== drawn) {
        this.order = permutationOf(foldIn(this.key, this.epoch), CONTENT.max_points).filter(i => i < rows.length);
        this.drawnEpoch = drawn;
      }
      const batch = Array.from({length: size}, (_, i) => this.order[(this.place * size + i) % rows.length]);
      batch.forEach((row, i) => { for (let k = 0; k < width; k++) x[i * width + k] = features[row * width + k]; });
      const key = settings.dropout > 0 ? foldIn(foldIn(this.key, this.step), 2) : null;
      const wanted = batch.map(row => targets[row]);
      for (const network of this.networks) network.step(x, wanted, settings, loss, key);
      this.step++;
      if (++this.place >= perEpoch) [this.epoch, this.place] = [this.epoch + 1, 0];
    }
    return steps;
  }

  /** Mean loss and accuracy on some points. */
  measure(network, rows) {
    if (!rows.length) return [NaN, NaN];
    const targets = rows.map(i => this.points.targets[i]), n = rows.length, classes = network.sizes.at(-1);
    const scores = network.outputs(this.featuresOf(rows.map(i => this.points.places[i])), n, this.settings.activation).at(-1);
    const aside = new Float64Array(n * classes);
    let loss = 0, right = 0;
    for (let i = 0; i < n; i++) {
      loss += LOSSES[this.loss](scores, i * classes, classes, targets[i], aside);
      right += winner(scores, i * classes, classes) === targets[i] ? 1 : 0;
    }
    return [loss / n, this.values ? NaN : right / n];
  }

  /** The outputs of all layers on a square of pixels, row by row from the top. */
  plane(network, size = FINE) {
    const along = i => (i + 0.5) / size * 2 * EXTENT - EXTENT;
    const places = Array.from({length: size * size}, (_, i) => [along(i % size), -along(Math.floor(i / size))]);
    return network.outputs(this.featuresOf(places), places.length, this.settings.activation);
  }

  /** The numbers of the selected network; also adds a point to the curves. */
  look() {
    const [train, test] = [this.trainRows, this.testRows].map(rows => this.measure(this.network, rows));
    const now = {step: this.step, losses: [train[0], test[0]], accuracies: [train[1], test[1]]};
    if (this.playing && !Number.isFinite(train[0])) {
      this.playing = false;
      this.message = this.trainRows.length ? "diverged" : "empty";
    }
    if (this.history.at(-1)?.step >= this.step) this.history[this.history.length - 1] = now;
    else if (--this.due <= 0) {
      this.due = this.every;
      this.history.push(now);
      if (this.history.length >= HISTORY) [this.history, this.every] = [this.history.filter((_, i) => i % 2 === 0), this.every * 2];
    }
    return now;
  }
}

function winner(scores, at, n) {
  let best = 0;
  for (let j = 1; j < n; j++) if (scores[at + j] > scores[at + best]) best = j;
  return best;
}
