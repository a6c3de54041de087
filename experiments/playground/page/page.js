const place = id => document.getElementById(id);
const say = text => { place("message").textContent = text };
const send = (kind, text) => { channel.sent = JSON.stringify([Date.now() + Math.random(), kind, text]) };
const word = (en, zh) => channel.language === "zh" ? zh : en;
const on = (name, act) => { channel.properties[name].change.connect(act); act() };
window.playground = channel;
channel.properties.picture.change.connect(() => requestAnimationFrame(() => { channel.drawn = channel.picture }));
on("message", () => say(channel.message));
on("hint", () => { place("hint").textContent = channel.hint });
on("busy", () => place("regions").classList.toggle("busy", channel.busy));
on("many", () => { place("many").hidden = !channel.many });
on("values", () => { place("accuracies").hidden = channel.values });
on("language", () => {
  document.body.dataset.language = channel.language;
  document.documentElement.lang = channel.language;
});
// ---------------------------------------------------------------- cards of the presets

const cards = place("cards"), presets = Object.entries(CONTENT.presets);
cards.append(...presets.map(([name]) => {
  const card = document.createElement("button"), picture = document.createElement("canvas");
  picture.setAttribute("aria-hidden", "true");
  card.append(picture, document.createElement("span"));
  card.addEventListener("click", () => send("preset", name));
  return card;
}));
const nameCards = () => {
  cards.setAttribute("aria-label", word("Presets", "预设"));
  presets.forEach(([name, {title, hint}], i) => {
    const card = cards.children[i];
    card.lastChild.textContent = title[channel.language];
    card.title = hint[channel.language];
    card.setAttribute("aria-pressed", String(name === channel.preset));
  });
};
on("language", nameCards);
on("preset", nameCards);
const paintCards = () => {  // once the first picture is there
  channel.properties.picture.change.disconnect(paintCards);
  place("early").remove();
  drawCards(presets.map((_, i) => cards.children[i].firstChild), presets.map(([, preset]) => preset));
};
channel.properties.picture.change.connect(paintCards);

on("tips", () => {
  const tips = JSON.parse(channel.tips);
  const named = ({model}) => tips[model.name] && !["Figure", "Row", "Column"].includes(model.type);
  for (const view of Bokeh.index.query(named)) view.el.title = tips[view.model.name];
});
channel.properties.copied.change.connect(async () => {
  history.replaceState(null, "", channel.link ? "#" + channel.link : location.pathname);
  let text = word("The link was copied.", "链接已复制。");
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    text = word("The link is in the address bar.", "链接在地址栏中。");
  }
  place("notice").textContent = text;
  setTimeout(() => { place("notice").textContent = "" }, 4000);
});
channel.properties.download.change.connect(() => {
  if (!channel.download) return;
  const [, name, kind, text] = JSON.parse(channel.download);
  save(new Blob([text], {type: kind}), name);
});
const code = place("code"), library = code.querySelector("select"), source = code.querySelector("pre");
place("show-code").addEventListener("click", () => { send("code", library.value); code.showModal() });
library.addEventListener("change", () => send("code", library.value));
channel.properties.code.change.connect(() => { source.textContent = JSON.parse(channel.code)[1] });
place("close-code").addEventListener("click", () => code.close());
place("save-code").addEventListener("click", () =>
  save(new Blob([source.textContent], {type: "text/x-python"}), "network.py"));
place("copy-code").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {  // not allowed: select it instead
    getSelection().selectAllChildren(source);
  }
});
const save = (blob, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
place("picture").addEventListener("click", async () => {
  save(await Bokeh.index.find_one(plane).export("png").to_blob(), "playground.png");
});
for (const kind of ["csv", "model"]) {
  const input = place(kind);
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (!file) return;
    const [size, most] = [file.size, channel.limit].map(bytes => bytes.toLocaleString("en"));
    if (file.size > channel.limit) say(word(`${file.name} has ${size} bytes; a file may have at most ${most}.`,
                                            `${file.name} 有 ${size} 字节；文件最多 ${most} 字节。`));
    else send(kind, await file.text());
    input.value = "";
  });
}

