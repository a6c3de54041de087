"use strict";
// The page: controls, keys, points edited by hand, the loop that trains and draws.

const place = id => document.getElementById(id);
const root = document.documentElement;
const word = name => CONTENT.words[root.lang][name] ?? name;
const filled = (text, ...values) => values.reduce((text, value, i) => text.replaceAll(`{${i}}`, value), text);
const session = new Session(), view = {...VIEW};
let preset = "", selected = -1, hovered = null, pinned = null, neurons = [], newClass = 0;
let outputs = null, changed = true, allowed = 0, clock = performance.now(), frames = 0, slow = false;

const make = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const say = text => { place("message").textContent = text; };

/** Runs it; an error becomes a message, and nothing else happens. */
function attempt(act) {
  try {
    say("");
    act();
  } catch (error) {
    say(error.message);
  }
  changed = true;
}

// ---------------------------------------------------------------- controls

const button = (name, act, more = {}) => make(
  "button", {type: "button", textContent: word(name), title: CONTENT.tips[root.lang][name] ?? "", onclick: act, ...more});

function change(given) {
  attempt(() => {
    const checked = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, checkSetting(name, value)]));
    session.change(checked);
    selected = -1;
  });
  fill();
}

function field(name) {
  const value = session.settings[name], title = CONTENT.tips[root.lang][name], done = event => change({[name]: event.target.value});
  const control = name in CONTENT.choices
    ? make("select", {title, onchange: done}, ...CONTENT.choices[name].map(
      one => make("option", {value: one, textContent: word(one), selected: one === value})))
    : make("input", {title, type: "number", step: "any", value, onchange: done});
  control.disabled = name === "loss" && session.values
    || name === "momentum" && !["sgd", "nesterov"].includes(session.settings.optimizer);
  control.dataset.name = name;
  return make("label", {title}, make("span", {textContent: word(name)}), control);
}

/** All controls, as the settings, the language and the state are now; the focus stays where it was. */
function fill() {
  const focus = document.activeElement?.dataset.name, {settings} = session;
  const fields = names => names.map(field);
  place("data-fields").replaceChildren(...fields(["data", "size", "noise", "train_share", "classes", "data_seed"]));
  place("training-fields").replaceChildren(...fields(
    ["loss", "optimizer", "learning_rate", "momentum", "batch_size", "l1", "l2", "dropout", "seed"]));
  place("network-fields").replaceChildren(...fields(["activation", "init", "many"]));
  const toggle = (name, on, text, act, title) => make("button", {type: "button", textContent: text, onclick: act, title,
    ariaPressed: String(on)}, );
  const tips = CONTENT.tips[root.lang];
  place("features").ariaLabel = word("features");
  place("features").replaceChildren(...Object.keys(FEATURES).map(name => named(`feature ${name}`, toggle(
    name, settings.features.includes(name), name, () => change({features: settings.features.includes(name)
      ? settings.features.filter(one => one !== name) : [...settings.features, name]}), tips.features))));
  const labels = session.values ? ["−1", "+1"] : Array.from({length: settings.classes}, (_, i) => String(i));
  newClass = Math.min(newClass, labels.length - 1);
  place("new-class").ariaLabel = word("new_class");
  place("new-class").replaceChildren(word("new_class"), ...labels.map((text, i) => named(`class ${i}`, toggle(
    text, i === newClass, text, () => { newClass = i; fill(); }, tips.new_class))));
  place("edit").replaceChildren(
    named("regenerate", button("regenerate", () => change({data_seed: (settings.data_seed + 1) % 10000}))),
    named("delete", button("delete", removeSelected)), named("clear", button("clear", () => attempt(() => {
      session.edit({places: [], targets: [], train: []});
      selected = -1;
    }))));
  const speeds = [1, 10, 100, 1000, 4000, 10000, 1000000];
  const nearest = speeds.reduce((a, b) => Math.abs(b - settings.speed) < Math.abs(a - settings.speed) ? b : a);
  place("play").replaceChildren(
    named("play", button(session.playing ? "pause" : "play", () => press(" "), {className: "main", title: tips.play})),
    named("step", button("step", () => press("s"))), named("epoch", button("epoch", () => press("e"))),
    named("reset", button("reset", () => press("r"))),
    make("label", {title: tips.speed}, word("speed") + " ", named("speed", make("select", {title: tips.speed, onchange: event => {
      session.settings.speed = Number(event.target.value);
    }}, ...speeds.map(speed => make("option", {value: speed, selected: speed === nearest,
      textContent: speed === speeds.at(-1) ? "max" : speed.toLocaleString("en")}))))),
    named("link", button("link", () => copyLink(false))), named("link_weights", button("link_weights", () => copyLink(true))),
    named("language", button("language", () => {
      root.lang = view.language = root.lang === "en" ? "zh" : "en";
      fill();
      changed = true;
    }, {lang: root.lang === "en" ? "zh" : "en", style: "display: inline-block"})));
  place("switches").replaceChildren(...["tests", "discrete"].map(name => make("label", {title: tips.view}, named(name, make(
    "input", {type: "checkbox", checked: view[name] === 1, style: "min-height: 0", onchange: event => {
      view[name] = Number(event.target.checked);
      changed = true;
    }})), " " + word(name))));
  fillLayers();
  fillCards();
  place("many").hidden = session.networks.length === 1;
  place("accuracy").hidden = session.values;
  place("hint").textContent = preset ? CONTENT.presets[preset].hint[root.lang] : "";
  for (const [id, name] of [["plane", "regions_alt"], ["net", "net_alt"], ["loss", "losses_alt"], ["accuracy", "accuracy_alt"]])
    place(id).ariaLabel = word(name);
  if (focus) document.querySelector(`[data-name="${CSS.escape(focus)}"]`)?.focus();
}

