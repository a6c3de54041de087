"use strict";
// A fully connected network on points of the plane: scores, loss, gradient, optimizers.

const FEATURES = {
  "x1": (x, y) => x, "x2": (x, y) => y, "x1^2": x => x * x, "x2^2": (x, y) => y * y, "x1*x2": (x, y) => x * y,
  "sin(x1)": x => Math.sin(x), "sin(x2)": (x, y) => Math.sin(y),
};
const sigmoid = x => 1 / (1 + Math.exp(-x));
const GELU = Math.sqrt(2 / Math.PI);

/** Each activation and its derivative, of the weighted sum x and the output y. */
const ACTIVATIONS = {
  sigmoid: [sigmoid, (x, y) => y * (1 - y)],
  tanh: [Math.tanh, (x, y) => 1 - y * y],
  relu: [x => Math.max(x, 0), x => x > 0 ? 1 : 0],
  leaky_relu: [x => x >= 0 ? x : 0.01 * x, x => x >= 0 ? 1 : 0.01],
  gelu: [x => 0.5 * x * (1 + Math.tanh(GELU * (x + 0.044715 * x ** 3))), x => {
    const t = Math.tanh(GELU * (x + 0.044715 * x ** 3));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU * (1 + 3 * 0.044715 * x * x);
  }],
  linear: [x => x, () => 1],
};

/** Each loss of the scores at `at` ... `at + n`: the loss; it writes the gradient to `out`. */
const LOSSES = {
  softmax(scores, at, n, target, out) {
    let most = -Infinity, sum = 0;
    for (let j = 0; j < n; j++) most = Math.max(most, scores[at + j]);
    for (let j = 0; j < n; j++) sum += out[at + j] = Math.exp(scores[at + j] - most);
    for (let j = 0; j < n; j++) out[at + j] /= sum;
    out[at + target] -= 1;
    return Math.log(sum) - (scores[at + target] - most);
  },
  svm(scores, at, n, target, out) {
    let loss = 0;
    out[at + target] = 0;
    for (let j = 0; j < n; j++) {
      const margin = scores[at + j] - scores[at + target] + 1;
      if (j === target) continue;
      out[at + j] = margin > 0 ? 1 : 0;
      if (!(margin > 0)) continue;
      loss += margin;
      out[at + target] -= 1;
    }
    return loss;
  },
  squared(scores, at, n, target, out) {
    let loss = 0;
    for (let j = 0; j < n; j++) {
      const off = scores[at + j] - (j === target ? 1 : 0);
      loss += off * off;
      out[at + j] = 2 * off;
    }
    return loss;
  },
  value(scores, at, n, target, out) {
    const off = scores[at] - target;
    out[at] = 2 * off;
    return off * off;
  },
};

/** Each optimizer: (gradient, its memory at i, settings, step from 1) -> what is added to the parameter. */
const OPTIMIZERS = {
  sgd: (g, m, v, i, s) => -s.learning_rate * (m[i] = g + s.momentum * m[i]),
  nesterov: (g, m, v, i, s) => -s.learning_rate * (g + s.momentum * (m[i] = g + s.momentum * m[i])),
  adam(g, m, v, i, s, step) {
    m[i] = 0.9 * m[i] + 0.1 * g;
    v[i] = 0.999 * v[i] + 0.001 * g * g;
    return -s.learning_rate * (m[i] / (1 - 0.9 ** step)) / (Math.sqrt(v[i] / (1 - 0.999 ** step)) + 1e-8);
  },
  rmsprop: (g, m, v, i, s) => -s.learning_rate * g / Math.sqrt((v[i] = 0.9 * v[i] + 0.1 * g * g) + 1e-8),
  adagrad: (g, m, v, i, s) => -s.learning_rate * g / Math.sqrt((v[i] += g * g) + 1e-7),
};

const pairs = sizes => sizes.slice(1).map((out, i) => [sizes[i], out]);

/** The first weights, as `models.mlp` draws them; `full` are the sizes of the widest of several networks. */
function drawWeights(key, init, sizes, full = sizes) {
  return pairs(full).map(([fullIn, fullOut], layer) => {
    const [into, out] = [sizes[layer], sizes[layer + 1]], w = new Float32Array(into * out);
    if (init !== "zeros") {
      const drawn = normalOf(foldIn(key, layer), fullIn * fullOut);
      const scale = Math.fround({normal: 0.01, xavier: Math.sqrt(2 / (into + out)), he: Math.sqrt(2 / into)}[init]);
      for (let j = 0; j < out; j++) for (let k = 0; k < into; k++) w[j * into + k] = drawn[j * fullIn + k] * scale;
    }
    return {w, b: new Float32Array(out)};
  });
}

class Network {
  /** `full`: the sizes that dropout masks are drawn for. */
  constructor(sizes, params, full = sizes) {
    Object.assign(this, {sizes, params, full});
    this.resetOptimizer("sgd");
  }

