import type { ScorerModel } from './scorer-model.ts'

export const leafInput = 255
export const fullLeaf = 65_535

export type Forest = Pick<ScorerModel, 'treeRoots' | 'nodeInputs' | 'nodeThresholds' | 'nodeJumps' | 'leafValues'>

/** Mean over all trees of what the leaves hold: P(OSS right) and P(frontier right). Zeros of a forest without trees. */
export function readForest(forest: Forest, inputs: Float32Array, out: Float64Array): void {
  const { treeRoots, nodeInputs, nodeThresholds, nodeJumps, leafValues } = forest
  let oss = 0
  let frontier = 0
  for (let tree = 0; tree < treeRoots.length; tree++) {
    let node = treeRoots[tree]!
    for (;;) {
      const input = nodeInputs[node]!
      if (input === leafInput) break
      node += inputs[input]! <= nodeThresholds[node]! ? 1 : nodeJumps[node]!
    }
    const leaf = 2 * nodeJumps[node]!
    oss += leafValues[leaf]!
    frontier += leafValues[leaf + 1]!
  }
  const scale = 1 / (fullLeaf * (treeRoots.length || 1))
  out[0] = oss * scale
  out[1] = frontier * scale
}
