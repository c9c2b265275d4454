// Which parts of an image a prediction rests on, as whet serve computes it: every cell of a grid is covered in turn with the mean
// colour, and the log-odds of the predicted class fall. Zeiler, Fergus 2014, arXiv:1311.2901. This script touches no document.
const HEAT_CELLS = 7; // on each side
const hasHeat = ({ medium, decision }) => medium === "image" && ["largest", "each above 0.5"].includes(decision.rule);

// The pixels (height, width, 3) with each cell covered, row by row.
function* covered(pixels, [height, width]) {
  const edges = (side) => Array.from({ length: HEAT_CELLS + 1 }, (_, k) => Math.floor((k * side) / HEAT_CELLS));
  const sums = [0, 0, 0], rows = edges(height), columns = edges(width);
  pixels.forEach((value, k) => { sums[k % 3] += value; });
  const colour = rounded(sums.map((sum) => sum / (height * width)));
  for (let cell = 0; cell < HEAT_CELLS ** 2; cell++) {
    const row = Math.floor(cell / HEAT_CELLS), column = cell % HEAT_CELLS, found = pixels.slice();
    for (let y = rows[row]; y < rows[row + 1]; y++) {
      for (let x = columns[column]; x < columns[column + 1]; x++) found.set(colour, 3 * (y * width + x));
    }
    yield found;
  }
}

// class: that with the largest probability. evidence: for it, of each cell, the rows from the top. without: the probabilities of
// each image of `covered`.
function heatOf(classes, p, without) {
  const logOdds = (one) => { const q = Math.min(Math.max(one, 1e-7), 1 - 1e-7); return Math.log(q) - Math.log1p(-q); };
  const k = p.indexOf(Math.max(...p)), falls = without.map((q) => logOdds(p[k]) - logOdds(q[k]));
  const row = (y) => falls.slice(y * HEAT_CELLS, (y + 1) * HEAT_CELLS);
  return { class: classes[k], evidence: Array.from({ length: HEAT_CELLS }, (_, y) => row(y)) };
}
