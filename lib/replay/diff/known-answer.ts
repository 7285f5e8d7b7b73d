import { wrongByForm } from '#lib/models/wrong-by-form'
import type { RecordedDecision, RecordedStep } from './recorded-step.ts'
import type { Redecision } from './redecision.ts'

/**
 * Whether a decision's answer is known to be right. A caller judges the answer that the step's result has: the accepted
 * one, else the last one. Of the others their form may show that they are wrong. The stand-in's answers say nothing of
 * a model.
 */
export function knownAnswer(step: RecordedStep, decision: RecordedDecision): Pick<Redecision, 'right' | 'rightBy'> {
  const { attempt } = decision
  if (!attempt || attempt.standIn) return { right: null, rightBy: null }
  if (step.right !== null && decision === answering(step)) return { right: step.right, rightBy: 'feedback' }
  if (wrongByForm.has(attempt.verdict)) return { right: false, rightBy: 'verification' }
  return { right: null, rightBy: null }
}

function answering({ decisions }: RecordedStep): RecordedDecision | undefined {
  return (
    decisions.findLast(({ attempt }) => attempt?.verdict === 'ok') ??
    decisions.findLast(({ attempt }) => attempt !== null)
  )
}
