// Predictions in this browser, by onnxruntime-web, from the files of the page.
const KINDS = { image: [Uint8Array, "uint8"], audio: [Float32Array, "float32"], text: [BigInt64Array, "int64"] };
const RUNTIME = "runtime/ort.wasm.bundle.min.mjs", WASM = "runtime/ort-wasm-simd-threaded.wasm";
const TOKENIZERS = "runtime/tokenizers.min.mjs";

const predictor = {
  parallel: 1,
  words: {
    en: {
      types: "JPEG, PNG, WebP, GIF or BMP", audioTypes: "WAV, FLAC, Ogg or MP3", textTypes: "",
      here: "The model runs in this browser: samples do not leave this device. Corrections stay in this page until you save them.",
      store: "", missing: "{0} cannot be loaded. This folder needs a web server, such as: python -m http.server",
      damaged: "{0} was changed or damaged: its SHA-256 is not the recorded one.", unreadable: "The file cannot be read: {0}",
      differs: "The model predicts differently in this browser, so it is not used: {0}",
    },
    zh: {
      types: "JPEG、PNG、WebP、GIF 或 BMP", audioTypes: "WAV、FLAC、Ogg 或 MP3", textTypes: "",
      here: "模型在此浏览器中运行：样本不会离开本设备。更正保存在此页面中，直到您将其保存为文件。", store: "",
      missing: "无法加载 {0}。此文件夹需要通过网页服务器打开，例如：python -m http.server",
      damaged: "{0} 已被更改或损坏：其 SHA-256 与记录不符。", unreadable: "无法读取文件：{0}",
      differs: "模型在此浏览器中的预测不同，因此不使用：{0}",
    },
  },

  async open() {
    const json = async (name) => JSON.parse(new TextDecoder().decode(await this.file(name)));
    this.contents = JSON.parse($("contents").textContent);
    this.info = await json("bundle/bundle.json");
    this.ort = await this.library(RUNTIME);
    Object.assign(this.ort.env, { logLevel: "error" });
    Object.assign(this.ort.env.wasm, { numThreads: 1, wasmBinary: await this.file(WASM) });
    const settings = { executionProviders: ["wasm"], extra: this.info.session.config };
    this.session = await this.ort.InferenceSession.create(await this.file("bundle/model.onnx"), settings);
    if (this.info.medium === "text") {
      const { Tokenizer } = await this.library(TOKENIZERS), made = new Tokenizer(await json("bundle/tokenizer.json"), {});
      this.encode = (text, special) => made.encode(text, { add_special_tokens: special }).ids;
    }
    const wrong = await this.goldenDifferences();
    if (wrong.length) throw new Error(say("differs", wrong.join("; ")));
    return { ...this.info, corrections: false, heat: hasHeat(this.info) };
  },

  async predict(sample) {
    const { tensor, size } = await this.prepare(sample), { scores, probabilities = scores } = await this.run(tensor);
    const found = decided(this.info, probabilities.data, probabilities.dims.slice(1), size);
    return found.objects ? { ...found, mask: classesOf(found.objects, found.size) } : found;
  },

  // progress: receives the share that is computed.
  async heat(sample, progress) {
    const { tensor } = await this.prepare(sample), { height, width } = this.info.input, found = [];
    const p = async (pixels) => (await this.run(pixels)).probabilities.data, whole = await p(tensor);
    for (const pixels of covered(tensor, [height, width])) {
      found.push(await p(pixels));
      progress(found.length / HEAT_CELLS ** 2);
      await new Promise((resolve) => setTimeout(resolve)); // the page stays responsive
    }
    return heatOf(this.info.classes, whole, found);
  },

  // A prepared sample: {tensor, size}. size: height and width of an image.
  async prepare(sample) {
    const { medium, input } = this.info;
    if (medium === "text") return { tensor: BigInt64Array.from(tokenIds(this.encode, sample, input), BigInt) };
    try {
      return medium === "image" ? await pixelsOf(sample, input) : { tensor: await waveOf(sample, input) };
    } catch (error) {
      throw new Error(say("unreadable", error.message));
    }
  },

  run(tensor) {
    const { input, medium } = this.info, shape = medium === "text" ? [tensor.length] : input.shape.slice(1);
    return this.session.run({ samples: new this.ort.Tensor(KINDS[medium][1], tensor, [1, ...shape]) });
  },

  // What differs from the scores of the golden samples, and from their prepared tensors, in words.
  async goldenDifferences() {
    const { tensors, tolerance, apart: most } = this.contents, { golden, medium } = this.info, wrong = [];
    for (const [k, { file, scores: expected }] of golden.entries()) {
      const tensor = new KINDS[medium][0]((await this.file(tensors[k])).buffer);
      const { scores } = await this.run(tensor), step = Math.max(1, Math.floor(scores.data.length / 256));
      const difference = Math.max(...expected.map((score, n) => Math.abs(score - scores.data[n * step])));
      if (!(difference <= tolerance * (1 + Math.max(...expected.map(Math.abs))))) wrong.push(`${file}: scores ± ${difference.toPrecision(3)}`);
      const content = await this.file(`bundle/${file}`), sample = medium === "text" ? new TextDecoder().decode(content) : new Blob([content]);
      const own = await this.prepare(sample).catch(() => null); // of a format that browsers do not read
      if (own && !(apart(medium, own.tensor, tensor) <= most)) wrong.push(`${file}: ± ${apart(medium, own.tensor, tensor).toPrecision(3)}`);
    }
    return wrong;
  },

  // The bytes of a file, which is in this page or beside it.
  async file(name) {
    const inside = document.getElementById(name);
    let bytes;
    if (inside) {
      const packed = Uint8Array.from(atob(inside.textContent), (letter) => letter.charCodeAt(0));
      bytes = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
      inside.remove();
    } else {
      const answer = await fetch(name).catch(() => ({ ok: false }));
      if (!answer.ok) throw new Error(say("missing", name));
      bytes = await answer.arrayBuffer();
    }
    if (crypto.subtle) { // only in secure contexts: https, localhost, and files in most browsers
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      if (hex !== this.contents.files[name]) throw new Error(say("damaged", name));
    }
    return new Uint8Array(bytes);
  },

  async library(name) {
    const url = URL.createObjectURL(new Blob([await this.file(name)], { type: "text/javascript" }));
    try {
      return await import(url);
    } finally {
      URL.revokeObjectURL(url);
    }
  },
};

