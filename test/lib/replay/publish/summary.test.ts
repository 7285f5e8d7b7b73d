import { expect, test } from 'vitest'
import { createSummary } from '#lib/replay/publish/summary'

const end = { status: 'completed', tier: 'oss', model: 'open', costMicroUsd: 1, notRecorded: 0 } as const

test('what came of the replay is told, and beside it what was recorded of the same steps', () => {
  const { summary, add } = createSummary()
  add(end, end)
  add({ ...end, tier: 'frontier', model: 'big', costMicroUsd: 5 }, end)
  add({ ...end, status: 'failed', notRecorded: 2 }, { ...end, costMicroUsd: 9 })
  add({ ...end, status: 'refused', tier: null, model: null, costMicroUsd: 0 }, null)
  const none = { ...end, status: 'rejected', tier: null, model: null, costMicroUsd: 0 } as const
  add(none, none)
  add(none, { ...end, costMicroUsd: 0 })
  expect(summary).toMatchObject({
    results: 6,
    byStatus: { completed: 2, failed: 1, refused: 1, rejected: 2 },
    byTier: { oss: 2, frontier: 1 },
    costMicroUsd: 7,
    notRecorded: 2,
    compared: {
      steps: 5,
      sameModel: 2,
      otherModel: 2,
      noModel: 1,
      statusChanges: { 'completed to failed': 1, 'completed to rejected': 1 },
      recordedCostMicroUsd: 11,
      costMicroUsd: 7,
    },
  })
})