const named = (name, element) => {
  element.dataset.name = name;
  return element;
};

function fillLayers() {
  const {hidden, features} = session.settings, [deep, wide] = CONTENT.most;
  const one = (name, text, enabled, after, title) => named(name, make("button", {
    type: "button", textContent: text, disabled: !enabled, onclick: () => change({hidden: after()}), title, ariaLabel: title}));
  place("depth").replaceChildren(`${word("layers")} `,
    one("shallower", "−", hidden.length > 0, () => hidden.slice(0, -1), word("remove_layer")), ` ${hidden.length} `,
    one("deeper", "+", hidden.length < deep, () => [...hidden, hidden.at(-1) ?? 4], word("add_layer")));
  const head = (name, ...parts) => make("div", {}, name, make("br"), ...parts);
  place("layers").replaceChildren(head(word("inputs"), String(features.length)), ...hidden.map((size, i) => {
    const by = step => () => hidden.map((n, k) => k === i ? n + step : n), name = filled(word("hidden"), i + 1);
    return head(name, one(`fewer ${i}`, "−", size > 1, by(-1), `${name}: ${word("remove_neuron")}`), ` ${size} `,
      one(`more ${i}`, "+", size < wide, by(1), `${name}: ${word("add_neuron")}`));
  }), head(word("scores"), " "));
}

function fillCards() {
  const cards = place("cards");
  cards.ariaLabel = word("preset");
  if (!cards.childElementCount) {
    cards.append(...Object.entries(CONTENT.presets).map(([name]) => named(`preset ${name}`, make("button", {
      type: "button", onclick: () => {
        preset = name;
        session.load({settings: {...CONTENT.defaults, ...CONTENT.presets[name].given}});
        [session.playing, selected, pinned] = [true, -1, null];
        say("");
        fill();
        changed = true;
      }}, make("canvas", {ariaHidden: "true"}), make("span")))));
    drawCards([...cards.children].map(card => card.firstChild), Object.values(CONTENT.presets));
  }
  Object.entries(CONTENT.presets).forEach(([name, {title, hint}], i) => {
    Object.assign(cards.children[i], {title: hint[root.lang], ariaPressed: String(name === preset)});
    cards.children[i].lastChild.textContent = title[root.lang];
  });
}

