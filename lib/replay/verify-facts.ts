import { setImmediate as nextTurn } from 'node:timers/promises'
import { formatOrigin } from '#lib/audit/records'
import { noFacts, type FactCounts } from './fact-counts.ts'
import { remakeFacts, type RemakeFactsDeps } from './remake-facts.ts'
import type { StepTexts } from './step-texts.ts'
import { textWindows } from './text-windows.ts'
import { findingOf, type Finding, type PlacedDecision } from './verify-decisions.ts'

/** Between two of these the process looks at its signals and sockets. */
const perTurn = 200

/** Makes the facts of decisions again, a window of decisions at a time; counts and findings are told when it has all. */
export function createFactCheck(
  deps: RemakeFactsDeps & { texts: Pick<StepTexts, 'read'> },
  { counts, onFinding, signal }: { counts: FactCounts; onFinding: (finding: Finding) => void; signal?: AbortSignal },
): (decisions: readonly PlacedDecision[]) => Promise<void> {
  return async (decisions) => {
    const told = noFacts()
    const findings: Finding[] = []
    for (const window of textWindows(decisions, ({ record }) => record)) {
      const found = await deps.texts.read(window.map(({ record }) => record.origin))
      for (const [i, decision] of window.entries()) {
        if (i % perTurn === 0) {
          await nextTurn()
          signal?.throwIfAborted()
        }
        const { record, place } = decision
        const { state, fields, detail } = await remakeFacts(deps, decision, found.get(formatOrigin(record.origin)))
        told[state] += 1
        const what = findingFor[state]
        if (what)
          findings.push(findingOf(place, what, { stepId: record.stepId, attempt: record.attempt, fields, detail }))
      }
    }
    for (const name of Object.keys(told) as (keyof FactCounts)[]) counts[name] += told[name]
    findings.forEach(onFinding)
  }
}

/** Texts that are gone are no finding: nothing is wrong with the log. */
const findingFor: Partial<Record<keyof FactCounts, Finding['what']>> = {
  different: 'facts_different',
  foreign: 'facts_foreign',
  scorerMissing: 'scorer_missing',
}
