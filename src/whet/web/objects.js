// From the outputs of a network for instance segmentation to objects, as objects.py finds them. This script touches no document.
// outputs: float32 (channels, rows, columns), in cells. size: height and width in pixels. Classes are numbers, 0 is the background.
// An object: {number, score, top, left, height, width, inside}: number of its class, score 0 … 1, box, its pixels inside the box.
const MOST_OBJECTS = { centre_offset: 1000, cond_inst: 300, own: 300 }, LEAST_SCORE = { cond_inst: 0.1, own: 0.05 };
const OFFSET_UNIT = 8, MIN_HEAT = 0.1, PEAK_REACH = 2, FINE = 2; // centre_offset: cells, heat, cells, places in a cell per direction
const CANDIDATES = 1000, MASK_FEATURES = 8, MASK_PARAMETERS = 169, MASK_UNIT = 8; // cond_inst: cells, of its networks, cells
const SAME_OBJECT = 0.5; // IoU of two masks of one class

// The objects in the outputs of this head, those with the highest scores first. classes: their number, with the background.
function objectsOf(head, outputs, dims, classes, size) {
  return { centre_offset: objectsByCentres, cond_inst: objectsByCells, own: objectsByQueries }[head](outputs, dims, classes, size);
}

// The numbers of a channel in outputs (channels, rows, columns).
const channelOf = (outputs, [, rows, columns], k) => outputs.subarray(k * rows * columns, (k + 1) * rows * columns);
const sigmoid = (x) => 1 / (1 + Math.exp(-Math.min(80, Math.max(-80, x))));
// The numbers of these scores, the highest first; of equal ones the first.
const descending = (scores) => Uint32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);

// Probabilities from logits (classes, cells).
function softmax(logits, classes) {
  const cells = logits.length / classes, found = new Float32Array(logits.length);
  for (let cell = 0; cell < cells; cell++) {
    let most = -Infinity, sum = 0;
    for (let at = cell; at < logits.length; at += cells) most = Math.max(most, logits[at]);
    for (let at = cell; at < logits.length; at += cells) sum += found[at] = Math.exp(logits[at] - most);
    for (let at = cell; at < logits.length; at += cells) found[at] /= sum;
  }
  return found;
}

// The cells with at least this value and none higher within `reach` cells on each side, row by row.
function peaks(values, rows, columns, reach, least) {
  const found = [];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const value = values[y * columns + x], bottom = Math.min(rows - 1, y + reach), right = Math.min(columns - 1, x + reach);
      let highest = value >= least;
      for (let v = Math.max(0, y - reach); highest && v <= bottom; v++) {
        for (let u = Math.max(0, x - reach); highest && u <= right; u++) highest = values[v * columns + u] <= value;
      }
      if (highest) found.push(y * columns + x);
    }
  }
  return found;
}

// --- centre_offset --------------------------------------------------------------------------------
// The outputs are logits of the classes, the heat of centres, and offsets (y, x) to the centre of the object. A pixel of any class
// but the background belongs to the centre nearest to where its offset points.
function objectsByCentres(outputs, dims, classes, size) {
  const [, rows, columns] = dims, [height, width] = size, numbers = new Uint16Array(height * width);
  const likely = mostLikely(softmax(outputs.subarray(0, classes * rows * columns), classes), [classes, rows, columns], size);
  const places = centres(channelOf(outputs, dims, classes), rows, columns);
  if (!places.length) return [];
  const [down, across] = [1, 2].map((k) => resized(channelOf(outputs, dims, classes + k), [rows, columns], size));
  const nearest = nearestOf(places, rows * FINE, columns * FINE), clipped = (place, side) => Math.min(Math.max(Math.trunc(place), 0), side - 1);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (!likely.numbers[at]) continue;
      const v = ((y + 0.5) * (rows / height) + OFFSET_UNIT * down[at]) * FINE, u = ((x + 0.5) * (columns / width) + OFFSET_UNIT * across[at]) * FINE;
      numbers[at] = nearest(clipped(v, rows * FINE), clipped(u, columns * FINE));
    }
  }
  return scored(numbers, places, likely, classes);
}

