import type { DiffReport } from '../diff/diff-policies.ts'
import { count, usd } from './figures-text.ts'

/** What a reader must know before believing a figure, the gravest first. */
export function noticesOf(report: DiffReport): string[] {
  const { scores, costBasis, leftOut } = report
  const found: [number, string][] = [
    [
      scores.kept,
      `${count(scores.kept)} decisions keep their recorded score: the new policy asks another scorer, and the step's text is gone, or that scorer is not one that runs here. What they say of the new scorer is nothing.`,
    ],
    [report.unreadable, `${count(report.unreadable)} records cannot be read: \`shunt audit verify\` names them.`],
    [
      report.recordedPolicyUnknown,
      `${count(report.recordedPolicyUnknown)} decisions were made by a policy that the log does not have any more: their old caps on a tenant's day, prices and regions are taken from what was recorded, or for unchanged.`,
    ],
    [
      report.olderEngine,
      `${count(report.olderEngine)} decisions were made by an older engine; all are made again by engine ${report.engineVersion}, so that a part of the moves may be the engine's.`,
    ],
    [
      leftOut.decisions,
      `${count(leftOut.decisions)} later attempts are left out, which cost ${usd(leftOut.costMicroUsd)}: an earlier attempt of the step goes elsewhere, and nobody knows whether that one would have failed too.`,
    ],
    [
      costBasis.before.bound,
      `${count(costBasis.before.bound)} decisions have no call in the range: their upper bound stands for what they cost.`,
    ],
    [
      costBasis.after.estimate + costBasis.after.bound,
      `${usd(report.estimatedMicroUsd)} of the cost afterwards is no recorded cost: ${count(costBasis.after.estimate)} estimates from the recorded tokens at the new model's prices, ${count(costBasis.after.bound)} upper bounds.`,
    ],
    [
      report.taskParts,
      `Some tasks are too large to be worked on at once: they came in ${count(report.taskParts)} parts, across which no money is carried.`,
    ],
    [report.daysDropped, `For ${count(report.daysDropped)} days of tenants no money is carried: there are too many.`],
  ]
  return found.filter(([times]) => times > 0).map(([, text]) => text)
}
