// Objects and heat over the image.

// numbers: of the class of every pixel, 0 where there is no object. edges: 1 at the edges of objects. objects: with class, box (x, y,
// width, height) and the pixels inside it, the most confident first, which is on top.
function classesOf(objects, [height, width]) {
  const ids = new Uint16Array(height * width), numbers = new Uint8Array(height * width), edges = new Uint8Array(height * width);
  for (const [n, { box: [left, top, wide, high], inside }] of [...objects.entries()].reverse()) {
    for (let y = 0, at = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) if (inside[at++]) ids[(top + y) * width + left + x] = n + 1;
    }
  }
  const classes = objects.map((one) => model.classes.indexOf(one.class)), thick = Math.ceil(Math.max(height, width) / 400);
  for (let y = 0, k = 0; y < height; y++) {
    for (let x = 0; x < width; x++, k++) {
      const id = ids[k];
      if (!id) continue;
      numbers[k] = classes[id - 1];
      for (let away = 1; away <= thick && !edges[k]; away++) {
        const apart = ids[k - away * width] !== id || ids[k + away * width] !== id;
        if (apart || x < away || x + away >= width || ids[k - away] !== id || ids[k + away] !== id) edges[k] = 1;
      }
    }
  }
  return { width, height, numbers, edges };
}

// The pixels inside the box of an object, from its run lengths: column by column over the image, those outside first.
function insideOf({ box: [left, top, width, height], segmentation: { size: [rows], counts } }) {
  const inside = new Uint8Array(width * height);
  let at = 0, on = false;
  for (const run of runsOf(counts)) {
    for (let k = at; on && k < at + run; k++) inside[((k % rows) - top) * width + Math.floor(k / rows) - left] = 1;
    at += run;
    on = !on;
  }
  return inside;
}

// COCO's compressed run lengths: five bits a character, the sixth says that more follow; differences from the fourth number on.
function runsOf(counts) {
  const runs = [];
  for (let at = 0; at < counts.length;) {
    let value = 0, shift = 0, code;
    do {
      code = counts.charCodeAt(at++) - 48;
      value |= (code & 31) << shift;
      shift += 5;
    } while (code & 32);
    if (code & 16) value |= -1 << shift;
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
  }
  return runs;
}

// The number of objects of each class that has some, and their confidences.
function countsOf(found) {
  const counts = Object.entries(found.counts).filter(([, count]) => count);
  if (!counts.length) return make("div", { className: "name", textContent: say("noObjects") });
  return make("div", { className: "counts" }, ...counts.flatMap(([name, count]) => {
    const sure = found.objects.filter((one) => one.class === name).map((one) => percent(one.confidence)), swatch = make("span", { className: "swatch" });
    swatch.style.background = `rgb(${colour(model.classes.indexOf(name)).join()})`;
    return [swatch, make("span", { className: "label", textContent: `${count} × ${name}` }),
      make("span", { className: "name", textContent: sure.slice(0, 8).join(", ") + (sure.length > 8 ? " …" : "") })];
  }));
}

function heatButton(row) {
  const button = make("button", { type: "button", className: "small", textContent: say(row.heat ? "noHeat" : "heat") });
  button.addEventListener("click", async () => {
    button.setAttribute("aria-disabled", true); // it keeps the focus
    if (button.busy) return;
    button.busy = true;
    $("problem").textContent = "";
    try {
      row.heat = row.heat ? null : await predictor.heat(await sampleOf(row), (share) => { button.textContent = percent(share); });
    } catch (error) {
      $("problem").textContent = error.message;
    }
    show(row);
  });
  return button;
}

// Red where covering the part lowers the evidence for the class, as strong as the largest fall.
function paintHeat(canvas, image, { evidence }) {
  const side = evidence.length, cells = new ImageData(side, side), most = Math.max(...evidence.flat(), 1e-3);
  evidence.flat().forEach((value, k) => cells.data.set([213, 60, 0, Math.max(0, 255 * value / most)], 4 * k));
  const small = make("canvas", { width: side, height: side });
  small.getContext("2d").putImageData(cells, 0, 0);
  const draw = () => {
    const width = image.naturalWidth, height = image.naturalHeight, shown = model.input.fit === "crop" ? Math.min(width, height) : 0;
    Object.assign(canvas, { width, height });
    const [w, h] = shown ? [shown, shown] : [width, height];
    canvas.getContext("2d").drawImage(small, (width - w) / 2, (height - h) / 2, w, h);
  };
  if (image.complete && image.naturalWidth) draw(); else image.addEventListener("load", draw);
}
