// Predictions of `whet serve`.
const predictor = {
  parallel: 4,
  retries: 20,
  words: {
    en: {
      types: "JPEG, PNG, WebP, GIF, BMP or TIFF, up to {0} MB each", audioTypes: "WAV, FLAC, Ogg, MP3 or AIFF, up to {0} MB each",
      textTypes: "", failed: "The server does not respond.",
      here: "Samples are sent to this server only. Corrections stay in this page until you save them.",
      store: "Samples are sent to this server only. It keeps the samples that you correct.",
    },
    zh: {
      types: "JPEG、PNG、WebP、GIF、BMP 或 TIFF，每个不超过 {0} MB", audioTypes: "WAV、FLAC、Ogg、MP3 或 AIFF，每个不超过 {0} MB",
      textTypes: "", failed: "服务器没有响应。", here: "样本只发送到本服务器。更正保存在此页面中，直到您将其保存为文件。",
      store: "样本只发送到本服务器。服务器会保存您更正过的样本。",
    },
  },
  get token() { return sessionStorage.getItem("token") || ""; },
  set token(value) { sessionStorage.setItem("token", value); },

  open() { return this.call("model"); },

  async predict(sample) {
    const found = await this.send("predict", sample);
    if (found.objects) return this.painted(found);
    return found.mask ? { ...found, mask: await this.numbers(found.mask) } : found;
  },

  async heat(sample) { return (await this.send("predict?heat=1", sample)).heat; },

  correct(sample, label) { return this.send(`corrections?label=${encodeURIComponent(label)}`, sample); },

  send(path, sample) {
    const known = typeof sample !== "string" && sample.type.startsWith(`${model.medium}/`);
    const type = typeof sample === "string" ? "text/plain; charset=utf-8" : known ? sample.type.split(";")[0] : `${model.medium}/*`;
    return this.call(path, { method: "POST", body: sample, headers: { "Content-Type": type } });
  },

  // The JSON of a response; it is requested again where the server is busy.
  async call(path, options = {}) {
    const headers = { ...options.headers, ...(this.token ? { Authorization: `Bearer ${this.token}` } : {}) };
    for (let attempt = 0; ; attempt++) {
      const answer = await fetch(path, { ...options, headers }).catch(() => { throw new Error(say("failed")); });
      if ((answer.status === 429 || answer.status === 503) && answer.headers.has("retry-after") && attempt < this.retries) {
        await new Promise((resolve) => setTimeout(resolve, 1000 * Number(answer.headers.get("retry-after"))));
        continue;
      }
      const found = await answer.json().catch(() => { throw new Error(say("failed")); });
      if (!answer.ok) throw Object.assign(new Error(found.error), { status: answer.status });
      return found;
    }
  },

  painted(found) {
    const objects = found.objects.map((one) => ({ ...one, inside: insideOf(one) }));
    return { ...found, objects, mask: classesOf(objects, objects.length ? objects[0].segmentation.size : [1, 1]) };
  },

  // The class of every pixel of a mask, a grey PNG in base64.
  async numbers(mask) {
    const bytes = Uint8Array.from(atob(mask), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }), { colorSpaceConversion: "none" });
    const pen = make("canvas", { width: image.width, height: image.height }).getContext("2d");
    pen.drawImage(image, 0, 0);
    const { width, height, data } = pen.getImageData(0, 0, image.width, image.height);
    return { width, height, numbers: Uint8Array.from({ length: width * height }, (_, k) => data[4 * k]) };
  },
};
