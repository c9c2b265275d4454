// Files that people save: a table of the predictions, and the corrected samples.

// A spreadsheet would compute a cell that begins like a formula.
const cell = (value) => `"${String(value).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
const table = (lines) => lines.map((line) => line.join(",") + "\r\n").join("");
const labelled = (label) => (Array.isArray(label) ? label.join("|") : label);

function save(name, parts, type) {
  const link = make("a", { href: URL.createObjectURL(new Blob(parts, { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function saveTable() {
  const lines = [[model.medium === "text" ? "text" : "file", "predicted", "confidence", "unsure", ...model.classes, "correction", "error"].map(cell)];
  for (const { name, text, found, label, error } of rows) {
    const p = found ? found.probabilities || found.shares || found.counts : {};
    const given = found && !found.mask ? [cell(labelled(found.predicted)), found.confidence, found.unsure] : ["", "", ""];
    lines.push([cell(text ?? name), ...given, ...model.classes.map((one) => p[one] ?? ""), cell(labelled(label ?? "")), cell(error)]);
  }
  save("predictions.csv", ["\ufeff", table(lines)], "text/csv");
}

// Texts as a table of texts and labels; files as a ZIP with a table beside them. whet train reads both.
async function saveCorrections() {
  const corrected = rows.filter((row) => row.label !== null);
  const quoted = (value) => `"${value.replaceAll('"', '""')}"`;
  if (model.medium === "text") {
    save("corrections.csv", [table([["text", "label"], ...corrected.map((row) => [quoted(row.text), quoted(labelled(row.label))])])], "text/csv");
    return;
  }
  const files = [], lines = [["file", "label"]];
  for (const [k, row] of corrected.entries()) {
    const body = await readable(row.blob);
    const name = body === row.blob ? row.name : "recording.wav";
    const path = `files/${String(k + 1).padStart(4, "0")}-${name.replace(/[^\p{L}\p{N}._-]/gu, "_").slice(-80)}`;
    lines.push([quoted(path), quoted(labelled(row.label))]);
    files.push([path, new Uint8Array(await body.arrayBuffer())]);
  }
  files.push(["corrections.csv", new TextEncoder().encode(table(lines))]);
  save("corrections.zip", zip(files), "application/zip");
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => { for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1; return n; });
const crc32 = (bytes) => ~bytes.reduce((sum, byte) => CRC[(sum ^ byte) & 255] ^ (sum >>> 8), -1) >>> 0;

// A ZIP archive of stored files, with names in UTF-8.
function zip(files) {
  const parts = [], directory = [];
  let offset = 0, listed = 0;
  for (const [path, bytes] of files) {
    const name = new TextEncoder().encode(path);
    const common = new DataView(new ArrayBuffer(26));
    [[0, 20, 2], [2, 0x800, 2], [8, 0x21, 2], [10, crc32(bytes), 4], [14, bytes.length, 4], [18, bytes.length, 4], [22, name.length, 2]]
      .forEach(([at, value, size]) => (size === 2 ? common.setUint16(at, value, true) : common.setUint32(at, value, true)));
    const head = Uint8Array.of(80, 75, 3, 4), entry = Uint8Array.of(80, 75, 1, 2, 20, 0), end = new DataView(new ArrayBuffer(14));
    end.setUint32(10, offset, true);
    parts.push(head, common, name, bytes);
    directory.push(entry, common, end, name);
    offset += 30 + name.length + bytes.length;
    listed += 46 + name.length;
  }
  const last = new DataView(new ArrayBuffer(22));
  last.setUint32(0, 0x06054b50, true); last.setUint16(8, files.length, true); last.setUint16(10, files.length, true);
  last.setUint32(12, listed, true); last.setUint32(16, offset, true);
  return [...parts, ...directory, last];
}
