// Objects and heat over the image.

// The number of the class of every pixel, 0 where there is no object. objects: with class, box (x, y, width, height) and the pixels
// inside it, the most confident first, which is on top. Between objects that touch there is a gap.
function classesOf(objects, [height, width]) {
  const ids = new Uint16Array(height * width), numbers = new Uint8Array(height * width), gap = Math.ceil(Math.max(height, width) / 400);
  for (const [n, { box: [left, top, wide, high], inside }] of [...objects.entries()].reverse()) {
    for (let y = 0, at = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) if (inside[at++]) ids[(top + y) * width + left + x] = n + 1;
    }
  }
  const classes = objects.map((one) => model.classes.indexOf(one.class)), others = (id, next) => ids[next] && ids[next] !== id;
  for (let k = 0; k < ids.length; k++) {
    const id = ids[k], right = Math.min(gap, width - 1 - (k % width));
    let apart = id > 0;
    for (let away = 1; apart && away <= gap; away++) apart = !(others(id, k + away * width) || (away <= right && others(id, k + away)));
    if (apart) numbers[k] = classes[id - 1];
  }
  return { width, height, numbers, clear: true };
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

// The number of objects of each class, and their confidences.
function countsOf(found) {
  const table = make("div", { className: "bars" });
  for (const [name, count] of Object.entries(found.counts)) {
    const sure = found.objects.filter((one) => one.class === name).map((one) => percent(one.confidence));
    const label = make("span", { textContent: name, title: name });
    label.style.color = `rgb(${colour(model.classes.indexOf(name)).join()})`;
    table.append(label, make("span", { className: "name", textContent: sure.slice(0, 8).join(", ") + (sure.length > 8 ? " …" : "") }),
      make("span", { textContent: count }));
  }
  return table;
}

function heatButton(row) {
  const button = make("button", { type: "button", className: "plain", textContent: say(row.heat ? "noHeat" : "heat") });
  button.addEventListener("click", async () => {
    button.disabled = true;
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
