import { readFileSync } from 'node:fs'
import type { StepResult } from '#lib/events/types.generated'
import { costMicroUsd } from '#lib/models/prices'
import { parsePolicy } from '#lib/policy/load'
import { readScorerFile } from '#lib/policy/scorer-file'
import type { Figure } from '../figures.ts'
import { policyFile, runSamples } from '../spine/sample-run.ts'

/**
 * The sample's bill beside that of sending every step to the frontier, and the weak answers that were caught on the way.
 * Where no key is set a stand-in answers in the frontier's place: its tokens are priced as the frontier's would be.
 */
export async function sampleCost(): Promise<Figure[]> {
  const { policy } = parsePolicy(readFileSync(policyFile, 'utf8'), policyFile, readScorerFile().hash)
  const frontier = policy.index.byTier.frontier[0]!.model
  const priced = (model: string | null, promptTokens: number, completionTokens: number) =>
    costMicroUsd(policy.index.models.get(model ?? '')?.model.price ?? frontier.price, promptTokens, completionTokens)
  const { results } = await runSamples()
  const answered = results.filter(({ status }) => status === 'completed')
  const attempts = results.flatMap((result) => result.attempts)
  const routed = sum(attempts.map((each) => priced(each.model, each.promptTokens, each.completionTokens)))
  const allFrontier = sum(answered.map((each) => priced(frontier.id, each.promptTokens, each.completionTokens)))
  const caught = weakByVerdict(results)
  const list = [...caught].map(([verdict, count]) => `${verdict} ${count}`).join(', ')
  return [
    {
      name: "the sample's cost, of what all-frontier would cost",
      value: (100 * routed) / allFrontier,
      unit: '%',
      note: `${routed} against ${allFrontier} micro-USD at ${frontier.id}'s prices, ${answered.length} of ${results.length} steps answered; stand-in answers priced as the frontier's`,
    },
    {
      name: 'weak answers caught by verification',
      value: sum([...caught.values()]),
      unit: `of ${attempts.filter(({ tier }) => tier === 'oss').length} answers of the open model`,
      note: list === '' ? 'none' : list,
    },
  ]
}

/** Answers of an open model that were sent back, by what was wrong. */
function weakByVerdict(results: readonly StepResult[]): Map<string, number> {
  const caught = new Map<string, number>()
  for (const { attempts } of results)
    for (const { tier, verdict, completionTokens } of attempts.slice(0, -1))
      if (tier === 'oss' && completionTokens > 0) caught.set(verdict, (caught.get(verdict) ?? 0) + 1)
  return caught
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
