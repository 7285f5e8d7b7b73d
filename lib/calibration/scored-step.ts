import type { StepKind } from '#lib/events/types.generated'
import { extractFeatures } from '#lib/routing/features'
import type { Score, Scorer } from '#lib/routing/score'
import type { LabelledStep } from './labels.ts'

/** A labelled step with what a scorer says of it. */
export interface ScoredStep {
  id: string
  kind: StepKind
  group: string | null
  tenantId: string | null
  /** P(the open model's answer is right), 0 to 1. */
  pSuccess: number
  /** P(frontier right) − P(OSS right), −1 to 1; the highest escalates first. */
  gain: number
  /** Whether each model's answer was right; null where that was not labelled. */
  oss: boolean | null
  frontier: boolean | null
}

/** A step whose outcome is known on both sides: only these tell what escalation is worth. */
export type BothSided<T extends { oss: boolean | null; frontier: boolean | null }> = T & {
  oss: boolean
  frontier: boolean
}

const MILLION = 1_000_000

export function scoreLabel(label: LabelledStep, scorer: Scorer): ScoredStep {
  const { id, kind, group, tenantId, request, outcome } = label
  const score = scorer.score(extractFeatures({ kind, request: JSON.stringify(request) }, request), request)
  return {
    id,
    kind,
    group,
    tenantId,
    pSuccess: score.pSuccessPpm / MILLION,
    gain: gainOf(score),
    ...outcome,
  }
}

/**
 * What to rank by. A score without a gain ranks by 1 − P(OSS right): the gain if the frontier model never failed, which
 * sets such a step above those of the same difficulty that the scorer knows both models for.
 */
export function gainOf({ gainPpm, pSuccessPpm }: Pick<Score, 'gainPpm' | 'pSuccessPpm'>): number {
  return (gainPpm ?? MILLION - pSuccessPpm) / MILLION
}

export function withBothOutcomes<T extends { oss: boolean | null; frontier: boolean | null }>(
  steps: readonly T[],
): BothSided<T>[] {
  return steps.filter((step): step is BothSided<T> => step.oss !== null && step.frontier !== null)
}

/** What escalation changes: 1 where the frontier model alone is right, −1 where the open one alone is, else 0. */
export function gainGot({ oss, frontier }: { oss: boolean; frontier: boolean }): number {
  return Number(frontier) - Number(oss)
}
