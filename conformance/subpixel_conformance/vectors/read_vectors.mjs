// Runs the golden vectors of the phase shift and its inverse: node read_vectors.mjs [FOLDER]. Written from docs/vectors.md alone.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const size = (shape) => shape.reduce((product, extent) => product * extent, 1);
const WRITERS = { int32: [4, "setInt32"], uint8: [1, "setUint8"], float32: [4, "setFloat32"], float64: [8, "setFloat64"] };

function digest(values, dtype) {
  const [width, write] = WRITERS[dtype];
  const bytes = new DataView(new ArrayBuffer(width * values.length));
  values.forEach((value, j) => bytes[write](width * j, value, true));
  return createHash("sha256").update(bytes).digest("hex");
}

// The values of a tensor in C order. Values that are given as bits are moved as the texts they are.
const read = (tensor) => tensor.values ?? tensor.bits ?? Array.from({ length: size(tensor.shape) }, (_, j) => j);

function shift({ shape, values }, { scale, order, data_format }, inverse) {
  const last = data_format === "channels_last", batch = shape.slice(0, shape.length - scale.length - 1);
  const rest = shape.slice(batch.length), channels = last ? rest.at(-1) : rest[0], extents = last ? rest.slice(0, -1) : rest.slice(1);
  const blocks = size(scale), C = inverse ? channels : channels / blocks;
  const low = inverse ? extents.map((extent, a) => extent / scale[a]) : extents, high = low.map((extent, a) => extent * scale[a]);
  const place = (n, at, area, c, count) => { // the position of a value in C order
    const p = at.reduce((position, i, a) => position * area[a] + i, 0);
    return last ? (n * size(area) + p) * count + c : (n * count + c) * size(area) + p;
  };
  const moved = new Array(values.length);
  for (let n = 0; n < size(batch); n++) for (let p = 0; p < size(high); p++) for (let c = 0; c < C; c++) {
    const at = [];
    for (let a = high.length - 1, left = p; a >= 0; left = Math.floor(left / high[a]), a--) at[a] = left % high[a];
    const i = at.map((position, a) => Math.floor(position / scale[a])), o = at.map((position, a) => position % scale[a]);
    const row = o.reduce((m, offset, a) => m * scale[a] + offset, 0), column = o.reduceRight((m, offset, a) => m * scale[a] + offset, 0);
    const k = { DCR: row * C + c, CRD: c * blocks + row, DRC: column * C + c, RCD: c * blocks + column }[order];
    const [from, to] = [place(n, i, low, k, C * blocks), place(n, at, high, c, C)];
    if (inverse) moved[from] = values[to]; else moved[to] = values[from];
  }
  const [area, count] = inverse ? [low, C * blocks] : [high, C];
  return { shape: last ? [...batch, ...area, count] : [...batch, count, ...area], values: moved };
}

function problem({ operation, arguments: given, inputs, outputs }) {
  const [[name, input]] = Object.entries(inputs), [expected] = Object.values(outputs), values = read(input);
  if (input.formula && input.sha256 && digest(values, input.dtype) !== input.sha256) return `input ${name} has another checksum`;
  const result = shift({ shape: input.shape, values }, given, operation === "inverse_phase_shift");
  if (input.dtype !== expected.dtype || String(result.shape) !== String(expected.shape)) return `shape [${result.shape}] ${input.dtype}`;
  if (expected.sha256) return digest(result.values, input.dtype) === expected.sha256 ? "" : "checksum differs";
  const wanted = read(expected), j = wanted.findIndex((value, at) => value !== result.values[at]);
  return j < 0 && wanted.length === result.values.length ? "" : `value ${j}: ${result.values[j]} is not ${wanted[j]}`;
}

const folder = process.argv[2] ?? dirname(fileURLToPath(import.meta.url)), NOT_VECTORS = ["schema.json", "published.json"];
const files = readdirSync(folder).filter((name) => name.endsWith(".json") && !NOT_VECTORS.includes(name));
const vectors = files.flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")).vectors);
const shifts = vectors.filter(({ operation, outputs }) => /^(inverse_)?phase_shift$/.test(operation) && outputs);
const failed = shifts.map((vector) => [vector.id, problem(vector)]).filter(([, text]) => text);
failed.forEach(([id, text]) => console.log(`${id}: ${text}`));
console.log(`${shifts.length - failed.length} of ${shifts.length} vectors passed`);
process.exitCode = shifts.length && !failed.length ? 0 : 1;
