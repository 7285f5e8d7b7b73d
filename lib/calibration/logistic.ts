/** Rows of a sparse matrix: of row r the columns and values from `starts[r]` to `starts[r + 1]`. */
export interface SparseRows {
  starts: Int32Array
  columns: Int32Array
  values: Float32Array
  /** Columns there are. */
  width: number
}

export interface LogisticFit {
  weights: Float64Array
  bias: number
}

export interface LogisticOptions {
  /** Inverse strength of the L2 penalty, against the sum of the rows' losses. The bias is not penalised. */
  c: number
  maxIterations: number
}

/** Past steps whose curvature is remembered. */
const memory = 8
/** The gradient's length against that at the start, below which a fit counts as found. */
const tolerance = 1e-4

/**
 * L2-regularised logistic regression by L-BFGS (Liu and Nocedal 1989) with a backtracking line search. `rows` are those
 * to learn from, `targets` 0 or 1 by row of the matrix. Deterministic. The loss is convex, so where it begins is all one.
 */
export function fitLogistic(
  matrix: SparseRows,
  rows: Int32Array,
  targets: Uint8Array,
  { c, maxIterations }: LogisticOptions,
): LogisticFit {
  const size = matrix.width + 1
  let at = new Float64Array(size)
  at[matrix.width] = logOddsOf(rows, targets)
  let gradient = new Float64Array(size)
  let loss = lossAt(matrix, rows, targets, c, at, gradient)
  const enough = tolerance * lengthOf(gradient)
  const steps: Step[] = []
  for (let iteration = 0; iteration < maxIterations && lengthOf(gradient) > enough; iteration++) {
    const direction = descent(gradient, steps)
    const slope = dot(direction, gradient)
    const nextGradient = new Float64Array(size)
    let rate = steps.length === 0 ? 1 / Math.max(1, lengthOf(gradient)) : 1
    let next = moved(at, direction, rate)
    let nextLoss = lossAt(matrix, rows, targets, c, next, nextGradient)
    while (nextLoss > loss + sufficient * rate * slope && rate > 1e-8) {
      rate /= 2
      next = moved(at, direction, rate)
      nextLoss = lossAt(matrix, rows, targets, c, next, nextGradient)
    }
    const step = moved(next, at, -1)
    const change = moved(nextGradient, gradient, -1)
    const curvature = dot(step, change)
    if (curvature > 1e-12) {
      steps.push({ step, change, inverse: 1 / curvature })
      if (steps.length > memory) steps.shift()
    }
    at = next
    gradient = nextGradient
    loss = nextLoss
  }
  return { weights: at.subarray(0, matrix.width), bias: at[matrix.width]! }
}

/** Log-odds of one row under a fit. */
export function marginOf({ starts, columns, values }: SparseRows, row: number, { weights, bias }: LogisticFit): number {
  let margin = bias
  for (let i = starts[row]!; i < starts[row + 1]!; i++) margin += weights[columns[i]!]! * values[i]!
  return margin
}

/** Armijo's condition: the part of the promised descent that a step must bring. */
const sufficient = 1e-4

interface Step {
  step: Float64Array
  change: Float64Array
  /** 1 / (step · change) */
  inverse: number
}

function moved(from: Float64Array<ArrayBuffer>, direction: Float64Array, rate: number): Float64Array<ArrayBuffer> {
  const to = from.slice()
  addScaled(to, direction, rate)
  return to
}

function lossAt(
  { starts, columns, values, width }: SparseRows,
  rows: Int32Array,
  targets: Uint8Array,
  c: number,
  at: Float64Array,
  gradient: Float64Array,
): number {
  let squares = 0
  for (let i = 0; i < width; i++) {
    squares += at[i]! * at[i]!
    gradient[i] = at[i]! / c
  }
  gradient[width] = 0
  let loss = squares / (2 * c)
  for (const row of rows) {
    const start = starts[row]!
    const end = starts[row + 1]!
    let margin = at[width]!
    for (let i = start; i < end; i++) margin += at[columns[i]!]! * values[i]!
    const signed = targets[row] === 1 ? margin : -margin
    // ln(1 + e^-x) without overflow.
    loss += signed > 0 ? Math.log1p(Math.exp(-signed)) : Math.log1p(Math.exp(signed)) - signed
    const error = 1 / (1 + Math.exp(-margin)) - targets[row]!
    for (let i = start; i < end; i++) {
      const column = columns[i]!
      gradient[column] = gradient[column]! + error * values[i]!
    }
    gradient[width] += error
  }
  return loss
}

/** The two-loop recursion. */
function descent(gradient: Float64Array, steps: readonly Step[]): Float64Array {
  const direction = new Float64Array(gradient.length)
  addScaled(direction, gradient, -1)
  const parts: number[] = []
  for (const { step, change, inverse } of steps.toReversed()) {
    const part = inverse * dot(step, direction)
    parts.push(part)
    addScaled(direction, change, -part)
  }
  const last = steps.at(-1)
  if (last) {
    const scale = 1 / (last.inverse * dot(last.change, last.change))
    for (let i = 0; i < direction.length; i++) direction[i]! *= scale
  }
  for (const { step, change, inverse } of steps)
    addScaled(direction, step, parts.pop()! - inverse * dot(change, direction))
  return direction
}

function addScaled(to: Float64Array, from: Float64Array, scale: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += scale * from[i]!
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

function lengthOf(a: Float64Array): number {
  return Math.sqrt(dot(a, a))
}

function logOddsOf(rows: Int32Array, targets: Uint8Array): number {
  let ones = 0
  for (const row of rows) ones += targets[row]!
  return Math.log((ones + 0.5) / (rows.length - ones + 0.5))
}