async function copyLink(withWeights) {
  if (withWeights && session.networks.length > 1) return say(word("too_many"));
  const link = await toLink(session, view, withWeights);
  history.replaceState(null, "", link ? "#" + link : location.pathname + location.search);
  let text = word("copied");
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    text = word("in_the_bar");
  }
  place("notice").textContent = text;
  setTimeout(() => { place("notice").textContent = ""; }, 4000);
}

async function readLink() {
  try {
    const saved = await fromLink(location.hash);
    session.load(saved);
    Object.assign(view, saved.view);
    [root.lang, preset, selected, pinned] = [view.language, "", -1, null];
    say("");
  } catch (error) {
    say(error.message);
  }
  fill();
  changed = true;
}

// ---------------------------------------------------------------- keys and pointer

function press(key) {
  if (key === " ") session.playing = !session.playing;
  else if (key === "r") session.reset();
  else if (key === "s" || key === "e") {
    session.playing = false;
    session.train(key === "s" ? 1 : session.stepsPerEpoch());
  } else newClass = Number(key) - 1;
  say("");
  fill();
  changed = true;
}

document.addEventListener("keydown", event => {
  const tag = event.target.tagName;
  if (event.ctrlKey || event.altKey || event.metaKey || ["INPUT", "SELECT"].includes(tag)) return;
  if (["Backspace", "Delete"].includes(event.key) && selected >= 0) removeSelected();
  if (tag === "BUTTON" && event.key === " " || ![" ", "s", "e", "r", "1", "2", "3", "4", "5"].includes(event.key)) return;
  event.preventDefault();
  press(event.key);
});

function editPoints(edit) {
  attempt(() => {
    const {places, targets, train} = session.points, copy = {places: [...places], targets: [...targets], train: [...train]};
    edit(copy);
    session.edit(copy);
  });
}

function removeSelected() {
  if (selected < 0) return;
  editPoints(points => Object.values(points).forEach(column => column.splice(selected, 1)));
  selected = -1;
}

const positionOf = event => {
  const box = event.target.getBoundingClientRect();
  return [event.clientX - box.x, event.clientY - box.y, box.width];
};
const toPlane = (x, y, width) => [x / width * 2 * EXTENT - EXTENT, EXTENT - y / width * 2 * EXTENT].map(
  value => clip(value, -EXTENT, EXTENT));
let dragging = false;
place("plane").addEventListener("pointerdown", event => {
  const [x, y, width] = positionOf(event), far = session.points.places.map((point, i) => {
    const [px, py] = onScreen(point, width);
    return view.tests || session.points.train[i] ? Math.hypot(px - x, py - y) : Infinity;
  });
  const nearest = far.indexOf(Math.min(...far));
  if (nearest >= 0 && far[nearest] < 10) [selected, dragging] = [nearest, true];
  else {
    selected = -1;
    editPoints(points => {
      points.places.push(toPlane(x, y, width));
      points.targets.push(session.values ? [-1, 1][Math.min(newClass, 1)] : newClass);
      points.train.push(true);
    });
  }
  changed = true;
});
place("plane").addEventListener("pointermove", event => {
  if (dragging && event.buttons) editPoints(points => { points.places[selected] = toPlane(...positionOf(event)); });
});
document.addEventListener("pointerup", () => { dragging = false; });

function neuronAt(event) {
  const [x, y] = positionOf(event);
  for (const [layer, column] of neurons.entries()) for (const [i, [cx, cy, side]] of column.entries())
    if (Math.abs(x - cx) <= side / 2 && Math.abs(y - cy) <= side / 2) return [layer, i];
  return null;
}
const hover = found => {
  if (String(found) !== String(hovered)) [hovered, changed] = [found, true];
};
place("net").addEventListener("pointermove", event => hover(neuronAt(event)));
place("net").addEventListener("pointerleave", () => hover(null));
place("net").addEventListener("click", event => {
  const found = neuronAt(event);
  [pinned, changed] = [String(found) === String(pinned) ? null : found, true];
});

// ---------------------------------------------------------------- drawing