// ---------------------------------------------------------------- headings of the layers, with + and -

const layers = () => JSON.parse(channel.layers);
const button = (text, title, enabled, act) => {
  const made = document.createElement("button");
  Object.assign(made, {textContent: text, title, disabled: !enabled});
  made.setAttribute("aria-label", title);
  made.addEventListener("click", act);
  return made;
};
on("layers", () => {
  if (channel.layers === "{}") return;
  const {hidden, most: [deep, wide], features} = layers();
  const resize = after => send("hidden", JSON.stringify(after));
  place("depth").replaceChildren(
    word("Hidden layers ", "隐藏层 "),
    button("−", word("Remove the last hidden layer", "去掉最后一个隐藏层"), hidden.length > 0,
           () => resize(hidden.slice(0, -1))), ` ${hidden.length} `,
    button("+", word(`Add a hidden layer (at most ${deep})`, `增加隐藏层（最多 ${deep} 层）`), hidden.length < deep,
           () => resize([...hidden, hidden.at(-1) ?? 4])));
  const head = (name, ...parts) => {
    const made = document.createElement("div");
    made.append(name, document.createElement("br"), ...parts);
    return made;
  };
  place("layers").replaceChildren(head(word("Inputs", "输入"), `${features.length}`), ...hidden.map((size, i) => {
    const name = word(`Hidden ${i + 1}`, `隐藏层 ${i + 1}`);
    const change = by => resize(hidden.map((n, k) => k === i ? n + by : n));
    return head(name,
      button("−", word(`Remove a neuron of hidden layer ${i + 1}`, `去掉第 ${i + 1} 隐藏层的一个神经元`), size > 1,
             () => change(-1)), ` ${size} `,
      button("+", word(`Add a neuron to hidden layer ${i + 1} (at most ${wide})`,
                       `第 ${i + 1} 隐藏层增加一个神经元（最多 ${wide} 个）`), size < wide, () => change(1)));
  }), head(word("Scores", "得分"), " "));
});

// ---------------------------------------------------------- what is under the pointer in the diagram, and its card

const REACH = 10;  // pixels from a link
const card = place("card"), field = card.querySelector("input");
let shown = null, pinned = -1, leaving = 0;
const under = event => {
  const view = Bokeh.index.find_one(net), box = view.canvas_view.el.getBoundingClientRect();
  const at = [event.clientX - box.x, event.clientY - box.y];
  const px = x => view.frame.x_scale.compute(x), py = y => view.frame.y_scale.compute(y);
  const n = neurons.data, l = links.data;
  for (let i = 0; i < n.x.length; i++) {
    const across = (px(n.w[i]) - px(0)) / 2, up = (py(0) - py(n.h[i])) / 2;
    if (Math.abs(at[0] - px(n.x[i])) <= across && Math.abs(at[1] - py(n.y[i])) <= up) return ["neuron", i];
  }
  let best = -1, least = REACH;
  for (let i = 0; i < l.x0.length; i++) {
    const x = px(l.x0[i]), y = py(l.y0[i]), dx = px(l.x1[i]) - x, dy = py(l.y1[i]) - y;
    const t = Math.min(Math.max(((at[0] - x) * dx + (at[1] - y) * dy) / (dx * dx + dy * dy), 0), 1);
    const far = Math.hypot(at[0] - x - t * dx, at[1] - y - t * dy);
    if (far < least) [best, least] = [i, far];
  }
  return best < 0 ? null : ["link", best];
};
const neuron = (layer, i) => layer === 0 ? layers().features[i]
  : layer === layers().sizes.length - 1 ? word(`score ${i + 1}`, `得分 ${i + 1}`)
  : word(`hidden ${layer}, neuron ${i + 1}`, `隐藏层 ${layer} 的神经元 ${i + 1}`);
