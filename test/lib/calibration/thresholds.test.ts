import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import {
  estimateCost,
  gainOfAll,
  gainOfNone,
  thresholdForBudget,
  thresholdForShare,
  toGainPpm,
} from '#lib/calibration/frontier-threshold'
import { policyFragment } from '#lib/calibration/policy-fragment'
import { leastLabels, pValue, thresholdForAccuracyLoss } from '#lib/calibration/risk-control'
import type { ScoredStep } from '#lib/calibration/scored-step'
import { seededRandom } from '#lib/calibration/seeded-random'
import { escalates, setThresholds } from '#lib/calibration/thresholds'

const byGain = { hasGain: true, escalateUnjudged: false }

/** Steps of a tenant whose chance to gain is their gain. */
function steps(count: number, tenantId: string | null, seed: number, mostGain = 0.5): ScoredStep[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, i): ScoredStep => {
    const gain = random() * mostGain
    return {
      id: `${tenantId}-${i}`,
      kind: 'unknown',
      group: null,
      tenantId,
      pSuccess: 1 - gain,
      gain,
      oss: random() > gain,
      frontier: true,
    }
  })
}

const anyGains = fc.array(fc.constantFrom(-0.2, 0, 0.1, 0.25, 0.3, 0.9), { minLength: 1, maxLength: 30 })

test('never more than the asked share escalates, and one tie more would be too many', () => {
  fc.assert(
    fc.property(anyGains, fc.double({ min: 0, max: 1, noNaN: true }), (gains, share) => {
      const { gainPpm, frontierShare } = thresholdForShare(gains, share)
      const sent = gains.filter((gain) => toGainPpm(gain) >= gainPpm).length
      expect(frontierShare).toBeCloseTo(sent / gains.length, 12)
      expect(sent).toBeLessThanOrEqual(share * gains.length + 1e-6)
      const next = gains.filter((gain) => toGainPpm(gain) < gainPpm)
      if (next.length === 0) return
      const more = gains.filter((gain) => gain >= Math.max(...next)).length
      expect(more).toBeGreaterThan(share * gains.length)
    }),
  )
})

test('a share of all is the lowest gain there is, of none the highest', () => {
  expect(thresholdForShare([0.1, 0.2], 1)).toEqual({ gainPpm: gainOfAll, frontierShare: 1 })
  expect(thresholdForShare([0.1, 0.2], 0)).toEqual({ gainPpm: gainOfNone, frontierShare: 0 })
})

test('a budget buys the steps of highest gain, and is refused where the open model alone costs more', () => {
  const costs = [0.4, 0.3, 0.2, 0.1].map(() => ({ ossMicroUsd: 100, frontierMicroUsd: 2_100 }))
  const gains = [0.1, 0.4, 0.2, 0.3]
  // $0.10 a thousand with the open model alone, and $0.50 more for each step in four.
  expect(thresholdForBudget(gains, 1.1, costs)).toEqual({
    gainPpm: 300_000,
    frontierShare: 0.5,
    usdPerThousandSteps: 1.1,
  })
  expect(thresholdForBudget(gains, 1.09, costs).frontierShare).toBe(0.25)
  expect(thresholdForBudget(gains, 9, costs).gainPpm).toBe(gainOfAll)
  expect(() => thresholdForBudget(gains, 0.05, costs)).toThrow(
    expect.objectContaining({ code: 'SHUNT_CONFIG_INVALID', message: expect.stringContaining('$0.10') as string }),
  )
})

test('a step costs its prompt and a mean answer, or less where the request allows no more', () => {
  const prices = {
    oss: { inputMicroUsdPerMTok: 100_000, outputMicroUsdPerMTok: 200_000 },
    frontier: { inputMicroUsdPerMTok: 2_000_000, outputMicroUsdPerMTok: 10_000_000 },
  }
  expect(estimateCost(1_000, {}, 100, prices)).toEqual({ ossMicroUsd: 120, frontierMicroUsd: 3_000 })
  expect(estimateCost(1_000, { max_tokens: 10 }, 100, prices).frontierMicroUsd).toBe(2_100)
})

test('the p-value of a loss at the limit is below the level no more often than the level, gains and losses mixed', () => {
  const random = seededRandom(9)
  const draws = 1_000
  for (const [loss, win] of [
    [0.3, 0.28],
    [0.02, 0],
  ] as const) {
    let rejected = 0
    for (let draw = 0; draw < draws; draw++) {
      const losses = Array.from({ length: 150 }, () => {
        const at = random()
        return at < loss ? 1 : at < loss + win ? -1 : 0
      })
      if (pValue(losses, loss - win, 0.1) <= 0.1) rejected++
    }
    // Three standard deviations of a share of 0.1 over the draws.
    expect(rejected / draws).toBeLessThan(0.13)
  }
})

