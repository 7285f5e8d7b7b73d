import { isMap, isNode, isPair, isScalar, isSeq, type Document, type LineCounter } from 'yaml'

export type PolicyPath = readonly (string | number)[]

/** What is wrong with a policy, or worth a second look, and what to do about it. */
export interface PolicyProblem {
  /** From 1. */
  line: number
  path: PolicyPath
  /** What is wrong; the remedy. */
  message: string
}

/** A problem before its line is known. */
export type PathProblem = Omit<PolicyProblem, 'line'> & {
  /** A key below `path` that is wrong itself, so that its own line is named. */
  key?: string
}

/** `policy.yaml:12: models[0].price: what is wrong; remedy` */
export function formatProblem(fileName: string, problem: PolicyProblem): string {
  const path = formatPath(problem.path)
  return `${fileName}:${problem.line}: ${path === '' ? '' : `${path}: `}${problem.message}`
}

export function formatPath(path: PolicyPath): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('')
}

/** Line of the node at the path, or of the nearest one above it that is there. */
export function lineOf(document: Document, lines: LineCounter, problem: PathProblem): number {
  let node: unknown = document.contents
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0
  for (const part of problem.key === undefined ? problem.path : [...problem.path, problem.key]) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === part)
      if (!pair) break
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part]
      if (isNode(node)) offset = node.range?.[0] ?? offset
    } else break
  }
  return lines.linePos(offset).line
}
