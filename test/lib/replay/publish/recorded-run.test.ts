import { expect, test } from 'vitest'
import { openRecordedRun, type RecordedResult } from '#lib/replay/publish/recorded-run'

const result: RecordedResult = {
  status: 'completed',
  tier: 'frontier',
  model: 'big',
  costMicroUsd: 12,
  answer: '{"choices":[{"message":{"content":"Größe, it\'s \\u0000"}}]}',
  promptTokens: 3,
  completionTokens: 4,
  standIn: true,
}

test('results come back as they were, by the place of their step; the first one of a place counts', () => {
  using run = openRecordedRun(':memory:')
  const refused: RecordedResult = {
    ...result,
    status: 'refused',
    tier: null,
    model: null,
    answer: null,
    standIn: false,
  }
  run.addResults([
    { origin: 'agent.steps/0/1', ...result },
    { origin: 'agent.steps/0/2', ...refused },
    { origin: 'agent.steps/0/1', ...refused },
  ])
  expect(run.result('agent.steps/0/1')).toEqual(result)
  expect(run.result('agent.steps/0/2')).toEqual(refused)
  expect(run.result('agent.steps/0/3')).toBeNull()
})

test('wanted steps are known, each once, and no others', () => {
  using run = openRecordedRun(':memory:')
  run.want(['agent.steps/0/1', 'agent.steps/0/1'])
  run.want(['agent.steps/0/2'])
  const all = ['agent.steps/0/1', 'agent.steps/0/2', 'agent.steps/0/12']
  expect(all.map((origin) => run.isWanted(origin))).toEqual([true, true, false])
})
