"""The HTML of the page and its JavaScript."""

TEMPLATE = """
{% from macros import embed %}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>jaxnn playground</title>
{{ bokeh_css }}
{{ bokeh_js }}
<link rel="icon" href="data:,">
<style>
* { box-sizing: border-box; }
body { margin: 0; padding: 0 12px 12px; font: 14px/1.4 system-ui, "Noto Sans", "WenQuanYi Micro Hei", sans-serif;
  color: #222; background: #fafafa; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 14px; padding: 6px 0; }
h1 { font-size: 20px; margin: 0; }
h2 { font-size: 15px; margin: 0 0 4px; }
main { display: grid; gap: 10px; grid-template-columns: 232px minmax(0, 1fr) 400px; align-items: start; }
section { background: white; border: 1px solid #ddd; border-radius: 6px; padding: 8px; min-width: 0; }
.column { display: grid; gap: 10px; min-width: 0; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 8px; }
.curves > div > div { height: 150px; }
.curves > [hidden], #many[hidden] { display: none; }
#net { height: 340px; }
#layers { display: flex; text-align: center; font-size: 12px; margin: 4px; }
#layers > div { flex: 1 1 0; min-width: 0; }
#layers button, #depth button { font: inherit; line-height: 1; padding: 2px 5px; border: 1px solid #bbb;
  border-radius: 3px; background: white; cursor: pointer; }
#layers button:disabled, #depth button:disabled { color: #bbb; cursor: default; }
#signs { font-size: 12px; color: #555; } #signs b { color: #0072B2; } #signs i { color: #D55E00; }
small { font-weight: normal; white-space: nowrap; }
#plane-place { position: relative; }
#busy { position: absolute; inset: 0; display: none; align-items: center; justify-content: center; font-size: 18px;
  background: rgba(255, 255, 255, .7); z-index: 5; }
.busy #busy { display: flex; }
#under { display: flex; flex-wrap: wrap; align-items: center; }
#card { position: fixed; display: none; z-index: 10; background: white; border: 1px solid #888; border-radius: 4px;
  padding: 4px 8px; box-shadow: 0 2px 6px rgba(0, 0, 0, .3); font-size: 13px; }
#card input { width: 90px; font: inherit; }
#hint { flex-basis: 100%; padding: 5px 10px; border-left: 4px solid #0072B2; background: #e8f1f8; }
#hint:empty, #message:empty, #notice:empty { display: none; }
.status { font-variant-numeric: tabular-nums; min-height: 42px; }
#message { color: #a40000; font-weight: 600; min-height: 1.4em; flex-basis: 100%; }
#notice { flex-basis: 100%; color: #00613f; }
[data-language=zh] .en, [data-language=en] .zh { display: none; }
kbd { border: 1px solid #bbb; border-radius: 3px; padding: 0 4px; background: #f4f4f4; font-size: 12px; }
footer { margin-top: 8px; font-size: 12px; color: #555; }
#files { display: flex; flex-wrap: wrap; gap: 4px 12px; font-size: 13px; }
#files input { max-width: 190px; font-size: 12px; }
#picture, #show-code, dialog button, dialog select { font: inherit; font-size: 13px; padding: 6px 10px; margin: 2px;
  border: 1px solid #ccc; border-radius: 4px; background: white; }
dialog { width: min(860px, 96vw); max-height: 92vh; border: 1px solid #888; border-radius: 6px; padding: 10px; }
dialog pre { font-size: 12px; max-height: 68vh; overflow: auto; background: #f4f4f4; padding: 8px; margin: 8px 0; }
:focus-visible { outline: 2px solid #0072B2; outline-offset: 1px; }
@media (max-width: 1100px) {
  main { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .column { display: contents; }
  #regions { order: 1; } #network { order: 2; } #many { order: 3; grid-column: 1 / -1; } #data { order: 4; }
  #training { order: 5; } .curves { order: 6; } #warped { order: 7; }
  .curves { grid-template-columns: minmax(0, 1fr); }
}
@media (max-width: 620px) { main { grid-template-columns: minmax(0, 1fr); } h1 { display: none; } }
</style>
</head>
<body data-language="en">
<header>
  <h1><span class="en">Playground</span><span class="zh">神经网络游乐场</span></h1>
  {{ embed(roots.bar) }}
  <div id="hint" role="note"></div>
  <div id="message" role="alert"></div>
  <div id="notice" role="status"></div>
</header>
<main>
  <div class="column">
    <section id="data"><h2><span class="en">Data</span><span class="zh">数据</span></h2>{{ embed(roots.data) }}
      {{ embed(roots.files) }}
      <div id="files">
        <label><span class="en">Points from CSV</span><span class="zh">从 CSV 读取数据</span>
          <input type="file" id="csv" accept=".csv,text/csv"></label>
        <label><span class="en">Open a model</span><span class="zh">打开模型</span>
          <input type="file" id="model" accept=".json,application/json"></label>
      </div>
    </section>
    <section id="training"><h2><span class="en">Training</span><span class="zh">训练</span></h2>
      {{ embed(roots.training) }}</section>
  </div>
  <div class="column">
    <section id="network"><h2><span class="en">Network</span><span class="zh">网络</span></h2>
      {{ embed(roots.net_controls) }}
      <div id="depth"></div>
      <div id="layers"></div>
      <div id="net">{{ embed(roots.net) }}</div>
      <div id="signs"><span class="en">Links and pictures: <b>■</b> negative, <i>■</i> positive; a thick link is a large
        weight</span><span class="zh">连线与小图：<b>■</b> 负，<i>■</i> 正；线越粗，权重越大</span></div></section>
    <section class="curves">
      <div><h2><span class="en">Loss <small>— training - - test</small></span>
        <span class="zh">损失 <small>— 训练 - - 测试</small></span></h2><div>{{ embed(roots.loss) }}</div></div>
      <div id="accuracies"><h2><span class="en">Accuracy</span><span class="zh">准确率</span></h2>
        <div>{{ embed(roots.accuracy) }}</div></div>
      <div><h2><span class="en">Gradient norms</span><span class="zh">梯度范数</span></h2>
        <div>{{ embed(roots.gradients) }}</div></div>
    </section>
    <section id="many" hidden><h2><span class="en">Side by side (click one to look at it)</span>
      <span class="zh">并排比较（点击查看其中一个）</span></h2>{{ embed(roots.many) }}</section>
  </div>
  <div class="column">
    <section id="regions"><h2><span class="en">Decision regions</span><span class="zh">决策区域</span></h2>
      <div id="plane-place">{{ embed(roots.plane) }}
        <div id="busy"><span class="en">compiling …</span><span class="zh">编译中……</span></div></div>
      {{ embed(roots.legend) }}
      <div id="under"><div>{{ embed(roots.plane_controls) }}</div>
        <button id="picture"><span class="en">Save picture</span><span class="zh">保存图片</span></button>
        <button id="show-code"><span class="en">Show the code</span><span class="zh">显示代码</span></button></div>
      {{ embed(roots.status) }}</section>
    <section id="warped"><h2><span class="en">The plane as a layer sees it</span>
      <span class="zh">某一层眼中的平面</span></h2>
      {{ embed(roots.warp_controls) }}{{ embed(roots.warp) }}</section>
  </div>
</main>
<dialog id="code" aria-labelledby="code-title">
  <label><span id="code-title"><span class="en">This network in</span><span class="zh">此网络的代码：</span></span>
    <select><option value="numpy">NumPy</option><option value="jax">JAX</option>
      <option value="torch">PyTorch</option></select></label>
  <button id="copy-code"><span class="en">Copy</span><span class="zh">复制</span></button>
  <button id="save-code"><span class="en">Save</span><span class="zh">保存</span></button>
  <button id="close-code"><span class="en">Close</span><span class="zh">关闭</span></button>
  <pre tabindex="0"></pre>
</dialog>
<div id="card"><label><span></span> <input type="number" step="any"></label></div>
<footer>
  <span class="en">Click the plane: add a point; drag: move; click a point, then Backspace: delete; a white dot marks
    test points. Hover over a neuron: enlarge it; click a link or a neuron: edit its weight or bias. Solid curves:
    training points; dashed: test. Keys: <kbd>Space</kbd> play or pause, <kbd>s</kbd> step, <kbd>e</kbd> epoch,
    <kbd>r</kbd> reset, <kbd>1</kbd>–<kbd>5</kbd> class of new points, <kbd>Tab</kbd> from control to control.</span>
  <span class="zh">点击平面：添加点；拖动：移动；点击一个点再按 Backspace：删除；白点表示测试点。悬停在神经元上：放大；
    点击连线或神经元：编辑权重或偏置。实线：训练点；虚线：测试点。按键：<kbd>Space</kbd> 播放或暂停，<kbd>s</kbd> 一步，
    <kbd>e</kbd> 一轮，<kbd>r</kbd> 重置，<kbd>1</kbd>–<kbd>5</kbd> 新点的类别，<kbd>Tab</kbd> 切换控件。</span>
</footer>
{{ plot_script }}
</body>
</html>
"""

START = """
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
on("tips", () => {
  const tips = JSON.parse(channel.tips);
  for (const model of plane.document._all_models.values()) {
    const view = ["Figure", "Row", "Column"].includes(model.type) ? null : Bokeh.index.find_one(model);
    if (view && tips[model.name]) view.el.title = tips[model.name];
  }
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
    if (file.size > channel.limit) say(`${file.name}: ${file.size} > ${channel.limit} bytes`);
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
send("hello", location.hash.slice(1));
"""
