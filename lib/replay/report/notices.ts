import type { DiffReport } from '../diff/diff-policies.ts'
import { count, counted, usd } from './figures-text.ts'

/** What a reader must know before believing a figure, the gravest first. */
export function noticesOf(report: DiffReport): string[] {
  const { scores, costBasis, leftOut } = report
  const found: [number, string][] = [
    [
      scores.kept,
      `${counted(scores.kept, 'decision')} made again on the recorded score: the new policy asks another scorer, and the step's text is gone, or that scorer is not one that runs here. Of the new scorer that says nothing.`,
    ],
    [
      report.unreadable,
      `${counted(report.unreadable, 'record')} left out that cannot be read: \`shunt audit verify\` names such.`,
    ],
    [
      report.recordedPolicyUnknown,
      `${counted(report.recordedPolicyUnknown, 'decision')} by a policy that the log does not have any more: its caps on a tenant's day, prices and regions are taken from what was recorded, or for unchanged.`,
    ],
    [
      report.otherEngine,
      `${counted(report.otherEngine, 'decision')} by another engine; all are made again by engine ${report.engineVersion}, so that a part of the moves may be the engine's.`,
    ],
    [
      leftOut.decisions,
      `${counted(leftOut.decisions, 'later attempt')} left out, for ${usd(leftOut.costMicroUsd)}: an earlier attempt of the step goes elsewhere, and nobody knows whether that one would have failed too.`,
    ],
    [
      costBasis.before.bound,
      `${counted(costBasis.before.bound, 'decision')} without a call in the range: the upper bound stands for the cost.`,
    ],
    [
      costBasis.after.estimate + costBasis.after.bound,
      `${usd(report.estimatedMicroUsd)} of the cost afterwards is no recorded cost: ${counted(costBasis.after.estimate, 'estimate')} from the recorded tokens at the new model's prices, ${counted(costBasis.after.bound, 'upper bound')}.`,
    ],
    [
      report.taskParts,
      `Some tasks are too large to be worked on at once: they came in ${count(report.taskParts)} parts, across which no money is carried.`,
    ],
    [
      report.daysDropped,
      `For ${counted(report.daysDropped, 'day')} of tenants no money is carried: there are too many.`,
    ],
  ]
  return found.filter(([times]) => times > 0).map(([, text]) => text)
}
