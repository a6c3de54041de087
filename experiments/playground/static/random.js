"use strict";
// Random numbers of JAX (threefry and the hashes of jaxnn) and of NumPy (PCG64), the same bits for the same seeds.

// ---------------------------------------------------------------- JAX

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];

/** Threefry-2x32 with 20 rounds (Salmon et al. 2011): two words from a key of two words. */
function threefry([k0, k1], x0, x1) {
  const keys = [k0, k1, k0 ^ k1 ^ 0x1BD11BDA];
  x0 = x0 + keys[0] >>> 0;
  x1 = x1 + keys[1] >>> 0;
  for (let i = 0; i < 5; i++) {
    for (const by of ROTATIONS[i % 2]) {
      x0 = x0 + x1 >>> 0;
      x1 = (x1 << by | x1 >>> 32 - by) ^ x0;
    }
    x0 = x0 + keys[(i + 1) % 3] >>> 0;
    x1 = x1 + keys[(i + 2) % 3] + i + 1 >>> 0;
  }
  return [x0, x1 >>> 0];
}

/** jax.random.key, fold_in, split and bits, for fewer than 2^32 numbers. */
const keyOf = seed => [0, seed];
const foldIn = (key, data) => threefry(key, 0, data);
const splitKey = (key, count) => Array.from({length: count}, (_, i) => threefry(key, 0, i));
const bitsOf = (key, count) => Array.from({length: count}, (_, i) => {
  const [high, low] = threefry(key, 0, i);
  return (high ^ low) >>> 0;
});

const ERFINV = [  // Giles 2012, as XLA computes it
  [2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
   0.246640727, 1.50140941],
  [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
   1.00167406, 2.83297682]];

function erfinv(x) {
  const w = -Math.log1p(-x * x);
  const [at, terms] = w < 5 ? [w - 2.5, ERFINV[0]] : [Math.sqrt(w) - 3, ERFINV[1]];
  return terms.reduce((sum, term) => sum * at + term, 0) * x;
}

/** jax.random.normal, f32[count]. */
function normalOf(key, count) {
  const low = Math.fround(-1 + 2 ** -24);
  return Float32Array.from(bitsOf(key, count), bits => {
    const fraction = (bits >>> 9) * 2 ** -23;
    return Math.SQRT2 * erfinv(Math.max(low, Math.fround(fraction * Math.fround(1 - low) + low)));
  });
}

/** The order of 0 ... n-1 by `jaxnn._random.permutation`, for n > 100. */
function permutationOf(key, n) {
  const rounds = 8, rows = Math.floor(Math.sqrt(n - 1)) + 1, columns = 2 * Math.ceil(n / (2 * rows));
  const words = bitsOf(key, rounds * (rows + columns));
  const send = x => {
    let row = Math.floor(x / columns), column = x % columns;
    for (let i = 0; i < rounds; i++) {
      const start = i * (rows + columns);
      row = (row + words[start + column] % rows) % rows;
      column = (column + words[start + columns + row] % columns) % columns;
    }
    return row * columns + column;
  };
  return Int32Array.from({length: n}, (_, x) => {
    do x = send(x); while (x >= n);
    return x;
  });
}

function mixWords(word, key) {
  word = Math.imul(word ^ word >>> 16, 0x85EBCA6B) ^ key;
  word = Math.imul(word ^ word >>> 13, 0xC2B2AE35);
  return (word ^ word >>> 16) >>> 0;
}

/** The function (row, column) -> bits of `jaxnn._random.hash_bits` for an array of so many columns. */
function hashBits([k0, k1], columns) {
  const first = mixWords(k0, 0x9E3779B9), second = mixWords(k1, first);
  return (row, column) => mixWords((row * columns + column ^ first) >>> 0, second);
}

// ---------------------------------------------------------------- NumPy

const BITS = {32: (1n << 32n) - 1n, 64: (1n << 64n) - 1n, 128: (1n << 128n) - 1n};
const ZIGGURAT = makeZiggurat();

