import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { observableNames, observables, type ObservableName } from '#lib/routing/observables'
import { handWeighted } from '#lib/routing/score'
import { createScorerDrift } from '#lib/telemetry/scorer-drift'

/** Trained on steps whose every observable lies in the lowest bin. */
const trained = {
  scorer: handWeighted,
  kinds: { unknown: 100 },
  reference: observableNames.map((name) => ({
    name,
    edges: [...observables[name].edges],
    shares: [1, ...observables[name].edges.map(() => 0)],
  })),
}
const observed = (value: number) =>
  Object.fromEntries(observableNames.map((name) => [name, value])) as Record<ObservableName, number>

test('steps that leave what the scorer was trained on are told once, and once when they are back', async () => {
  const lines: string[] = []
  const log = {
    warn: (told: object) => void lines.push(`warn ${(told as { observable: string }).observable}`),
    info: (told: object) => void lines.push(`info ${(told as { observable: string }).observable}`),
  }
  const registry = new Registry()
  const options = { window: 1_000, least: 500, every: 100 }
  const drift = createScorerDrift({ registry, log: log as never }, options)
  const low = { ...observed(-1), gain: -1 }
  for (let i = 0; i < 1_000; i++) drift.scored('unknown', low, trained)
  expect(lines).toEqual([])
  for (let i = 0; i < 1_000; i++) drift.scored('tool_call', { ...low, gain: 0.9 }, trained)
  expect(lines).toEqual(['warn gain'])
  expect(await registry.metrics()).toMatch(/shunt_scorer_drift_psi\{observable="gain"\} [1-9]/)
  for (let i = 0; i < 1_000; i++) drift.scored('tool_call', null, trained)
  expect(await registry.metrics()).toMatch(/shunt_scorer_foreign_kind_ratio 1\b/)
  for (let i = 0; i < 1_000; i++) drift.scored('unknown', low, trained)
  expect(lines).toEqual(['warn gain', 'info gain'])
})
