"""The HTML of the page and its few lines of JavaScript."""

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
main > section, main > div > section { background: white; border: 1px solid #ddd; border-radius: 6px; padding: 8px;
  min-width: 0; }
.column { display: grid; gap: 10px; min-width: 0; }
.curves { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; }
.curves > div > div { height: 170px; }
#net { height: 400px; }
#files { display: flex; flex-wrap: wrap; gap: 4px 12px; font-size: 13px; }
#files input { max-width: 190px; font-size: 12px; }
.status { font-variant-numeric: tabular-nums; min-height: 42px; }
#message { color: #a40000; font-weight: 600; min-height: 1.4em; flex-basis: 100%; }
#message:empty { display: none; }
[data-language=zh] .en, [data-language=en] .zh { display: none; }
kbd { border: 1px solid #bbb; border-radius: 3px; padding: 0 4px; background: #f4f4f4; font-size: 12px; }
footer { margin-top: 8px; font-size: 12px; color: #555; }
#many[hidden] { display: none; }
#picture { font: inherit; font-size: 12px; padding: 5px 12px; border: 1px solid #ccc; border-radius: 4px;
  background: white; }
:focus-visible { outline: 2px solid #0072B2; outline-offset: 1px; }
@media (max-width: 1100px) {
  main { grid-template-columns: 232px minmax(0, 1fr); }
  #right { grid-column: 1 / -1; grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .curves { grid-template-columns: minmax(0, 1fr); }
  #net { height: 460px; }
}
@media (max-width: 620px) { main, #right { grid-template-columns: minmax(0, 1fr); } #right { grid-column: auto; } }
</style>
</head>
<body data-language="en">
<header>
  <h1><span class="en">Playground</span><span class="zh">神经网络游乐场</span></h1>
  {{ embed(roots.bar) }}
  <div id="message" role="alert"></div>
</header>
<main>
  <div class="column">
    <section><h2><span class="en">Data</span><span class="zh">数据</span></h2>{{ embed(roots.data) }}
      <div id="files">
        <label><span class="en">Points from CSV</span><span class="zh">从 CSV 读取数据</span>
          <input type="file" id="csv" accept=".csv,text/csv"></label>
        <label><span class="en">Open a model</span><span class="zh">打开模型</span>
          <input type="file" id="model" accept=".json,application/json"></label>
      </div>
    </section>
    <section><h2><span class="en">Training</span><span class="zh">训练</span></h2>{{ embed(roots.training) }}</section>
  </div>
  <div class="column">
    <section><h2><span class="en">Network</span><span class="zh">网络</span></h2>{{ embed(roots.net_controls) }}
      <div id="net">{{ embed(roots.net) }}</div></section>
    <section class="curves">
      <div><h2><span class="en">Loss</span><span class="zh">损失</span></h2><div>{{ embed(roots.loss) }}</div></div>
      <div><h2><span class="en">Accuracy</span><span class="zh">准确率</span></h2>
        <div>{{ embed(roots.accuracy) }}</div></div>
      <div><h2><span class="en">Gradient norms</span><span class="zh">梯度范数</span></h2>
        <div>{{ embed(roots.gradients) }}</div></div>
    </section>
    <section id="many" hidden><h2><span class="en">Side by side (click one to look at it)</span>
      <span class="zh">并排比较（点击查看其中一个）</span></h2>{{ embed(roots.many) }}</section>
  </div>
  <div class="column" id="right">
    <section><h2><span class="en">Decision regions</span><span class="zh">决策区域</span></h2>
      {{ embed(roots.plane) }}{{ embed(roots.status) }}
      <button id="picture"><span class="en">Save picture</span><span class="zh">保存图片</span></button></section>
    <section><h2><span class="en">The plane as a layer sees it</span><span class="zh">某一层眼中的平面</span></h2>
      {{ embed(roots.warp_controls) }}{{ embed(roots.warp) }}</section>
  </div>
</main>
<footer>
  <span class="en">Click the plane: add a point; drag: move; click a point, then Backspace: delete; a white dot marks
    test points. Hover over a neuron: enlarge it; click a link or a neuron: edit it. Solid curves: training points;
    dashed: test. Keys: <kbd>Space</kbd> play or pause, <kbd>s</kbd> step, <kbd>e</kbd> epoch, <kbd>r</kbd> reset,
    <kbd>1</kbd>–<kbd>5</kbd> class of new points, <kbd>Tab</kbd> from control to control.</span>
  <span class="zh">点击平面：添加点；拖动：移动；点击一个点再按 Backspace：删除；白点表示测试点。悬停在神经元上：放大；
    点击连线或神经元：编辑。实线：训练点；虚线：测试点。按键：<kbd>Space</kbd> 播放或暂停，<kbd>s</kbd> 一步，
    <kbd>e</kbd> 一轮，<kbd>r</kbd> 重置，<kbd>1</kbd>–<kbd>5</kbd> 新点的类别，<kbd>Tab</kbd> 切换控件。</span>
</footer>
{{ plot_script }}
</body>
</html>
"""

START = """
const say = text => { document.getElementById("message").textContent = text };
const send = (kind, text) => { channel.sent = JSON.stringify([Date.now() + Math.random(), kind, text]) };
window.playground = channel;
channel.properties.picture.change.connect(() => requestAnimationFrame(() => { channel.drawn = channel.picture }));
channel.properties.message.change.connect(() => say(channel.message));
channel.properties.language.change.connect(() => {
  document.body.dataset.language = channel.language;
  document.documentElement.lang = channel.language;
});
channel.properties.many.change.connect(() => { document.getElementById("many").hidden = !channel.many });
channel.properties.link.change.connect(() => {
  history.replaceState(null, "", channel.link ? "#" + channel.link : location.pathname);
});
channel.properties.download.change.connect(() => {
  if (!channel.download) return;
  const [, name, kind, text] = JSON.parse(channel.download);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: kind}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
document.getElementById("picture").addEventListener("click", async () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await Bokeh.index.find_one(plane).export("png").to_blob());
  link.download = "playground.png";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
for (const kind of ["csv", "model"]) {
  const input = document.getElementById(kind);
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (!file) return;
    if (file.size > channel.limit) say(`${file.name}: ${file.size} > ${channel.limit} bytes`);
    else send(kind, await file.text());
    input.value = "";
  });
}
window.addEventListener("hashchange", () => send("link", location.hash.slice(1)));
document.addEventListener("keydown", event => {
  const target = event.composedPath()[0];
  const tag = target.tagName || "";
  if (event.ctrlKey || event.altKey || event.metaKey || ["INPUT", "SELECT", "TEXTAREA"].includes(tag)) return;
  if (tag === "BUTTON" && event.key === " ") return;
  if ([" ", "s", "e", "r", "1", "2", "3", "4", "5"].includes(event.key)) {
    event.preventDefault();
    send("key", event.key);
  }
});
send("hello", location.hash.slice(1));
"""

HOVER = """
const found = cb_data.index.indices;
const now = found.length ? found[0] : -1;
if (channel.hovered !== now) channel.hovered = now;
"""