test('the fewest labels certify when none shows a loss, one less does not', () => {
  const least = leastLabels(0.02, 0.05)
  const lossless = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ gain: i / count, oss: true, frontier: true }))
  const goal = { maxLoss: 0.02, confidence: 0.95, seed: 1 }
  expect(thresholdForAccuracyLoss(lossless(least), goal).frontierShare).toBe(0)
  expect(() => thresholdForAccuracyLoss(lossless(least - 1), goal)).toThrow(`at least ${least}`)
})

test('no number of labels certifies a loss of 0', () => {
  const goal = { maxLoss: 0, confidence: 0.95, seed: 1 }
  expect(() => thresholdForAccuracyLoss(steps(10, null, 1) as never, goal)).toThrow(
    expect.objectContaining({ code: 'SHUNT_CONFIG_INVALID' }),
  )
})

test('tenants with labels enough have a threshold of their own, the others share the base', () => {
  const all = [...steps(300, 'hard', 1, 0.9), ...steps(250, 'easy', 2, 0.2), ...steps(100, 'small', 3)]
  const set = setThresholds(all, { type: 'frontier_share', share: 0.2 }, 'tenant')
  expect(set.strata.map(({ name, steps: count }) => [name, count])).toEqual([
    ['easy', 250],
    ['hard', 300],
  ])
  expect(set.base.steps).toBe(100)
  for (const tenant of ['hard', 'easy', 'small']) {
    const own = all.filter(({ tenantId }) => tenantId === tenant)
    expect(own.filter((step) => escalates(set, step)).length / own.length).toBeCloseTo(0.2, 2)
  }
})

test('a promise for each tenant is made at once: what cannot be certified escalates', () => {
  const all = [...steps(1_500, 'many', 1), ...steps(220, 'few', 2), ...steps(20, null, 3)]
  const goal = { type: 'accuracy_loss', maxLoss: 0.05, confidence: 0.9, seed: 1 } as const
  const { base, strata } = setThresholds(all, goal, 'tenant')
  const byName = new Map(strata.map((stratum) => [stratum.name, stratum]))
  expect(byName.get('many')?.origin).toContain('for all 3 parts at once')
  expect(byName.get('many')!.gainPpm).toBeGreaterThan(gainOfAll)
  expect(base).toMatchObject({
    gainPpm: gainOfAll,
    steps: 20,
    origin: expect.stringContaining('all escalate') as string,
  })
  // Split, the level asks for more than the whole of it.
  const alone = setThresholds(steps(1_500, 'many', 1), goal)
  expect(byName.get('many')!.gainPpm).toBeLessThanOrEqual(alone.base.gainPpm)
})

test('a fragment holds each number under a comment that tells where it comes from', () => {
  const all = [...steps(300, 'acme', 1), ...steps(50, null, 2)]
  const set = setThresholds(all, { type: 'frontier_share', share: 0.3 }, 'tenant')
  const text = policyFragment('ab12', set, byGain)
  expect(parse(text)).toEqual({
    scorer: { use: 'trained', hash: 'ab12' },
    threshold: { gainPpm: set.base.gainPpm, perTenant: { acme: { gainPpm: set.strata[0]!.gainPpm } } },
  })
  expect(text).toContain('# 30.0 % of 50 steps escalate; asked for were 30.0 % at most')
  expect(text).toContain('# 30.0 % of 300 steps escalate')
})

test('a tenant cannot write a policy by its name', () => {
  const name = 'x\nairGapped: false #'
  const set = setThresholds(steps(200, name, 1), { type: 'frontier_share', share: 0.3 }, 'tenant')
  const fragment = parse(policyFragment('ab12', set, byGain)) as { threshold: { perTenant: Record<string, unknown> } }
  expect(Object.keys(fragment)).toEqual(['scorer', 'threshold'])
  expect(Object.keys(fragment.threshold.perTenant)).toEqual([name])
})

test('a promise of accuracy sends what the scorer cannot judge to the frontier model', () => {
  const base = { name: null, steps: 300, gainPpm: 150_000, frontierShare: 0.4, origin: 'o' }
  const text = policyFragment('ab12', { by: null, base, strata: [] }, { hasGain: true, escalateUnjudged: true })
  expect(parse(text)).toMatchObject({ threshold: { gainPpm: 150_000, pSuccessPpm: 1_000_000 } })
})

test('a scorer without a gain has its threshold on the chance: the same steps escalate', () => {
  const base = { name: null, steps: 300, gainPpm: 300_000, frontierShare: 0.4, origin: 'o' }
  const text = policyFragment('ab12', { by: null, base, strata: [] }, { hasGain: false, escalateUnjudged: false })
  // 1 - P at or above 0.3 is P at or below 0.7.
  expect(parse(text)).toMatchObject({ threshold: { pSuccessPpm: 700_001 } })
  expect(text).not.toContain('gainPpm')
})
