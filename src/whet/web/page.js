// The page for people. `predictor`, of another script, predicts the samples: see server.js and model.js.
const WORDS = {
  en: {
    token: "Access token", unlock: "Open", predict: "Predict", choose: "Choose files", camera: "Camera", microphone: "Record",
    stop: "Stop ({0} s)", csv: "Save as CSV", corrections: "Save corrections", clear: "Clear", sample: "Sample",
    prediction: "Prediction and confidence", shares: "Share of the pixels", wrong: "Wrong? It is …", text: "Texts, one per line", shoot: "Take photo", close: "Close",
    image: "Drop or paste images", audio: "Drop audio clips", texts: "Write texts, one per line, or drop .txt files",
    unsure: "unsure", masks: "{0} of {1} predicted", none: "no label", kept: "Kept by the server", noted: "Noted",
    waiting: "…", count: "{0} of {1} predicted, {2} unsure", device: "The device cannot be used: {0}",
    badToken: "This token is not accepted.", calibrated: "confidence {0}", overlay: "Show the mask",
    heat: "Show what it rests on", noHeat: "Hide what it rests on", evidence: "Red: evidence for {0}", noObjects: "no objects",
    loading: "Loading the model …", ...predictor.words.en,
  },
  zh: {
    token: "访问令牌", unlock: "打开", predict: "预测", choose: "选择文件", camera: "拍照", microphone: "录音", stop: "停止（{0} 秒）",
    csv: "保存为 CSV", corrections: "保存更正", clear: "清空", sample: "样本", prediction: "预测与置信度", shares: "像素占比", wrong: "错了？应为……",
    text: "文本，每行一条", shoot: "拍摄", close: "关闭", image: "拖入或粘贴图像", audio: "拖入音频", texts: "输入文本，每行一条，或拖入 .txt 文件",
    unsure: "不确定", masks: "已预测 {0}/{1}", none: "无标签", kept: "服务器已保存", noted: "已记录", waiting: "……",
    count: "已预测 {0}/{1}，其中 {2} 个不确定", device: "无法使用设备：{0}", badToken: "令牌无效。", calibrated: "置信度 {0}",
    overlay: "显示掩码", heat: "显示预测依据", noHeat: "隐藏预测依据",
    evidence: "红色：支持 {0} 的依据", noObjects: "没有目标", loading: "正在加载模型……", ...predictor.words.zh,
  },
};
const TASKS = {
  en: { "image-classification": "Image classification", "text-classification": "Text classification", "audio-classification": "Audio classification",
    "semantic-segmentation": "Semantic segmentation", "instance-segmentation": "Instance segmentation" },
  zh: { "image-classification": "图像分类", "text-classification": "文本分类", "audio-classification": "音频分类", "semantic-segmentation": "语义分割",
    "instance-segmentation": "实例分割" },
};
// Colours of classes that people with a colour vision deficiency can tell apart (Okabe and Ito).
const COLOURS = [[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [213, 94, 0], [86, 180, 233], [240, 228, 66], [90, 90, 90]];
const SHOWN = 5;
const $ = (id) => document.getElementById(id);
let language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
let model = null, rows = [], active = 0;

const say = (key, ...values) => values.reduce((text, value, k) => text.replace(`{${k}}`, value), WORDS[language][key]);
const percent = (p) => `${(100 * p).toFixed(1)} %`;
function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// --- the model ------------------------------------------------------------------------------------
async function open() {
  $("problem").textContent = "";
  $("loading").hidden = false;
  try {
    model = await predictor.open();
  } catch (error) {
    $("loading").hidden = true;
    if (error.status !== 401) { $("problem").textContent = error.message; return; }
    if (predictor.token) $("problem").textContent = say("badToken");
    $("unlock").hidden = false;
    $("token").focus();
    return;
  }
  $("unlock").hidden = $("loading").hidden = true;
  $("intake").hidden = false;
  $("texts").hidden = $("submit").hidden = model.medium !== "text";
  const secure = navigator.mediaDevices && window.isSecureContext;
  $("camera").hidden = !(model.medium === "image" && secure);
  $("microphone").hidden = !(model.medium === "audio" && secure && window.MediaRecorder);
  $("files").accept = { image: "image/*", audio: "audio/*", text: ".txt,text/plain" }[model.medium];
  speak();
}

// --- samples ------------------------------------------------------------------------------------
function add(blob, name, text = null) {
  const row = { blob, name, text, found: null, error: "", label: null, kept: false, bare: false, open: false, url: text === null ? URL.createObjectURL(blob) : "" };
  row.element = make("tr", { role: "row" });
  rows.push(row);
  $("problem").textContent = "";
  $("rows").append(row.element);
  show(row);
  next();
}

function addFiles(files) {
  for (const file of files) {
    if (model.medium !== "text") add(file, file.name || `${model.medium} ${rows.length + 1}`);
    else file.text().then((text) => add(file, file.name, text));
  }
}

async function next() {
  const row = active < predictor.parallel && rows.find((one) => !one.begun);
  if (!row) return;
  row.begun = true;
  active++;
  try {
    row.found = await predictor.predict(await sampleOf(row));
  } catch (error) {
    row.error = error.message;
  }
  active--;
  show(row);
  next();
}

const sampleOf = async (row) => (row.text === null ? readable(row.blob) : row.text);

// What a browser records or plays and whet cannot decode becomes a WAV file.
async function readable(blob) {
  if (model.medium !== "audio" || !/webm|mp4|m4a|aac|3gpp/.test(`${blob.type} ${blob.name || ""}`)) return blob;
  const context = new AudioContext({ sampleRate: model.input.rate });
  try {
    return wav(await context.decodeAudioData(await blob.arrayBuffer()));
  } finally {
    context.close();
  }
}

function wav(audio) {
  const view = new DataView(new ArrayBuffer(44 + 2 * audio.length));
  const ascii = (at, text) => [...text].forEach((letter, k) => view.setUint8(at + k, letter.charCodeAt(0)));
  ascii(0, "RIFF"); view.setUint32(4, 36 + 2 * audio.length, true); ascii(8, "WAVEfmt "); view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); view.setUint16(22, 1, true); view.setUint32(24, audio.sampleRate, true);
  view.setUint32(28, 2 * audio.sampleRate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  ascii(36, "data"); view.setUint32(40, 2 * audio.length, true);
  const channels = Array.from({ length: audio.numberOfChannels }, (_, k) => audio.getChannelData(k));
  for (let k = 0; k < audio.length; k++) {
    const mean = channels.reduce((sum, one) => sum + one[k], 0) / channels.length;
    view.setInt16(44 + 2 * k, Math.round(32767 * Math.max(-1, Math.min(1, mean))), true);
  }
  return new Blob([view], { type: "audio/wav" });
}

// --- results ------------------------------------------------------------------------------------
function show(row) {
  const controls = () => [...row.element.querySelectorAll("button, select, summary, input")], focused = controls().indexOf(document.activeElement);
  const cell = (...children) => make("td", { role: "cell" }, ...children), prediction = cell();
  if (row.error) prediction.append(make("div", { className: "error", textContent: row.error }));
  else if (!row.found) prediction.append(make("div", { textContent: say("waiting") }));
  else prediction.append(...predicted(row));
  if (row.text === null) prediction.append(make("div", { className: "name", textContent: row.name }));
  row.element.className = row.heat ? "wide" : "";
  row.element.replaceChildren(cell(media(row)), prediction, ...(ofMasks() ? [] : [cell(...correction(row))]));
  if (focused >= 0) controls()[focused]?.focus();
  const done = rows.filter((one) => one.found), unsure = done.filter((one) => one.found.unsure);
  $("count").textContent = say(ofMasks() ? "masks" : "count", done.length, rows.length, unsure.length);
  $("tools").hidden = $("results").hidden = !rows.length;
  $("corrections").hidden = !rows.some((one) => one.label !== null);
}

const ofMasks = () => ["pixels", "objects"].includes(model.decision.rule);

function media(row) {
  if (row.text !== null) return make("blockquote", { textContent: row.text });
  const box = make("div", { className: "media" });
  if (model.medium === "audio") { box.append(make("audio", { controls: true, src: row.url })); return box; }
  const image = make("img", { src: row.url, alt: row.name });
  image.addEventListener("error", () => image.remove());
  box.append(image);
  if (row.found && row.found.mask) {
    const canvas = make("canvas", { hidden: row.bare });
    const shown = make("input", { type: "checkbox", checked: !row.bare });
    shown.addEventListener("change", () => { canvas.hidden = row.bare = !shown.checked; });
    box.append(canvas);
    paint(canvas, row.found.mask);
    return make("div", {}, box, make("label", { className: "check" }, shown, say("overlay")));
  }
  if (row.heat) {
    const canvas = make("canvas");
    box.append(canvas);
    paintHeat(canvas, image, row.heat);
    return make("div", {}, box, make("div", { className: "name", textContent: say("evidence", row.heat.class) }));
  }
  return box;
}

// numbers: of the classes; the background stays clear. edges: 1 at the edges of objects, which are opaque.
function paint(canvas, { width, height, numbers, edges }) {
  Object.assign(canvas, { width, height, className: edges ? "outlined" : "" });
  const isClear = (k) => (edges ? !k : isBackground(model.classes[k]));
  const shades = (alpha) => new Uint32Array(Uint8Array.from(model.classes.flatMap((_, k) => [...colour(k), isClear(k) ? 0 : alpha])).buffer);
  const [whole, inner] = [shades(255), shades(90)], pixels = new ImageData(width, height), painted = new Uint32Array(pixels.data.buffer);
  for (let k = 0; k < numbers.length; k++) painted[k] = (edges && !edges[k] ? inner : whole)[numbers[k]];
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

const isBackground = (name) => name === "background";

// The colours, then the same ones lighter, then darker.
function colour(number) {
  const found = COLOURS[number % COLOURS.length], round = Math.floor(number / COLOURS.length) % 3;
  return round ? found.map((part) => (part + (round === 1 ? 255 : 0)) >> 1) : found;
}

function predicted(row) {
  const { found } = row;
  if (found.counts) return [countsOf(found)];
  const shares = Object.entries(found.probabilities || found.shares).filter(([, p]) => p || !found.mask);
  const bars = make("div", { className: "bars" });
  for (const [name, p] of shares.sort((a, b) => b[1] - a[1]).slice(0, SHOWN)) {
    const fill = make("div", { className: "fill" });
    fill.style.width = percent(p).replace(" ", "");
    if (found.mask && !isBackground(name)) fill.style.background = `rgb(${colour(model.classes.indexOf(name)).join()})`;
    const track = make("div", { className: "track" }, fill);
    bars.append(make("span", { textContent: name, title: name }), track, make("span", { textContent: percent(p) }));
  }
  if (found.mask) return [bars];
  const label = Array.isArray(found.predicted) ? found.predicted.join(", ") || say("none") : found.predicted;
  const line = make("div", {}, make("span", { className: "label", textContent: label }));
  line.title = say("calibrated", percent(found.confidence));
  if (found.unsure) line.append(make("span", { className: "unsure", textContent: say("unsure") }));
  return model.heat ? [line, bars, heatButton(row)] : [line, bars];
}

function correction(row) {
  if (!row.found) return [];
  const chosen = Array.isArray(row.found.predicted) ? labelsOf(row) : labelOf(row);
  return row.label === null ? [chosen] : [chosen, make("div", { className: "kept", textContent: say(row.kept ? "kept" : "noted") })];
}

function labelOf(row) {
  const select = make("select", { ariaLabel: say("wrong") }, make("option", { value: "", textContent: say("wrong") }));
  select.append(...model.classes.map((name) => make("option", { value: name, textContent: name, selected: row.label === name })));
  select.addEventListener("change", () => correct(row, select.value || null));
  return select;
}

function labelsOf(row) {
  const boxes = model.classes.map((name) => make("input", { type: "checkbox", value: name, checked: (row.label || row.found.predicted).includes(name) }));
  const lines = boxes.map((one) => make("label", { className: "check" }, one, one.value));
  const list = make("details", { className: "labels", open: row.open }, make("summary", { textContent: say("wrong") }), ...lines);
  list.addEventListener("toggle", () => { row.open = list.open; });
  list.addEventListener("change", () => correct(row, boxes.filter((one) => one.checked).map((one) => one.value)));
  return list;
}

async function correct(row, label) {
  row.label = label;
  row.kept = false;
  if (model.corrections && label !== null) {
    try {
      await predictor.correct(await sampleOf(row), label);
      row.kept = true;
    } catch (error) {
      $("problem").textContent = error.message;
    }
  }
  show(row);
}

// --- camera and microphone ------------------------------------------------------------------------
async function device(wanted) {
  try {
    return await navigator.mediaDevices.getUserMedia(wanted);
  } catch (error) {
    $("problem").textContent = say("device", error.name);
    return null;
  }
}
const release = (stream) => stream.getTracks().forEach((track) => track.stop());

async function openCamera() {
  const stream = await device({ video: { facingMode: "environment" } });
  if (!stream) return;
  $("video").srcObject = stream;
  $("viewer").showModal();
}

function shoot() {
  const video = $("video"), canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => add(blob, `photo-${rows.length + 1}.jpg`), "image/jpeg", 0.95);
  $("viewer").close();
}

let recorder = null;
async function record() {
  if (recorder) { recorder.stop(); return; }
  const stream = await device({ audio: true });
  if (!stream) return;
  const parts = [], began = Date.now();
  recorder = new MediaRecorder(stream);
  const told = () => { $("microphone").textContent = say("stop", Math.round((Date.now() - began) / 1000)); };
  const clock = setInterval(told, 500);
  told();
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = () => {
    clearInterval(clock);
    release(stream);
    const type = recorder.mimeType;
    recorder = null;
    $("microphone").textContent = say("microphone");
    readable(new Blob(parts, { type })).then((blob) => add(blob, `recording-${rows.length + 1}.wav`));
  };
  recorder.start();
}

// --- words and events -----------------------------------------------------------------------------
function speak() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = say(one.dataset.text);
  $("language").textContent = language === "zh" ? "English" : "中文";
  $("language").lang = language === "zh" ? "en" : "zh";
  if (!model) return;
  document.title = $("title").textContent = TASKS[language][model.problem] || model.problem;
  const names = model.classes.slice(model.decision.rule === "objects" ? 1 : 0).join(" · ");
  $("about").textContent = names.length > 120 ? `${names.slice(0, 120)}…` : names;
  $("invite").textContent = say({ image: "image", audio: "audio", text: "texts" }[model.medium]);
  $("types").textContent = say({ image: "types", audio: "audioTypes", text: "textTypes" }[model.medium], Math.floor(model.max_bytes / 2 ** 20));
  $("note").textContent = say(model.corrections ? "store" : "here");
  $("shown").textContent = say(model.decision.rule === "pixels" ? "shares" : "prediction");
  $("wrong").hidden = ofMasks();
  $("results").className = ofMasks() ? "masks" : "";
  rows.forEach(show);
}

