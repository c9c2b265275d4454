// Objects and heat, as the server predicts them, over the image.

// The number of the class of every pixel, 0 where there is no object; the most confident object is on top, its outline is left out.
function classesOf(objects) {
  if (!objects.length) return { width: 1, height: 1, numbers: new Uint8Array(1), clear: true };
  const [height, width] = objects[0].segmentation.size, numbers = new Uint8Array(width * height);
  for (const { class: name, segmentation } of [...objects].reverse()) {
    const inside = new Uint8Array(width * height), number = model.classes.indexOf(name);
    let at = 0, on = 0;
    for (const run of runsOf(segmentation.counts)) {
      if (on) for (let k = at; k < at + run; k++) inside[(k % height) * width + Math.floor(k / height)] = 1;
      at += run;
      on = 1 - on;
    }
    for (let k = 0; k < inside.length; k++) {
      if (inside[k]) numbers[k] = inside[k - 1] && inside[k + 1] && inside[k - width] && inside[k + width] ? number : 0;
    }
  }
  return { width, height, numbers, clear: true };
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
      row.heat = row.heat ? null : (await predictor.heat(await sampleOf(row))).heat;
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
