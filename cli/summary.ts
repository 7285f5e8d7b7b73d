import { latencyMs } from '#lib/client/result-line'
import type { Attempt, StepResult, Tier } from '#lib/events/types.generated'
import { costMicroUsd } from '#lib/models/prices'
import type { PolicyModel } from '#lib/policy/schema'
import { formatDuration, formatTable, formatUsd, plural, printable } from './output.ts'

export interface SummaryOptions {
  /** Of the policy; the first frontier model is what all-frontier is reckoned with. */
  models: readonly PolicyModel[]
  /** From the first step published to the last result. */
  elapsedMs: number
}

export interface TierSummary {
  tier: Tier
  /** Completed by it. */
  steps: number
  /** Attempts, those of steps that went on to another tier included. */
  attempts: number
  promptTokens: number
  completionTokens: number
  /** Attempts that the stand-in answered: no model was called. */
  standIn: number
}

export interface Summary {
  results: number
  elapsedMs: number
  statuses: [status: string, steps: number][]
  tiers: TierSummary[]
  reasons: [reason: string, steps: number][]
  cost: {
    spentMicroUsd: number
    /** What the stand-in's answers would have cost at the list price of the models it stood for. */
    standInMicroUsd: number
    /** Every step at the list price of `allFrontierModel`, with the tokens that were counted; null without such a model. */
    allFrontierMicroUsd: number | null
    allFrontierModel: string | null
  }
  /** From a step's record to its end; null without results. */
  latency: { p50Ms: number; p95Ms: number } | null
  /** All that did not complete. */
  notCompleted: Pick<StepResult, 'tenantId' | 'stepId' | 'status' | 'code' | 'message'>[]
}

export function summarise(results: readonly StepResult[], { models, elapsedMs }: SummaryOptions): Summary {
  const attempts = results.flatMap((result) => result.attempts)
  const reference = models.find(({ tier }) => tier === 'frontier')
  const latencies = results.map(latencyMs).toSorted((a, b) => a - b)
  return {
    results: results.length,
    elapsedMs,
    statuses: countBy(results.map(({ status }) => status)),
    tiers: (['oss', 'frontier'] as const).map((tier) => summariseTier(tier, results, attempts)),
    reasons: countBy(results.flatMap(({ reasons }) => [...new Set(reasons)])),
    cost: {
      spentMicroUsd: sum(results, (result) => result.costMicroUsd),
      standInMicroUsd: sum(
        attempts.filter(({ standIn }) => standIn),
        (attempt) =>
          listPrice(
            models.find(({ id }) => id === attempt.model),
            attempt,
          ),
      ),
      allFrontierMicroUsd: reference ? sum(results, (result) => listPrice(reference, sizeOf(result))) : null,
      allFrontierModel: reference?.id ?? null,
    },
    latency: latencies.length === 0 ? null : { p50Ms: percentile(latencies, 50), p95Ms: percentile(latencies, 95) },
    notCompleted: results.filter(({ status }) => status !== 'completed'),
  }
}

/** Lines for a person. */
export function formatSummary(summary: Summary): string[] {
  const { results, elapsedMs, statuses, tiers, reasons, cost, latency, notCompleted } = summary
  const standIns = sum(tiers, ({ standIn }) => standIn)
  return [
    `${plural(results, 'result')} in ${formatDuration(elapsedMs)}: ${counts(statuses)}`,
    '',
    ...formatTable<TierSummary>(
      [
        { title: 'tier', value: ({ tier }) => tier },
        { title: 'steps', align: 'right', value: ({ steps }) => String(steps) },
        { title: 'attempts', align: 'right', value: (tier) => String(tier.attempts) },
        { title: 'tokens in', align: 'right', value: ({ promptTokens }) => String(promptTokens) },
        { title: 'tokens out', align: 'right', value: ({ completionTokens }) => String(completionTokens) },
        { title: '', value: ({ standIn }) => (standIn > 0 ? `${standIn} by the STAND-IN: no model was called` : '') },
      ],
      tiers,
    ),
    '',
    `reasons   ${counts(reasons)}`,
    `cost      ${formatUsd(cost.spentMicroUsd)} spent${
      standIns > 0
        ? `; with a key the stand-in's answers would be ${formatUsd(cost.standInMicroUsd)} at list price`
        : ''
    }`,
    ...allFrontierLine(cost),
    ...(latency
      ? [`latency   p50 ${formatDuration(latency.p50Ms)}, p95 ${formatDuration(latency.p95Ms)}, record to result`]
      : []),
    ...(notCompleted.length > 0 ? ['', 'not completed:'] : []),
    ...notCompleted.map(({ tenantId, stepId, status, code, message }) =>
      printable(`  ${tenantId}/${stepId}  ${status}  ${code ?? ''}${message === null ? '' : `: ${message}`}`),
    ),
  ]
}

function allFrontierLine({ spentMicroUsd, standInMicroUsd, allFrontierMicroUsd, allFrontierModel }: Summary['cost']) {
  if (allFrontierMicroUsd === null || allFrontierMicroUsd === 0) return []
  const share = (spentMicroUsd + standInMicroUsd) / allFrontierMicroUsd
  return [
    `          ${formatUsd(allFrontierMicroUsd)} if all had gone to ${allFrontierModel}, by the tokens that were counted: ` +
      `${((1 - share) * 100).toFixed(0)} % less`,
  ]
}

function summariseTier(tier: Tier, results: readonly StepResult[], attempts: readonly Attempt[]): TierSummary {
  const own = attempts.filter((attempt) => attempt.tier === tier)
  return {
    tier,
    steps: results.filter((result) => result.status === 'completed' && result.tier === tier).length,
    attempts: own.length,
    promptTokens: sum(own, ({ promptTokens }) => promptTokens),
    completionTokens: sum(own, ({ completionTokens }) => completionTokens),
    standIn: own.filter(({ standIn }) => standIn).length,
  }
}

type Tokens = Pick<Attempt, 'promptTokens' | 'completionTokens'>

/** Tokens of the attempt that comes nearest to what a frontier model would have counted: its own, else the last. */
function sizeOf({ attempts }: StepResult): Tokens {
  const counted = attempts.filter(({ promptTokens }) => promptTokens > 0)
  return (
    counted.findLast(({ tier, standIn }) => tier === 'frontier' && !standIn) ??
    counted.at(-1) ?? { promptTokens: 0, completionTokens: 0 }
  )
}

function listPrice(model: PolicyModel | undefined, { promptTokens, completionTokens }: Tokens): number {
  return model ? costMicroUsd(model.price, promptTokens, completionTokens) : 0
}

/** Most frequent first, then by name. */
function countBy(names: readonly string[]): [string, number][] {
  const found = new Map<string, number>()
  for (const name of names) found.set(name, (found.get(name) ?? 0) + 1)
  return [...found].toSorted(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
}

function counts(entries: readonly [string, number][]): string {
  return entries.length === 0 ? 'none' : entries.map(([name, count]) => `${count} ${name}`).join(', ')
}

/** Nearest rank of sorted values. */
function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? 0
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0)
}