  resetOptimizer(name) {
    const start = name === "adagrad" ? 0.1 : 0;
    const memory = value => this.params.map(
      ({w, b}) => ({w: new Float32Array(w.length).fill(value), b: new Float32Array(b.length).fill(value)}));
    [this.first, this.second, this.count] = [memory(0), memory(start), 0];
  }

  /** The outputs of all layers, features first, for x[n * features]; `sums` get the weighted sums, if given. */
  outputs(x, n, activation, {dropout = 0, key = null, sums = null} = {}) {
    const all = [x], act = ACTIVATIONS[activation][0], last = this.params.length - 1;
    for (const [layer, {w, b}] of this.params.entries()) {
      const into = this.sizes[layer], out = this.sizes[layer + 1], before = all[layer];
      const y = new Float64Array(n * out), sum = sums && layer < last ? sums[layer] = new Float64Array(n * out) : null;
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < out; j++) {
          let total = b[j];
          for (let k = 0; k < into; k++) total += w[j * into + k] * before[i * into + k];
          if (sum) sum[i * out + j] = total;
          y[i * out + j] = layer < last ? act(total) : total;
        }
      }
      all.push(y);
      if (layer < last && dropout > 0 && key) this.drop(y, n, layer + 1, dropout, key, sum);
    }
    return all;
  }

  /** Drops values of a hidden layer; a dropped one has the weighted sum NaN. */
  drop(y, n, layer, rate, key, sums) {
    const out = this.sizes[layer], bits = hashBits(foldIn(key, layer), this.full[layer]);
    const threshold = clip(Math.round(Math.fround(rate) * 2 ** 24), 0, 2 ** 24 - 1);
    const scale = 1 / (1 - threshold / 2 ** 24);
    for (let i = 0; i < n; i++) for (let j = 0; j < out; j++) {
      const keep = bits(i, j) >>> 8 >= threshold;
      y[i * out + j] = keep ? y[i * out + j] * scale : 0;
      if (!keep) sums[i * out + j] = NaN;
    }
    this.scale = scale;
  }

  /** Gradient of mean loss and penalty, and the losses of the examples. */
  gradient(x, targets, settings, loss, key = null) {
    const n = targets.length, sums = [], last = this.params.length - 1, drops = settings.dropout > 0 && key;
    const all = this.outputs(x, n, settings.activation, {dropout: settings.dropout, key, sums});
    const classes = this.sizes.at(-1), scores = all.at(-1), losses = new Float64Array(n);
    let delta = new Float64Array(n * classes);
    for (let i = 0; i < n; i++) losses[i] = LOSSES[loss](scores, i * classes, classes, targets[i], delta);
    delta = delta.map(value => value / n);
    const gradient = [], slope = ACTIVATIONS[settings.activation][1];
    for (let layer = last; layer >= 0; layer--) {
      const {w} = this.params[layer], into = this.sizes[layer], out = this.sizes[layer + 1], before = all[layer];
      const dw = new Float64Array(w.length), db = new Float64Array(out), next = new Float64Array(n * into);
      for (let i = 0; i < n; i++) for (let j = 0; j < out; j++) {
        const d = delta[i * out + j];
        if (d === 0) continue;
        db[j] += d;
        for (let k = 0; k < into; k++) {
          dw[j * into + k] += d * before[i * into + k];
          next[i * into + k] += d * w[j * into + k];
        }
      }
      for (let k = 0; k < w.length; k++) dw[k] += 2 * settings.l2 * w[k] + settings.l1 * Math.sign(w[k]);
      gradient[layer] = {w: dw, b: db};
      if (layer > 0) {
        const sum = sums[layer - 1], y = all[layer], scale = drops ? this.scale : 1;
        for (let k = 0; k < next.length; k++)
          next[k] = Number.isNaN(sum[k]) && drops ? 0 : next[k] * scale * slope(sum[k], y[k] / scale);
      }
      delta = next;
    }
    return {gradient, losses, outputs: all};
  }

  /** One step of the optimizer. */
  step(x, targets, settings, loss, key) {
    const {gradient} = this.gradient(x, targets, settings, loss, key), update = OPTIMIZERS[settings.optimizer];
    this.count++;
    for (const [layer, of] of this.params.entries()) for (const name of ["w", "b"]) {
      const p = of[name], g = gradient[layer][name], m = this.first[layer][name], v = this.second[layer][name];
      for (let i = 0; i < p.length; i++) p[i] += update(g[i], m, v, i, settings, this.count);
    }
  }

  /** l1 times the absolute weights plus l2 times the squared ones. */
  penalty(settings) {
    let sum = 0;
    for (const {w} of this.params) for (const value of w) sum += settings.l2 * value * value + settings.l1 * Math.abs(value);
    return sum;
  }
}
