import type { FactCounts } from '#lib/replay/fact-counts'
import type { FieldDifference } from '#lib/replay/field-differences'
import type { DecisionCounts, Finding } from '#lib/replay/verify-decisions'
import { plural, printable } from './output.ts'

export interface VerifySummary extends DecisionCounts {
  source: string
  /** False where it was broken off. */
  complete: boolean
  /** Null where they were not recomputed. */
  facts: FactCounts | null
  /** Decisions a second, of this run. */
  perSecond: number
  /** The first of them. */
  findings: readonly Finding[]
}

/** Of the findings so many are printed; `--json` has more. */
const printed = 10
const printedFields = 8

/** Nothing speaks against the log. What is expired or erased cannot be recomputed, and that is no fault of it. */
export function isClean({ different, unknownEngine, policyMissing, undecodable, facts }: VerifySummary): boolean {
  const faults = different + unknownEngine + policyMissing + undecodable
  return faults + (facts ? facts.different + facts.foreign + facts.scorerMissing : 0) === 0
}

export function formatVerifySummary(summary: VerifySummary): string[] {
  const { source, complete, decisions, same, facts, perSecond, findings } = summary
  const faults = [
    [summary.different, 'came out differently'],
    [summary.unknownEngine, 'of an engine that this release does not have'],
    [summary.policyMissing, 'whose policy agent.policies does not have'],
    [summary.undecodable, 'that cannot be decoded'],
  ] as const
  return [
    `${source}: ${plural(decisions, 'decision')} made again, ${same} byte for byte, ${perSecond}/s`,
    ...faults.flatMap(([count, what]) => (count > 0 ? [`  ${plural(count, 'record')} ${what}`] : [])),
    ...(facts ? formatFacts(facts) : []),
    ...findings.slice(0, printed).flatMap(formatFinding),
    ...(complete ? [] : ['broken off: --resume FILE goes on where a checkpoint says']),
  ]
}

function formatFacts(facts: FactCounts): string[] {
  const others = [
    [facts.different, 'came out differently'],
    [facts.expired, 'not verifiable: the text is no longer kept'],
    [facts.erased, 'not verifiable: the text was erased'],
    [facts.foreign, "not of the record at the step's place"],
    [facts.scorerMissing, 'not verifiable: agent.policies lacks the scorer'],
  ] as const
  return [
    `facts of ${plural(facts.same, 'decision')} recomputed from the text, and the same`,
    ...others.flatMap(([count, what]) => (count > 0 ? [`  of ${plural(count, 'decision')} ${what}`] : [])),
  ]
}

const titles: Readonly<Record<Finding['what'], string>> = {
  different: 'came out differently',
  facts_different: 'facts came out differently',
  facts_foreign: "the record at the step's place is another one",
  unknown_engine: 'unknown engine',
  policy_missing: 'no policy',
  scorer_missing: 'no policy or scorer for the facts',
  undecodable: 'cannot be decoded',
}

function formatFinding({ topic, partition, offset, what, stepId, attempt, fields, detail }: Finding): string[] {
  const step = stepId === null ? '' : ` step ${printable(stepId)}, decision ${attempt}`
  const more = detail === null ? '' : ` ${printable(detail)}`
  const same = what === 'different' && fields.length === 0 ? ': the same values in other bytes' : ''
  return [
    `${topic}/${partition}/${offset}${step}: ${titles[what]}${more}${same}`,
    ...fields.slice(0, printedFields).map(formatField),
  ]
}

function formatField({ path, recorded, remade }: FieldDifference): string {
  return printable(`    ${path}: recorded ${JSON.stringify(recorded)}, made again ${JSON.stringify(remade)}`)
}
