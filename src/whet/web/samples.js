// The rules of samples.py and predict.py: how samples are prepared and predictions decided. This script touches no document.
const LONGEST_SIDE = 2048; // pixels of a predicted mask; those of larger images are as much smaller
const MAX_CHARACTERS = 100000;

// Weighted sums along an axis of values (rows, columns, channels). taps: for each output the pairs (place, weight).
function applied(values, [rows, columns, channels], axis, taps) {
  const side = axis ? columns : rows, outer = axis ? rows : 1, inner = axis ? channels : columns * channels;
  const places = Int32Array.from(taps.flat(), (pair) => pair[0] * inner), weights = Float64Array.from(taps.flat(), (pair) => pair[1]);
  const found = new Float32Array(outer * taps.length * inner);
  for (let o = 0, to = 0; o < outer; o++) {
    for (let k = 0, n = 0; k < taps.length; k++, to += inner) {
      for (const end = n + taps[k].length; n < end; n++) {
        const from = o * side * inner + places[n], weight = weights[n];
        for (let c = 0; c < inner; c++) found[to + c] += weight * values[from + c];
      }
    }
  }
  return found;
}

// The means of `count` parts of a side of this length, parts of pixels included.
function areaTaps(side, count, length) {
  return Array.from({ length: count }, (_, k) => {
    const start = k * length, end = Math.min(side, start + length), pairs = [];
    for (let place = Math.floor(start); place < end; place++) {
      const share = Math.min(end, place + 1) - Math.max(start, place);
      if (share > 1e-9) pairs.push([place, share / (end - start)]);
    }
    return pairs;
  });
}

// Bilinear samples at the centres of `count` equal parts of a span. whole: pixels outside the span repeat those at its ends;
// otherwise those outside the image are mirrored.
function bilinearTaps(side, count, [start, end], whole) {
  const clip = (place, low, high) => Math.min(Math.max(place, low), high);
  const mirrored = (place) => (Math.abs(place) > side - 1 ? 2 * (side - 1) - Math.abs(place) : Math.abs(place));
  const at = (place) => (whole ? clip(place, Math.round(start), Math.round(end) - 1) : clip(mirrored(place), 0, side - 1));
  return Array.from({ length: count }, (_, k) => {
    const place = start + (k + 0.5) * ((end - start) / count) - 0.5, first = Math.floor(place), share = place - first;
    return [[at(first), 1 - share], [at(first + 1), share]];
  });
}

// To whole numbers, halves to even ones, as NumPy does.
const rounded = (values) => new Uint8Array(Uint8ClampedArray.from(values).buffer);

// The pixels (height, width, 3) of an image at another size; see read_image. A JPEG is first averaged over the squares that its
// decoder reduces there.
function resize(pixels, source, size, fit, jpeg) {
  let steps = size.map((shown, axis) => source[axis] / shown);
  if (fit === "crop") steps = steps.map(() => Math.min(...steps));
  const factors = steps.map((step) => Math.max(1, Math.floor(step * 0.8 + 1e-6)));
  const square = jpeg ? [8, 4, 2].find((scale) => Math.min(...factors) >= scale) || 1 : 1;
  let shape = [...source, 3], found = pixels;
  const averaged = (counts, lengths) => {
    for (let axis = 0; axis < 2; axis++) {
      if (counts[axis] === shape[axis]) continue;
      found = applied(found, shape, axis, areaTaps(shape[axis], counts[axis], lengths[axis]));
      shape[axis] = counts[axis];
    }
    found = rounded(found);
  };
  if (square > 1) averaged(source.map((side) => Math.ceil(side / square)), [square, square]);
  const wanted = factors.map((factor, axis) => Math.max(1, Math.floor(source[axis] / factor)));
  if (Math.max(...factors) > 1 && !wanted.every((side, axis) => shape[axis] < 2 * side)) {
    const counts = wanted.map((side, axis) => Math.min(side, shape[axis]));
    averaged(counts, counts.map((count, axis) => shape[axis] / count));
  }
  const spans = size.map((shown, axis) => {
    const scale = shape[axis] / source[axis], length = steps[axis] * shown;
    return [(source[axis] - length) / 2 * scale, (source[axis] + length) / 2 * scale];
  });
  const whole = spans.flat().every((edge) => Math.abs(edge - Math.round(edge)) <= 1e-3);
  for (let axis = 0; axis < 2; axis++) {
    found = applied(found, shape, axis, bilinearTaps(shape[axis], size[axis], spans[axis], whole));
    shape[axis] = size[axis];
  }
  return rounded(found);
}