// The peaks of the heat, {y, x, heat} in cells. Equal neighbouring peaks are one, in their middle.
function centres(heat, rows, columns) {
  const left = new Set(peaks(heat, rows, columns, PEAK_REACH, MIN_HEAT)), found = [];
  for (const first of left) {
    const group = [first];
    left.delete(first);
    for (const cell of group) { // which grows
      for (let y = -1; y <= 1; y++) {
        for (let x = -1; x <= 1; x++) {
          const next = cell + y * columns + x, inside = (cell % columns) + x >= 0 && (cell % columns) + x < columns;
          if (inside && left.delete(next)) group.push(next);
        }
      }
    }
    const mean = (of) => group.reduce((sum, cell) => sum + of(cell), 0) / group.length + 0.5;
    const place = { y: mean((cell) => Math.floor(cell / columns)), x: mean((cell) => cell % columns) };
    found.push({ ...place, heat: Math.min(1, Math.max(...group.map((cell) => heat[cell]))) });
  }
  return found;
}

// The number, from 1, of the place that is nearest to (y, x) in a finer grid; of equally near ones the leftmost, then the upper one.
function nearestOf(places, rows, columns) {
  const fine = places.map(({ y, x }, k) => [Math.trunc(y * FINE), Math.trunc(x * FINE), k + 1]);
  fine.sort((a, b) => a[1] - b[1] || a[0] - b[0] || b[2] - a[2]);
  const [ys, xs, ks] = [0, 1, 2].map((part) => Int32Array.from(fine, (one) => one[part])), known = new Uint16Array(rows * columns);
  return (y, x) => {
    const cell = y * columns + x;
    if (!known[cell]) {
      for (let n = 0, least = Infinity; n < ks.length; n++) {
        const away = (ys[n] - y) ** 2 + (xs[n] - x) ** 2;
        if (away < least) { least = away; known[cell] = ks[n]; }
      }
    }
    return known[cell];
  };
}

// The objects of a map of object numbers, 0 for none. The class of an object is that of most of its pixels; its score is the mean
// probability of its pixels times the heat of its centre.
function scored(numbers, places, { width, height, numbers: of, best }, classes) {
  const count = places.length + 1, votes = new Uint32Array(count * classes), sure = new Float64Array(count);
  const boxes = Array.from({ length: count }, () => ({ top: height, bottom: -1, left: width, right: -1 }));
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const n = numbers[at];
      if (!n) continue;
      votes[n * classes + of[at]]++;
      sure[n] += best[at];
      const box = boxes[n];
      if (y < box.top) box.top = y;
      if (x < box.left) box.left = x;
      if (x > box.right) box.right = x;
      box.bottom = y;
    }
  }
  const votesOf = (n) => votes.subarray(n * classes, (n + 1) * classes), areas = Array.from(boxes, (_, n) => votesOf(n).reduce((a, b) => a + b));
  const scores = areas.map((area, n) => (area ? (sure[n] / area) * places[n - 1].heat : 0));
  const kept = descending(scores).filter((n) => areas[n]).slice(0, MOST_OBJECTS.centre_offset);
  return Array.from(kept, (n) => {
    const { top, bottom, left, right } = boxes[n], one = { top, left, height: bottom + 1 - top, width: right + 1 - left };
    const inside = new Uint8Array(one.height * one.width);
    for (let y = 0, at = 0; y < one.height; y++) {
      for (let x = 0; x < one.width; x++) inside[at++] = numbers[(top + y) * width + left + x] === n ? 1 : 0;
    }
    return { number: votesOf(n).indexOf(Math.max(...votesOf(n))), score: scores[n], ...one, inside };
  });
}

// --- cond_inst ------------------------------------------------------------------------------------
// The outputs are logits of the classes without the background, the logit of the quality of the mask, and parameters and features of
// masks. A cell whose score for a class is the highest of the nine around it is a candidate.
function objectsByCells(outputs, dims, classes, size) {
  const [channels, rows, columns] = dims, quality = channelOf(outputs, dims, classes - 1), found = [];
  for (let number = 1; number < classes; number++) {
    const scores = channelOf(outputs, dims, number - 1).map((logit, cell) => Math.sqrt(sigmoid(logit)) * sigmoid(quality[cell]));
    for (const cell of peaks(scores, rows, columns, 1, LEAST_SCORE.cond_inst)) found.push({ number, cell, score: scores[cell] });
  }
  const groups = outputs.subarray(classes * rows * columns), groupDims = [channels - classes, rows, columns];
  const order = descending(found.map((one) => one.score)).slice(0, CANDIDATES);
  return distinct(order, (k) => ({ ...found[k], logits: maskOf(groups, groupDims, found[k].cell) }), [rows, columns], size, MOST_OBJECTS.cond_inst);
}

