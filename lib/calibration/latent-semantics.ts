import type { Random } from './seeded-random.ts'

/** Documents as the rows of their known terms, each of weight `idf[row]` over the document's length. */
export interface TermDocuments {
  documents: readonly Int32Array[]
  idf: Float32Array
}

/** Directions beyond the wanted ones, which the iteration needs to find those well. */
const oversampled = 8
const iterations = 6

/**
 * The first `dims` right singular vectors of the documents' matrix, row by row: truncated SVD by randomised subspace
 * iteration (Halko, Martinsson and Tropp 2011, arXiv:0909.4061). Signs and order are fixed by the seed.
 */
export function latentVectors({ documents, idf }: TermDocuments, dims: number, random: Random): Float64Array {
  const rows = idf.length
  const width = Math.min(dims + oversampled, rows)
  const scales = documents.map((terms) => {
    let squares = 0
    for (const row of terms) squares += idf[row]! * idf[row]!
    return squares === 0 ? 0 : 1 / Math.sqrt(squares)
  })
  let basis = Float64Array.from({ length: rows * width }, () => random() - 0.5)
  orthonormalise(basis, rows, width)
  const image = new Float64Array(width)
  for (let iteration = 0; iteration < iterations; iteration++) {
    const next = new Float64Array(rows * width)
    for (const [index, terms] of documents.entries()) {
      project(terms, idf, scales[index]!, basis, width, image)
      for (const row of terms) {
        const weight = idf[row]! * scales[index]!
        for (let k = 0; k < width; k++) next[row * width + k]! += weight * image[k]!
      }
    }
    basis = next
    orthonormalise(basis, rows, width)
  }
  // Rayleigh and Ritz: turn the basis to the axes along which the documents differ most.
  const gram = new Float64Array(width * width)
  for (const [index, terms] of documents.entries()) {
    project(terms, idf, scales[index]!, basis, width, image)
    for (let a = 0; a < width; a++) for (let b = 0; b < width; b++) gram[a * width + b]! += image[a]! * image[b]!
  }
  const axes = principalAxes(gram, width)
  const vectors = new Float64Array(rows * dims)
  for (let row = 0; row < rows; row++)
    for (let dim = 0; dim < Math.min(dims, width); dim++) {
      let sum = 0
      for (let k = 0; k < width; k++) sum += basis[row * width + k]! * axes[dim]![k]!
      vectors[row * dims + dim] = sum
    }
  return vectors
}

function project(
  terms: Int32Array,
  idf: Float32Array,
  scale: number,
  basis: Float64Array,
  width: number,
  out: Float64Array,
): void {
  out.fill(0)
  for (const row of terms) {
    const weight = idf[row]! * scale
    for (let k = 0; k < width; k++) out[k]! += weight * basis[row * width + k]!
  }
}

/** Gram and Schmidt, twice over, since once leaves rounding errors. Columns that are nothing become zero. */
function orthonormalise(basis: Float64Array, rows: number, width: number): void {
  for (let k = 0; k < width; k++) {
    for (let pass = 0; pass < 2; pass++)
      for (let before = 0; before < k; before++) {
        let product = 0
        for (let row = 0; row < rows; row++) product += basis[row * width + k]! * basis[row * width + before]!
        for (let row = 0; row < rows; row++) basis[row * width + k]! -= product * basis[row * width + before]!
      }
    let squares = 0
    for (let row = 0; row < rows; row++) squares += basis[row * width + k]! ** 2
    const scale = squares > 1e-20 ? 1 / Math.sqrt(squares) : 0
    for (let row = 0; row < rows; row++) basis[row * width + k]! *= scale
  }
}

const jacobiSweeps = 30

/** Eigenvectors of a symmetric matrix, that of the largest eigenvalue first: Jacobi's rotations. */
function principalAxes(matrix: Float64Array, size: number): Float64Array[] {
  const a = Float64Array.from(matrix)
  const vectors = new Float64Array(size * size)
  for (let i = 0; i < size; i++) vectors[i * size + i] = 1
  for (let sweep = 0; sweep < jacobiSweeps; sweep++)
    for (let p = 0; p < size - 1; p++)
      for (let q = p + 1; q < size; q++) {
        const off = a[p * size + q]!
        if (Math.abs(off) < 1e-300) continue
        const theta = (a[q * size + q]! - a[p * size + p]!) / (2 * off)
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1))
        const cosine = 1 / Math.sqrt(t * t + 1)
        rotate(a, vectors, size, p, q, cosine, t * cosine)
      }
  const order = Array.from({ length: size }, (_, i) => i).toSorted(
    (x, y) => a[y * size + y]! - a[x * size + x]! || x - y,
  )
  return order.map((column) => Float64Array.from({ length: size }, (_, row) => vectors[row * size + column]!))
}

function rotate(
  a: Float64Array,
  vectors: Float64Array,
  size: number,
  p: number,
  q: number,
  c: number,
  s: number,
): void {
  for (let k = 0; k < size; k++) {
    const kp = a[k * size + p]!
    const kq = a[k * size + q]!
    a[k * size + p] = c * kp - s * kq
    a[k * size + q] = s * kp + c * kq
  }
  for (let k = 0; k < size; k++) {
    const pk = a[p * size + k]!
    const qk = a[q * size + k]!
    a[p * size + k] = c * pk - s * qk
    a[q * size + k] = s * pk + c * qk
    const vp = vectors[k * size + p]!
    const vq = vectors[k * size + q]!
    vectors[k * size + p] = c * vp - s * vq
    vectors[k * size + q] = s * vp + c * vq
  }
}