function drawAll() {
  const now = session.look(), {network, settings} = session, busy = session.playing;
  const enlarged = [hovered, pinned].find(one => one && one[1] < network.sizes[one[0]]) ?? null;
  outputs = session.plane(network, busy && slow ? FINE / 2 : FINE);
  drawPlane(place("plane"), session, outputs, {...view, discrete: view.discrete === 1, selected, enlarged});
  if (!busy || frames % 4 === 0) {
    neurons = drawNet(place("net"), session, outputs, pinned);
    drawCurves(place("loss"), session.history, "losses", true);
    if (!session.values) drawCurves(place("accuracy"), session.history, "accuracies", false);
  }
  if (session.networks.length > 1 && (!busy || frames % 8 === 0)) drawMany();
  frames++;
  const number = value => Number.isFinite(value) ? value.toFixed(4) : "–";
  const percent = value => Number.isFinite(value) ? `${(100 * value).toFixed(1)}%` : "–";
  const lines = [word("steps").replace("{step:,}", session.step.toLocaleString("en")).replace(
    "{epoch:,.1f}", (session.epoch + session.place / session.stepsPerEpoch()).toFixed(1)),
    filled(word("losses"), ...now.losses.map(number))];
  if (!session.values) lines.push(filled(word("accuracies"), ...now.accuracies.map(percent)));
  if (settings.l1 || settings.l2) lines.push(filled(word("penalty"), number(network.penalty(settings))));
  if (settings.dropout && settings.hidden.length)
    lines.push(filled(word("dropped"), percent(settings.dropout), (1 / (1 - settings.dropout)).toFixed(2)));
  if (session.ownPoints) lines.push(word("own"));
  place("status").replaceChildren(...lines.map(line => make("div", {textContent: line})));
  const square = color => make("span", {textContent: "■", style: `color: ${color}`});
  const classes = session.values || enlarged ? [[0, word("negative")], [1, word("positive")]]
    : Array.from({length: settings.classes}, (_, i) => [i, filled(word("legend_class"), i)]);
  place("legend").replaceChildren(...classes.map(([i, name]) => make("span", {}, square(CONTENT.classes[i]), " " + name)),
    make("span", {textContent: word("legend_points")}));
  if (session.message) {
    say(word(session.message));
    fill();
  }
}

function drawMany() {
  const strip = place("small"), count = session.networks.length;
  if (strip.childElementCount !== count) strip.replaceChildren(...session.networks.map((_, i) => named(`network ${i}`, make(
    "button", {type: "button", onclick: () => { [session.number, session.history, changed] = [i, [], true]; }},
    make("canvas", {width: 56, height: 56, ariaHidden: "true"}), make("span")))));
  session.networks.forEach((network, i) => {
    const scores = session.plane(network, 28).at(-1), n = network.sizes.at(-1), [picture, name] = strip.children[i].children;
    picture.getContext("2d").drawImage(regionsPicture(scores, n, 28, session.loss), 0, 0, 56, 56);
    const [loss, right] = session.measure(network, session.trainRows), head = session.many === "widths" ? WIDTHS[i] : `#${i}`;
    name.textContent = `${head}: ${session.values ? loss.toFixed(3) : `${(100 * right).toFixed(0)}%`}`;
    strip.children[i].ariaPressed = String(i === session.number);
  });
}

function tick(now) {
  allowed = Math.min(allowed + session.settings.speed * (now - clock) / 1000, session.settings.speed * 0.1 + 1);
  clock = now;
  if (session.playing) {
    for (const end = performance.now() + 12; allowed >= 1 && performance.now() < end;) {
      const steps = session.train(Math.min(Math.floor(allowed), 20));
      allowed -= steps || allowed;
      changed = true;
    }
  }
  if (changed) {
    const start = performance.now();
    changed = false;
    drawAll();
    slow = performance.now() - start > (slow ? 10 : 30);
  }
  requestAnimationFrame(tick);
}

window.addEventListener("hashchange", readLink);
window.addEventListener("resize", () => { changed = true; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { changed = true; });
readLink().then(() => requestAnimationFrame(tick));