// The logits of the mask of a cell, summed over all groups of parameters and features: those of a network with two hidden layers of
// 8 units, whose parameters are there, on the 8 features of every cell and its offset (y, x) from that one.
function maskOf(groups, [channels, rows, columns], cell) {
  const area = rows * columns, found = new Float32Array(area), y = Math.floor(cell / columns), x = cell % columns;
  const input = new Float64Array(MASK_FEATURES + 2), [one, two] = [new Float64Array(MASK_FEATURES), new Float64Array(MASK_FEATURES)];
  for (let first = 0; first < channels; first += MASK_PARAMETERS + MASK_FEATURES) {
    const parameters = Float64Array.from({ length: MASK_PARAMETERS }, (_, k) => groups[(first + k) * area + cell]);
    const features = groups.subarray((first + MASK_PARAMETERS) * area), layers = [];
    for (let layer = 0, at = 0; layer < 3; layer++) {
      const to = layer < 2 ? MASK_FEATURES : 1, from = layer ? MASK_FEATURES : MASK_FEATURES + 2;
      layers.push([parameters.subarray(at, at + to * from), parameters.subarray(at + to * from, at + to * from + to)]);
      at += to * from + to;
    }
    for (let at = 0; at < area; at++) {
      for (let k = 0; k < MASK_FEATURES; k++) input[k] = features[k * area + at];
      input[MASK_FEATURES] = (Math.floor(at / columns) - y) / MASK_UNIT;
      input[MASK_FEATURES + 1] = ((at % columns) - x) / MASK_UNIT;
      hidden(input, layers[0], one);
      hidden(one, layers[1], two);
      let sum = layers[2][1][0];
      for (let k = 0; k < MASK_FEATURES; k++) sum += layers[2][0][k] * two[k];
      found[at] += sum;
    }
  }
  return found;
}

// Writes max(0, weights · input + biases).
function hidden(input, [weights, biases], into) {
  for (let k = 0, at = 0; k < into.length; k++) {
    let sum = biases[k];
    for (let n = 0; n < input.length; n++) sum += weights[at++] * input[n];
    into[k] = sum > 0 ? sum : 0;
  }
}

// --- own ------------------------------------------------------------------------------------------
// Each query has, in its first rows, its number of class logits, these logits, the last for "no object", and zeros to the end of
// the row; then the logits of its mask. Its score is the probability of its class times the mean probability of its pixels.
function objectsByQueries(outputs, dims, classes, size) {
  const [count, rows, columns] = dims, logits = outputs[0], head = Math.ceil((logits + 1) / columns), found = [];
  for (let q = 0; q < count; q++) {
    const query = channelOf(outputs, dims, q), mask = query.subarray(head * columns);
    const p = softmax(query.subarray(1, logits + 1), logits).subarray(0, logits - 1), largest = p.reduce((a, b) => Math.max(a, b));
    let pixels = 0, sum = 0;
    for (const logit of mask) if (logit > 0) { pixels++; sum += sigmoid(logit); }
    found.push({ number: p.indexOf(largest) + 1, score: (largest * sum) / Math.max(1, pixels), logits: mask });
  }
  const order = descending(found.map((one) => one.score)).filter((q) => found[q].score >= LEAST_SCORE.own);
  return distinct(order, (q) => found[q], [rows - head, columns], size, MOST_OBJECTS.own);
}

// --- masks ----------------------------------------------------------------------------------------
// The objects without duplicates. order: of the candidates, the best first. candidate: from its number to {number, score, logits}.
// Of two of a class whose masks overlap by more than half, the worse one is a duplicate; the score of the others is multiplied by
// 1 - their largest IoU with a better one.
function distinct(order, candidate, [rows, columns], size, most) {
  const found = [], rough = new Map();
  for (const k of order) {
    const { number, score, logits } = candidate(k), cells = trimmed(0, 0, rows, columns, logits.map((logit) => logit > 0));
    if (!rough.has(number)) rough.set(number, []);
    const better = rough.get(number), overlap = Math.max(0, ...better.map((other) => iou(cells, other)));
    if (!cells.inside.length || overlap > SAME_OBJECT) continue;
    better.push(cells);
    found.push({ number, score: score * (1 - overlap), ...upsampled(logits, [rows, columns], cells, size) });
    if (found.length === most) break;
  }
  return found.sort((a, b) => b.score - a.score);
}

