import { expect, test } from 'vitest'
import { evaluate, withinGroups, type Evaluation } from '#lib/calibration/evaluation'
import { markThreshold } from '#lib/calibration/marked-threshold'
import { reportPage } from '#lib/calibration/report'
import type { ScoredStep } from '#lib/calibration/scored-step'
import { seededRandom } from '#lib/calibration/seeded-random'
import { setThresholds } from '#lib/calibration/thresholds'

const hostile = `<script>alert("&'1")</script>`

/** Steps whose chance to gain is their gain, in two groups. */
function steps(count: number, seed = 1): ScoredStep[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, i): ScoredStep => {
    const gain = random()
    const lost = random() < gain
    return {
      id: `s${i}`,
      kind: i % 3 === 0 ? 'tool_call' : 'unknown',
      group: i % 4 === 0 ? 'few' : hostile,
      tenantId: null,
      pSuccess: 1 - gain,
      gain,
      oss: !lost,
      frontier: true,
    }
  })
}

function evaluated(scored: readonly ScoredStep[], draws = 50): Evaluation {
  const running = evaluate(scored, [{ name: 'even', gains: scored.map(() => 1) }], { seed: 1, draws })
  for (;;) {
    const next = running.next()
    if (next.done) return next.value
  }
}

test('curves run from all-OSS to all-frontier, whatever the ranking', () => {
  const scored = steps(120)
  const oss = scored.filter((step) => step.oss).length / 120
  for (const { curve } of evaluated(scored).rankings) {
    expect(curve).toHaveLength(101)
    expect(curve[0]).toEqual({ share: 0, accuracy: oss })
    expect(curve.at(-1)).toEqual({ share: 1, accuracy: 1 })
  }
})

test('steps with one outcome count for calibration and for no ranking', () => {
  const oneSided = steps(40, 2).map((step) => ({ ...step, frontier: null }))
  const { steps: all, ranked, calibration, groups } = evaluated([...steps(100), ...oneSided])
  expect([all, ranked, calibration?.count]).toEqual([140, 100, 140])
  expect(groups.map(({ group, steps: size }) => [group, size])).toEqual([
    [hostile, 75],
    ['few', 25],
  ])
})

test('the scorer is not compared with itself within groups', () => {
  const ahead = evaluated(steps(100)).rankings.map(({ name, scorerAhead }) => [name, scorerAhead !== null])
  expect(ahead).toEqual([
    ['scorer', false],
    [withinGroups, false],
    ['random', true],
    ['even', true],
    ['oracle', true],
  ])
})

test('a marked threshold tells what it does to the steps themselves', () => {
  const scored = steps(200)
  const marked = markThreshold(setThresholds(scored, { type: 'frontier_share', share: 0.25 }), scored)!
  expect(marked.frontierShare).toBe(0.25)
  const kept = scored.toSorted((a, b) => b.gain - a.gain).slice(50)
  expect(marked.accuracy).toBeCloseTo((50 + kept.filter(({ oss }) => oss).length) / 200, 12)
})

test('the page stands alone, escapes what labels say, and is the same for the same figures', () => {
  const scored = steps(600)
  const set = setThresholds(scored, { type: 'frontier_share', share: 0.3 }, 'kind')
  const report = {
    scorerHash: 'ab12',
    source: hostile,
    evaluation: evaluated(scored),
    threshold: markThreshold(set, scored),
  }
  const page = reportPage(report)
  expect(page).not.toContain('<script')
  expect(page).toContain('&lt;script&gt;alert(&quot;&amp;&#39;1&quot;)&lt;/script&gt;')
  expect(page).not.toMatch(/(?:src|href)=|url\(|@import|NaN|undefined|Infinity/)
  expect(page).toContain('prefers-color-scheme: dark')
  expect(page.match(/<svg /g)).toHaveLength(2)
  for (const name of ['all OSS', 'all frontier', 'oracle', 'even', 'tool_call']) expect(page).toContain(name)
  expect(reportPage(report)).toBe(page)
})

test('a page without a gap between the models gives the reason in place of curves', () => {
  const scored = steps(50).map((step) => ({ ...step, frontier: step.oss }))
  const page = reportPage({ scorerHash: null, source: 'x', evaluation: evaluated(scored), threshold: null })
  expect(page).toContain('there is no gap')
  expect(page.match(/<svg /g)).toHaveLength(1)
})
