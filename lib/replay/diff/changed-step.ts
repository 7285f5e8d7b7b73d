import { differencesOf, type Difference } from './difference.ts'
import type { AuditPlace } from './recorded-step.ts'
import type { Cost, Redecision, Side, Standing } from './redecision.ts'
import type { RegionsLeft } from './regions.ts'

export interface ChangedSide {
  standing: Standing
  model: string | null
  reasons: string[]
  rule: string | null
  thresholdPpm: number
  thresholdOn: string
  pSuccessPpm: number
  gainPpm: number | null
  cost: Cost
}

/** A decision that goes elsewhere, for a person to look at. */
export interface ChangedStep {
  tenantId: string
  taskId: string
  stepId: string
  kind: string
  attempt: number
  decidedAtMs: number
  /** Of the DecisionRecord in agent.audit. */
  place: AuditPlace
  before: ChangedSide
  after: ChangedSide
  differences: Difference[]
  regionsLeft: RegionsLeft | null
  right: boolean | null
}

export function changedStep(
  { tenantId, taskId, decision, before, regionsLeft, right }: Redecision,
  after: Side,
): ChangedStep {
  const { record, place } = decision
  return {
    tenantId,
    taskId,
    stepId: record.stepId,
    kind: record.facts.kind,
    attempt: record.attempt,
    decidedAtMs: record.snapshot.nowMs,
    place,
    before: sideOf(before),
    after: sideOf(after),
    differences: differencesOf(before, after),
    regionsLeft,
    right,
  }
}

function sideOf({ outcome, standing, cost, pSuccessPpm, gainPpm }: Side): ChangedSide {
  const { model, reasons, rule, thresholdPpm, thresholdOn } = outcome
  return { standing, model, reasons, rule, thresholdPpm, thresholdOn, pSuccessPpm, gainPpm, cost }
}