function iou(one, other) {
  const top = Math.max(one.top, other.top), bottom = Math.min(one.top + one.height, other.top + other.height);
  const left = Math.max(one.left, other.left), right = Math.min(one.left + one.width, other.left + other.width);
  if (top >= bottom || left >= right) return 0;
  let shared = 0;
  for (let y = top; y < bottom; y++) {
    const ours = (y - one.top) * one.width - one.left, theirs = (y - other.top) * other.width - other.left;
    for (let x = left; x < right; x++) shared += one.inside[ours + x] & other.inside[theirs + x];
  }
  return shared / Math.max(1, areaOf(one) + areaOf(other) - shared);
}

const areaOf = (one) => one.inside.reduce((sum, is) => sum + is, 0);

// Where the logits, resized to this size, are positive: bilinear, with half-pixel centres. cells: the box of positive ones, around
// which alone they are resized.
function upsampled(logits, counts, cells, size) {
  const taps = [[cells.top, cells.height], [cells.left, cells.width]].map(([first, length], axis) => {
    const count = counts[axis], scale = size[axis] / count;
    const start = Math.floor(Math.max(0, first - 1) * scale), stop = Math.floor(Math.min(count, first + length + 1) * scale);
    const places = Array.from({ length: Math.max(1, stop - start) }, (_, k) => Math.min(Math.max((start + k + 0.5) / scale - 0.5, 0), count - 1));
    const low = Int32Array.from(places);
    return { start, low, share: Float32Array.from(places, (place, k) => place - low[k]) };
  });
  const [down, across] = taps, [rows, columns] = counts, height = down.low.length, width = across.low.length;
  const row = new Float32Array(columns), inside = new Uint8Array(height * width);
  for (let y = 0, at = 0; y < height; y++) {
    const above = down.low[y] * columns, below = Math.min(down.low[y] + 1, rows - 1) * columns;
    for (let x = 0; x < columns; x++) row[x] = logits[above + x] + down.share[y] * (logits[below + x] - logits[above + x]);
    for (let x = 0; x < width; x++) {
      const left = row[across.low[x]], right = row[Math.min(across.low[x] + 1, columns - 1)];
      inside[at++] = left + across.share[x] * (right - left) > 0 ? 1 : 0;
    }
  }
  return trimmed(down.start, across.start, height, width, inside);
}

// A mask inside its bounding box; without any pixels where it has none. values: of (height, width), not 0 inside.
function trimmed(top, left, height, width, values) {
  let [first, last, start, end] = [height, -1, width, -1];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!values[at++]) continue;
      first = Math.min(first, y);
      last = y;
      if (x < start) start = x;
      if (x > end) end = x;
    }
  }
  if (last < 0) return { top: 0, left: 0, height: 0, width: 0, inside: new Uint8Array(0) };
  const one = { top: top + first, left: left + start, height: last + 1 - first, width: end + 1 - start };
  const inside = new Uint8Array(one.height * one.width);
  for (let y = 0, at = 0; y < one.height; y++) {
    for (let x = 0; x < one.width; x++) inside[at++] = values[(first + y) * width + start + x] ? 1 : 0;
  }
  return { ...one, inside };
}

// --- what is predicted ----------------------------------------------------------------------------
// The prediction for an image. objects: those with at least this score, the most confident first, {class, confidence, box (x, y,
// width, height), area, inside: the pixels of its box}. counts: of objects, by class.
function described(found, classes, least) {
  const objects = found.filter((one) => one.score >= least).map((one) => ({
    class: classes[one.number], confidence: one.score, box: [one.left, one.top, one.width, one.height], area: areaOf(one), inside: one.inside,
  }));
  const count = (name) => objects.filter((one) => one.class === name).length;
  return { objects, counts: Object.fromEntries(classes.slice(1).map((name) => [name, count(name)])) };
}