$("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; speak(); });
$("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  predictor.token = $("token").value;
  open();
});
$("texts").addEventListener("submit", (event) => {
  event.preventDefault();
  for (const line of $("text").value.split("\n")) if (line.trim()) add(null, "", line);
  $("text").value = "";
});
$("text").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("texts").requestSubmit(); });
$("files").addEventListener("change", () => { addFiles($("files").files); $("files").value = ""; });
$("camera").addEventListener("click", openCamera);
$("shoot").addEventListener("click", shoot);
$("close").addEventListener("click", () => $("viewer").close());
$("viewer").addEventListener("close", () => { release($("video").srcObject); $("video").srcObject = null; });
$("microphone").addEventListener("click", record);
$("csv").addEventListener("click", saveTable);
$("corrections").addEventListener("click", saveCorrections);
$("clear").addEventListener("click", () => {
  rows.forEach((row) => URL.revokeObjectURL(row.url));
  rows = [];
  $("rows").replaceChildren();
  $("tools").hidden = $("results").hidden = true;
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("intake").classList.toggle("over", name === "dragover");
    if (name === "drop" && model) addFiles(event.dataTransfer.files);
  });
}
document.addEventListener("paste", (event) => { if (model && event.clipboardData.files.length) addFiles(event.clipboardData.files); });
speak();
open();