// A wave of this length at the wanted rate: the middle of a longer one, a shorter one followed by silence; see read_audio. Only what
// is kept is resampled.
function fitted(wave, samples, rate, wanted) {
  const count = rate === wanted ? wave.length : Math.max(1, Math.round((wave.length * wanted) / rate));
  const start = Math.max(0, Math.floor((count - samples) / 2)), end = Math.min(count, start + samples);
  const found = new Float32Array(samples), at = rate === wanted ? (n) => wave[n] : resampled(wave, rate, wanted);
  for (let n = start; n < end; n++) found[n - start] = at(n);
  return found;
}

// The samples of a wave at another rate by their numbers, by a windowed sinc; see resample.
function resampled(wave, rate, wanted) {
  const divisor = (a, b) => (b ? divisor(b, a % b) : a), up = wanted / divisor(rate, wanted), down = rate / divisor(rate, wanted);
  const band = Math.min(1, up / down), half = Math.ceil(90 / band), kernels = new Map();
  const sinc = (x) => (x ? Math.sin(Math.PI * x) / (Math.PI * x) : 1), beta = 12.3;
  const kernelAt = (part) => {
    const kernel = Float64Array.from({ length: 2 * half + 1 }, (_, k) => {
      const place = k - half - part / up, window = bessel(beta * Math.sqrt(Math.max(0, 1 - (place / (half + 1)) ** 2)));
      return sinc(place * band * 0.955) * window;
    });
    const sum = kernel.reduce((a, b) => a + b);
    return kernel.map((one) => one / sum);
  };
  return (n) => {
    const part = (n * down) % up, first = (n * down - part) / up - half;
    if (!kernels.has(part)) kernels.set(part, kernelAt(part));
    const kernel = kernels.get(part), stop = Math.min(kernel.length, wave.length - first);
    let sum = 0;
    for (let k = Math.max(0, -first); k < stop; k++) sum += kernel[k] * wave[first + k];
    return sum;
  };
}

// The modified Bessel function of order 0.
function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / 2 / k) ** 2;
  return sum;
}

// The sample rate in the header of a WAV, FLAC, Ogg or MP3 file; 0 where it is not found.
function rateOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), length = bytes.length;
  const is = (at, text) => [...text].every((letter, k) => bytes[at + k] === letter.charCodeAt(0));
  if (is(8, "WAVE")) {
    for (let at = 12; at + 16 <= length; at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) & 1)) {
      if (is(at, "fmt ")) return view.getUint32(at + 12, true);
    }
    return 0;
  }
  if (is(0, "fLaC")) return length < 21 ? 0 : (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4);
  if (is(0, "OggS")) {
    const at = 27 + bytes[26];
    return is(at, "\x01vorbis") && at + 16 <= length ? view.getUint32(at + 12, true) : is(at, "OpusHead") ? 48000 : 0;
  }
  const start = is(0, "ID3") ? 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]) : 0;
  if (bytes[start] !== 0xff || (bytes[start + 1] & 0xe6) !== 0xe2) return 0; // layer III
  const version = (bytes[start + 1] >> 3) & 3, rate = [44100, 48000, 32000, 0][(bytes[start + 2] >> 2) & 3];
  return version === 1 ? 0 : rate >> [2, 0, 1, 0][version];
}

// A text as read_text leaves it.
function cleaned(text) {
  const clean = text.replace(/\r\n?/g, "\n").replaceAll("\0", "");
  const cut = clean.length > MAX_CHARACTERS ? [...clean].slice(0, MAX_CHARACTERS).join("") : clean;
  return cut.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}