// The first frame of an image, upright, on white where it is transparent.
async function pixelsOf(blob, input) {
  const start = new Uint8Array(await blob.slice(0, 2).arrayBuffer()), jpeg = start[0] === 0xff && start[1] === 0xd8;
  const image = await createImageBitmap(blob, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  const { width, height } = image, pen = make("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(image, 0, 0);
  image.close();
  const { data } = pen.getImageData(0, 0, width, height), pixels = new Uint8Array(3 * width * height);
  for (let k = 0, at = 0; k < data.length; k += 4) {
    pixels[at++] = data[k];
    pixels[at++] = data[k + 1];
    pixels[at++] = data[k + 2];
  }
  return { tensor: resize(pixels, [height, width], [input.height, input.width], input.fit, jpeg), size: [height, width] };
}

// The wave of an audio file at the rate of the model, its channels averaged. A browser decodes at the rate of its context: that of
// the file where its header tells it, else that of the model.
async function waveOf(blob, input) {
  const content = await blob.arrayBuffer(), own = rateOf(new Uint8Array(content)), rate = own >= 8000 && own <= 96000 ? own : input.rate;
  const audio = await new OfflineAudioContext(1, 1, rate).decodeAudioData(content);
  const channels = Array.from({ length: audio.numberOfChannels }, (_, k) => audio.getChannelData(k));
  const wave = channels.length === 1 ? channels[0] : channels[0].map((_, n) => channels.reduce((sum, one) => sum + one[n], 0) / channels.length);
  return fitted(wave, input.samples, rate, input.rate);
}
