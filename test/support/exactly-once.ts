import type { StepResult } from '#lib/events/types.generated'

type StepKey = Pick<StepResult, 'tenantId' | 'stepId'>

/**
 * I1: every step that was published has one result, and nothing else has one. Throws with the ids that are missing,
 * doubled and unknown.
 */
export function expectExactlyOnce(published: readonly StepKey[], results: readonly StepKey[]): void {
  const counts = new Map(published.map((step) => [nameOf(step), 0]))
  const unknown: string[] = []
  for (const result of results) {
    const name = nameOf(result)
    const count = counts.get(name)
    if (count === undefined) unknown.push(name)
    else counts.set(name, count + 1)
  }
  const missing = [...counts].filter(([, count]) => count === 0).map(([name]) => name)
  const doubled = [...counts].filter(([, count]) => count > 1).map(([name, count]) => `${name} (${count} times)`)
  const problems = [list('without a result', missing), list('doubled', doubled), list('never published', unknown)]
  if (problems.every((problem) => problem === '')) return
  throw new Error(`of ${counts.size} steps:${problems.join('')}`)
}

function nameOf(step: StepKey): string {
  return `${step.tenantId}/${step.stepId}`
}

function list(what: string, names: readonly string[]): string {
  if (names.length === 0) return ''
  const shown = names.slice(0, 20).join(', ')
  return ` ${names.length} ${what}: ${shown}${names.length > 20 ? ', …' : ''};`
}
