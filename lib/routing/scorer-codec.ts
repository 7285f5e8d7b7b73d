import { ShuntError } from '#lib/errors'
import { denseNames, denseSize } from './dense-features.ts'
import { leafInput } from './forest.ts'
import type { ScorerHeader, ScorerModel } from './scorer-model.ts'
import { pieceBuckets, termBuckets, wordBuckets } from './text-grams.ts'

/**
 * A scorer as bytes: `SHUNTSCR`, the length of a JSON header, the header, then its arrays one after the other, each padded
 * to eight bytes, little-endian. The scorer's hash is the sha256 of all of it, so equal training gives an equal hash.
 */
const magic = 'SHUNTSCR'

const arrays = {
  wordUsers: Uint16Array,
  pieceUsers: Uint16Array,
  wordWeights: Float32Array,
  pieceWeights: Float32Array,
  denseWeights: Float32Array,
  denseMeans: Float32Array,
  denseScales: Float32Array,
  termRows: Int16Array,
  termVectors: Int8Array,
  termIdf: Float32Array,
  treeRoots: Int32Array,
  nodeInputs: Uint8Array,
  nodeThresholds: Float32Array,
  nodeJumps: Uint32Array,
  leafValues: Uint16Array,
} as const
type ArrayName = keyof typeof arrays
const arrayNames = Object.keys(arrays) as ArrayName[]

const lengthBytes = 4

export function encodeScorer(model: ScorerModel): Buffer {
  const lengths = Object.fromEntries(arrayNames.map((name) => [name, model[name].length]))
  const header = Buffer.from(JSON.stringify({ ...model.header, lengths }))
  const parts: Uint8Array[] = [Buffer.from(magic), Buffer.alloc(lengthBytes), header]
  ;(parts[1] as Buffer).writeUInt32LE(header.length)
  let size = magic.length + lengthBytes + header.length
  const pad = () => {
    const missing = -size & 7
    parts.push(Buffer.alloc(missing))
    size += missing
  }
  for (const name of arrayNames) {
    pad()
    const { buffer, byteOffset, byteLength } = model[name]
    parts.push(Buffer.from(buffer, byteOffset, byteLength))
    size += byteLength
  }
  return Buffer.concat(parts)
}

/**
 * A scorer of an older release, which knew fewer figures, scores as it did there: the others count for nothing in it.
 *
 * Throws SHUNT_SCORER_INVALID for bytes that are no scorer, damaged, or of a release with figures that are not known here.
 */
export function decodeScorer(bytes: Uint8Array): ScorerModel {
  const refuse = (why: string) => new ShuntError('SHUNT_SCORER_INVALID', `not a scorer that can be used: ${why}`)
  // Typed arrays begin at multiples of their size: a copy of its own does.
  const data = Buffer.from(new Uint8Array(bytes).buffer)
  if (data.length < magic.length + lengthBytes || data.toString('latin1', 0, magic.length) !== magic)
    throw refuse('it does not begin as one')
  const headerEnd = magic.length + lengthBytes + data.readUInt32LE(magic.length)
  let header: ScorerHeader & { lengths: Record<ArrayName, number> }
  try {
    header = JSON.parse(data.toString('utf8', magic.length + lengthBytes, headerEnd)) as typeof header
  } catch {
    throw refuse('its header is no JSON')
  }
  const { lengths, ...rest } = header
  if (rest.formatVersion !== 1) throw refuse(`format ${String(rest.formatVersion)} is not known here`)
  const places = placesOf(rest.inputs)
  if (!places) throw refuse('it was trained on other features: calibrate it anew with this release')
  const found: Partial<Record<ArrayName, ArrayBufferView>> = {}
  let at = headerEnd
  for (const name of arrayNames) {
    at += -at & 7
    const type = arrays[name]
    const length = lengths[name]
    const end = at + length * type.BYTES_PER_ELEMENT
    if (!Number.isInteger(length) || length < 0 || end > data.length) throw refuse(`${name} is cut off`)
    found[name] = new type(data.buffer, data.byteOffset + at, length)
    at = end
  }
  const model = { header: rest, ...found } as ScorerModel
  const problem = shapeProblem(model)
  if (problem !== null) throw refuse(problem)
  return places.length === denseSize ? model : withAllInputs(model, places)
}

/** Where each of a scorer's figures stands among `denseNames`; undefined where one is not known, or the order is another. */
function placesOf(inputs: unknown): number[] | undefined {
  if (!Array.isArray(inputs)) return undefined
  const places = inputs.map((name) => denseNames.indexOf(name as string))
  return places.every((place, i) => place > (places[i - 1] ?? -1)) ? places : undefined
}

function withAllInputs(model: ScorerModel, places: readonly number[]): ScorerModel {
  const known = places.length
  const spread = (figures: Float32Array): Float32Array => {
    const all = new Float32Array((figures.length / known) * denseSize)
    for (let i = 0; i < figures.length; i++) all[Math.floor(i / known) * denseSize + places[i % known]!] = figures[i]!
    return all
  }
  return {
    ...model,
    header: { ...model.header, inputs: [...denseNames] },
    denseWeights: spread(model.denseWeights),
    denseMeans: spread(model.denseMeans),
    denseScales: spread(model.denseScales),
    nodeInputs: model.nodeInputs.map((input) =>
      input === leafInput ? input : input < known ? places[input]! : input - known + denseSize,
    ),
  }
}

/** What would have the scorer read outside of an array, or walk in a circle. */
function shapeProblem(model: ScorerModel): string | null {
  const { header, termRows, nodeInputs, nodeJumps, treeRoots } = model
  const figures = header.inputs.length
  const rows = model.termIdf.length
  const expected: [ArrayName, number][] = [
    ['wordUsers', wordBuckets],
    ['pieceUsers', pieceBuckets],
    ['wordWeights', 2 * wordBuckets],
    ['pieceWeights', 2 * pieceBuckets],
    ['denseWeights', 2 * figures],
    ['denseMeans', figures],
    ['denseScales', figures],
    ['termRows', termBuckets],
    ['termVectors', rows * header.latentDims],
    ['nodeThresholds', nodeInputs.length],
    ['nodeJumps', nodeInputs.length],
  ]
  for (const [name, length] of expected)
    if (model[name].length !== length) return `${name} has ${model[name].length} members for ${length}`
  for (const row of termRows) if (row < -1 || row >= rows) return 'termRows leads outside'
  const inputs = figures + header.latentDims + 3
  for (let node = 0; node < nodeInputs.length; node++) {
    const jump = nodeJumps[node]!
    if (nodeInputs[node] === leafInput) {
      if (2 * jump + 1 >= model.leafValues.length) return 'a leaf leads outside'
    } else if (nodeInputs[node]! >= inputs || jump < 2 || node + jump >= nodeInputs.length)
      return 'a node leads outside'
  }
  for (const root of treeRoots) if (root < 0 || root >= nodeInputs.length) return 'a tree begins outside'
  return null
}