const title = ([kind, index]) => {
  const sizes = layers().sizes;
  for (let layer = 0; layer < sizes.length; layer++) {
    const count = kind === "neuron" ? sizes[layer] : sizes[layer] * sizes[layer + 1];
    if (index < count) {
      if (kind === "neuron") return layer ? word("Bias of ", "偏置：") + neuron(layer, index) : "";
      const from = neuron(layer, index % sizes[layer]), to = neuron(layer + 1, Math.floor(index / sizes[layer]));
      return word("Weight ", "权重：") + `${from} → ${to}`;
    }
    index -= count;
  }
  return "";
};
const editing = () => document.activeElement === field;
const fill = () => {
  if (!shown || editing()) return;
  field.value = +(shown[0] === "link" ? links.data.weight : biases.data.value)[shown[1]].toFixed(4);
};
const close = () => {
  shown = null;
  card.style.display = "none";
  links.selected.indices = [];
};
const open = (found, event) => {
  clearTimeout(leaving);
  if (shown && shown[0] === found[0] && shown[1] === found[1]) return;
  const text = title(found);
  if (!text) return close();
  shown = found;
  card.querySelector("span").textContent = text;
  field.setAttribute("aria-label", text);
  field.title = word("Enter a number", "输入数值");
  fill();
  links.selected.indices = found[0] === "link" ? [found[1]] : [];
  card.style.display = "block";
  card.style.left = Math.max(Math.min(event.clientX + 8, innerWidth - card.offsetWidth - 4), 0) + "px";
  card.style.top = Math.min(event.clientY + 8, innerHeight - card.offsetHeight - 4) + "px";
};
const leave = () => { clearTimeout(leaving); leaving = setTimeout(() => { if (!editing()) close() }, 500) };
const enlarge = number => { if (channel.hovered !== number) channel.hovered = number };
place("net").addEventListener("pointermove", event => {
  const found = under(event);
  enlarge(found && found[0] === "neuron" ? found[1] : pinned);
  if (editing()) return;
  if (found) open(found, event);
  else if (shown) leave();
});
place("net").addEventListener("pointerleave", () => { enlarge(pinned); leave() });
place("net").addEventListener("click", event => {
  const found = under(event);
  if (!found) return;
  field.blur();
  open(found, event);
  if (found[0] === "neuron") {
    pinned = pinned === found[1] ? -1 : found[1];
    neurons.selected.indices = pinned < 0 ? [] : [pinned];
    enlarge(found[1]);
  }
  if (shown) field.select();
});
card.addEventListener("pointerenter", () => clearTimeout(leaving));
card.addEventListener("pointerleave", leave);
field.addEventListener("change", () => {
  if (shown && field.value !== "") send("parameter", JSON.stringify([...shown, Number(field.value)]));
});
field.addEventListener("keydown", event => {
  if (event.key === "Enter" || event.key === "Escape") setTimeout(() => { field.blur(); close() });
});
links.properties.data.change.connect(fill);
neurons.properties.data.change.connect(() => {  // another network
  pinned = -1;
  neurons.selected.indices = [];
  field.blur();
  close();
});

window.addEventListener("hashchange", () => send("link", location.hash.slice(1)));
document.addEventListener("keydown", event => {
  const target = event.composedPath()[0];
  const tag = target.tagName || "";
  if (event.ctrlKey || event.altKey || event.metaKey || ["INPUT", "SELECT", "TEXTAREA"].includes(tag)) return;
  if (code.open) return;
  if (tag === "BUTTON" && event.key === " ") return;
  if ([" ", "s", "e", "r", "1", "2", "3", "4", "5"].includes(event.key)) {
    event.preventDefault();
    send("key", event.key);
  }
});
const greet = () => {  // until there is a picture
  if (channel.picture) return;
  send("hello", location.hash.slice(1));
  setTimeout(greet, 5000);
};
greet();