// The token ids of a text, padded. encode: from a text and whether special tokens are added to ids, undefined for unknown tokens.
// Where they are too many, the last ones before the special tokens at the end are left out.
function tokenIds(encode, text, settings) {
  const ids = (special) => encode(cleaned(text), special).map((id) => id ?? settings.unknown_id);
  let found = ids(true);
  if (found.length > settings.limit) {
    const bare = ids(false), more = found.length - bare.length;
    let before = 0;
    while (before < more && bare.some((id, k) => id !== found[before + k])) before++;
    const kept = Math.max(0, settings.limit - more);
    found = [...found.slice(0, before), ...bare.slice(0, kept), ...found.slice(before + bare.length)].slice(0, settings.limit);
  }
  if (!found.length) found = [settings.unknown_id];
  const width = Math.min(Math.ceil(found.length / settings.multiple) * settings.multiple, settings.limit);
  return [...found, ...Array(width - found.length).fill(settings.pad_id)];
}

// The prediction from the probabilities of one sample; see Bundle.decide. dims: their shape. size: height and width of an image.
function decided(info, probabilities, dims, size) {
  const { rule, unsure_below: limit } = info.decision, named = (values) => Object.fromEntries(info.classes.map((name, k) => [name, values[k]]));
  if (rule === "objects") {
    const { head, least_confidence: least } = info.decision, shown = shownSize(size);
    return { ...described(objectsOf(head, probabilities, dims, info.classes.length, shown), info.classes, least), size: shown };
  }
  if (rule === "pixels") {
    const mask = mostLikely(probabilities, dims, shownSize(size)), counts = info.classes.map(() => 0);
    for (const number of mask.numbers) counts[number]++;
    return { mask, shares: named(counts.map((count) => count / mask.numbers.length)) };
  }
  const p = [...probabilities], largest = Math.max(...p);
  const chosen = info.classes.filter((_, k) => p[k] > 0.5), certain = p.reduce((product, one) => product * Math.max(one, 1 - one), 1);
  const [predicted, confidence] = rule === "largest" ? [info.classes[p.indexOf(largest)], largest] : [chosen, certain];
  return { predicted, confidence, unsure: confidence < limit, probabilities: named(p) };
}

// The size of the predicted mask of an image of this size.
function shownSize(size) {
  const longest = Math.max(...size);
  return longest > LONGEST_SIDE ? size.map((side) => Math.max(1, Math.floor((side * LONGEST_SIDE) / longest))) : size;
}

// Numbers of the cells of a grid (rows, columns) at another size, interpolated bilinearly.
function resized(values, [rows, columns], [height, width]) {
  const tall = applied(values, [rows, columns, 1], 0, bilinearTaps(rows, height, [0, rows], true));
  return applied(tall, [height, columns, 1], 1, bilinearTaps(columns, width, [0, columns], true));
}

// The class with the largest probability at every pixel, and that probability. probabilities: (classes, rows, columns).
function mostLikely(probabilities, [classes, rows, columns], [height, width]) {
  const best = new Float32Array(height * width).fill(-Infinity), numbers = new Uint8Array(height * width);
  for (let k = 0; k < classes; k++) {
    const values = resized(probabilities.subarray(k * rows * columns, (k + 1) * rows * columns), [rows, columns], [height, width]);
    for (let n = 0; n < values.length; n++) if (values[n] > best[n]) { best[n] = values[n]; numbers[n] = k; }
  }
  return { width, height, numbers, best };
}

// How far a prepared sample differs from another one: of pixels the mean in levels, of a wave the root mean square relative to
// that of the wave, of token ids infinity where any differs.
function apart(medium, ours, theirs) {
  if (ours.length !== theirs.length) return Infinity;
  if (medium === "text") return ours.every((id, k) => id === theirs[k]) ? 0 : Infinity;
  const mean = (of) => ours.reduce((sum, one, k) => sum + of(one, theirs[k]), 0) / ours.length;
  if (medium === "image") return mean((a, b) => Math.abs(a - b));
  return Math.sqrt(mean((a, b) => (a - b) ** 2)) / Math.max(1e-6, Math.sqrt(mean((a, b) => b ** 2)));
}
