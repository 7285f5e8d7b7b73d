import type { LabelledStep } from '#lib/calibration/labels'
import { fitLogistic, marginOf, type SparseRows } from '#lib/calibration/logistic'
import { textsOf } from '#lib/routing/message-text'
import { eachWord } from '#lib/routing/words'

type Step = Pick<LabelledStep, 'request' | 'outcome'>

/**
 * The peer that issue trackers and papers name first: for each model a logistic regression on the words and word pairs of
 * the messages and the tools' names (tf·idf without the tf, C = 1). Returns the gain that it predicts for each of `test`.
 */
export function wordRegressionGains(labels: readonly Step[], test: readonly Pick<Step, 'request'>[]): number[] {
  const columns = new Map<string, number>()
  const known = labels.map(({ request }) => termsOf(request, (term) => columnOf(columns, term)))
  const users = new Int32Array(columns.size)
  for (const terms of known) for (const column of terms) users[column]!++
  const others = test.map(({ request }) => termsOf(request, (term) => columns.get(term)))
  const idf = Float64Array.from(users, (count) => Math.log((1 + labels.length) / (1 + count)) + 1)
  const matrix = matrixOf([...known, ...others], idf)
  const rows = Int32Array.from(labels.keys())
  const head = (model: 'oss' | 'frontier') => {
    const targets = Uint8Array.from(labels, ({ outcome }) => Number(outcome[model]))
    const fit = fitLogistic(matrix, rows, targets, { c: 1, maxIterations: 100 })
    return test.map((_, i) => 1 / (1 + Math.exp(-marginOf(matrix, labels.length + i, fit))))
  }
  const oss = head('oss')
  return head('frontier').map((frontier, i) => frontier - oss[i]!)
}

function columnOf(columns: Map<string, number>, term: string): number {
  const found = columns.get(term) ?? columns.size
  columns.set(term, found)
  return found
}

function termsOf(
  { messages, tools = [] }: Step['request'],
  columnOf: (term: string) => number | undefined,
): Set<number> {
  const terms = new Set<number>()
  const add = (term: string) => {
    const column = columnOf(term)
    if (column !== undefined) terms.add(column)
  }
  const read = (text: string) => {
    let before = ''
    eachWord(text, (word) => {
      add(word)
      if (before !== '') add(`${before} ${word}`)
      before = word
    })
  }
  for (const message of messages) for (const text of textsOf(message)) read(text)
  for (const tool of tools) read(tool.function.name)
  return terms
}

function matrixOf(documents: readonly Set<number>[], idf: Float64Array): SparseRows {
  const starts = new Int32Array(documents.length + 1)
  const columns: number[] = []
  const values: number[] = []
  for (const [row, terms] of documents.entries()) {
    let squares = 0
    for (const column of terms) squares += idf[column]! * idf[column]!
    for (const column of terms) {
      columns.push(column)
      values.push(idf[column]! / Math.sqrt(squares))
    }
    starts[row + 1] = columns.length
  }
  return { starts, columns: Int32Array.from(columns), values: Float32Array.from(values), width: idf.length }
}