/** The tables of the ziggurat of 256 layers for normal numbers (Marsaglia & Tsang 2000). */
function makeZiggurat() {
  const edge = 3.6541528853610088, area = 0.004928673233974658, scale = 2 ** 52;
  const height = x => Math.exp(-0.5 * x * x), k = new Array(256), w = new Array(256), f = new Array(256);
  const q = area / height(edge);
  [k[0], k[1], w[0], w[255], f[0], f[255]] = [edge / q * scale, 0, q / scale, edge / scale, 1, height(edge)];
  for (let i = 254, x = edge; i > 0; i--) {
    const next = Math.sqrt(-2 * Math.log(area / x + height(x)));
    [k[i + 1], f[i], w[i]] = [Math.floor(next / x * scale), height(next), next / scale];
    x = next;
  }
  return {edge, k, w, f};
}

/** numpy.random.default_rng(words): SeedSequence and PCG64 (O'Neill 2014), and the draws that the points need. */
class Generator {
  constructor(...words) {
    const [a, b, c, d] = seedWords(words);
    this.increment = (c << 64n | d) << 1n & BITS[128] | 1n;
    this.state = 0n;
    this.advance();
    this.state = this.state + (a << 64n | b) & BITS[128];
    this.advance();
    this.half = null;  // the unused upper half of a draw of 32 bits
  }

  advance() {
    this.state = this.state * 0x2360ED051FC65DA44385DF649FCCF645n + this.increment & BITS[128];
  }

  bits64() {
    this.advance();
    const word = (this.state >> 64n ^ this.state) & BITS[64], by = this.state >> 122n;
    return (word >> by | word << (64n - by)) & BITS[64];
  }

  bits32() {
    if (this.half !== null) {
      const half = this.half;
      this.half = null;
      return half;
    }
    const word = this.bits64();
    this.half = word >> 32n;
    return word & BITS[32];
  }

  double() { return Number(this.bits64() >> 11n) / 2 ** 53; }

  uniform(low, high) { return low + (high - low) * this.double(); }

  /** A whole number from 0 to `most` (Lemire 2019). */
  upTo(most) {
    if (most === 0) return 0;
    const count = BigInt(most) + 1n, threshold = (BITS[32] - BigInt(most)) % count;
    let product = this.bits32() * count;
    while ((product & BITS[32]) < threshold) product = this.bits32() * count;
    return Number(product >> 32n);
  }

  normal() {
    const {edge, k, w, f} = ZIGGURAT;
    for (;;) {
      const word = this.bits64(), layer = Number(word & 255n), size = word >> 9n & (1n << 52n) - 1n;
      const magnitude = Number(size), x = (word >> 8n & 1n ? -1 : 1) * magnitude * w[layer];
      if (magnitude < k[layer]) return x;
      if (layer > 0) {
        if ((f[layer - 1] - f[layer]) * this.double() + f[layer] < Math.exp(-0.5 * x * x)) return x;
        continue;
      }
      for (;;) {
        const far = -Math.log1p(-this.double()) / edge, other = -Math.log1p(-this.double());
        if (2 * other > far * far) return size >> 8n & 1n ? -(edge + far) : edge + far;
      }
    }
  }

  permutation(n) {
    const order = Array.from({length: n}, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const mask = BigInt(2 ** (32 - Math.clz32(i)) - 1);
      let j = i + 1;
      while (j > i) j = Number(this.bits32() & mask);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}

/** numpy.random.SeedSequence(words).generate_state(4, uint64). */
function seedWords(words) {
  let constant = 0x43b0d7e5;
  const hash = value => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return (value ^ value >>> 16) >>> 0;
  };
  const mix = (x, y) => {
    const mixed = Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715) | 0;
    return (mixed ^ mixed >>> 16) >>> 0;
  };
  const pool = [0, 1, 2, 3].map(i => hash(words[i] ?? 0));
  for (let from = 0; from < 4; from++)
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  constant = 0x8b51f9dd;
  const out = Array.from({length: 8}, (_, i) => {
    let value = pool[i % 4] ^ constant;
    constant = Math.imul(constant, 0x58f38ded);
    value = Math.imul(value, constant);
    return BigInt((value ^ value >>> 16) >>> 0);
  });
  return [0, 2, 4, 6].map(i => out[i + 1] << 32n | out[i]);
}
