import { readLabelRequest } from '#lib/calibration/label-request'
import { fitLogistic, marginOf, type SparseRows } from '#lib/calibration/logistic'
import { seededRandom, shuffled } from '#lib/calibration/seeded-random'
import { denseNames, denseSize, readDense } from '#lib/routing/dense-features'
import { extractFeatures } from '#lib/routing/features'
import { structureNames, structureRegressions, type StructureName } from '#lib/routing/request-structure'
import { readDataLines } from './bench/data-file.ts'

/**
 * Fits the two regressions of lib/routing/request-structure.ts, on the figures that they name there, to bfcl-v1 (in
 * SHUNT_DATA_DIR) and prints them, with the part of requests that they tell right: of those that they were fitted on, and
 * of those that they did not see.
 */
const isOf: Record<StructureName, (group: string) => boolean> = {
  several_calls: (group) => group.includes('parallel'),
  no_tool: (group) => group === 'relevance',
}
const options = { c: 0.3, maxIterations: 200 }
const folds = 5

const rows = shuffled(readDataLines<{ group: string; request: unknown }>('bfcl-v1.jsonl.gz'), seededRandom(1))
const figures = rows.map((row) => {
  const request = readLabelRequest(row.request)
  if (typeof request === 'string') throw new TypeError(request)
  const out = new Float32Array(denseSize)
  readDense(extractFeatures({ kind: 'tool_call', request: JSON.stringify(request) }, request), request, out)
  return out
})

for (const name of structureNames) {
  const names = Object.keys(structureRegressions[name].weights)
  const columns = names.map((figure) => denseNames.indexOf(figure))
  const means = columns.map((column) => figures.reduce((sum, own) => sum + own[column]!, 0) / rows.length)
  const scales = columns.map((column, i) =>
    Math.sqrt(figures.reduce((sum, own) => sum + (own[column]! - means[i]!) ** 2, 0) / rows.length),
  )
  const width = columns.length
  const matrix: SparseRows = {
    starts: Int32Array.from({ length: rows.length + 1 }, (_, row) => row * width),
    columns: Int32Array.from({ length: rows.length * width }, (_, i) => i % width),
    values: Float32Array.from(
      figures.flatMap((own) => columns.map((column, i) => (own[column]! - means[i]!) / scales[i]!)),
    ),
    width,
  }
  const targets = Uint8Array.from(rows, ({ group }) => Number(isOf[name](group)))
  const all = Int32Array.from(rows.keys())
  const rightOf = (own: Int32Array, fit: ReturnType<typeof fitLogistic>) =>
    own.reduce((sum, row) => sum + Number(marginOf(matrix, row, fit) > 0 === (targets[row] === 1)), 0)
  let unseen = 0
  for (let fold = 0; fold < folds; fold++) {
    const fit = fitLogistic(
      matrix,
      all.filter((row) => row % folds !== fold),
      targets,
      options,
    )
    unseen += rightOf(
      all.filter((row) => row % folds === fold),
      fit,
    )
  }
  const fit = fitLogistic(matrix, all, targets, options)
  const weights = names.map((figure, i) => [figure, Number((fit.weights[i]! / scales[i]!).toPrecision(3))] as const)
  const intercept = fit.bias - weights.reduce((sum, [, weight], i) => sum + weight * means[i]!, 0)
  console.log(name, { intercept: Number(intercept.toPrecision(3)), weights: Object.fromEntries(weights) })
  const share = (right: number) => `${((100 * right) / rows.length).toFixed(1)} %`
  console.log(`told right: ${share(rightOf(all, fit))} of those fitted on, ${share(unseen)} of those not seen`)
}
