import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { expect, inject, onTestFinished, test } from 'vitest'
import { isBehind } from '#lib/ledger/behind'
import { createLedgerState } from '#lib/ledger/ledger-state'
import { createKafkaFactory } from '#lib/stream/kafka'
import { startPipeline } from '../support/pipeline.ts'
import { makeSteps, publishSteadily } from '../support/pipeline-steps.ts'

const log = pino({ level: 'silent' })

test('I6: a Redis that holds less than was folded is found to be behind, and one that holds all is not', async () => {
  const stack = inject('stack')
  const pipeline = await startPipeline({ stack })
  onTestFinished(() => pipeline.stopAll())
  const redis = new Redis(stack.redisUrl)
  onTestFinished(() => redis.disconnect())
  const steps = makeSteps(20, `behind-${randomUUID().slice(0, 4)}`)
  await publishSteadily(pipeline.client, steps, 50)
  await pipeline.untilIdle()

  const { namespace } = pipeline
  const state = createLedgerState({ redis, namespace })
  const deps = { kafka: createKafkaFactory({ log }, { brokers: [...stack.brokers] }), state, log }
  expect(await isBehind(deps, namespace)).toBe(false)
  const [place, offset] = Object.entries(await state.positions()).find(([name]) => name.startsWith('agent.audit'))!
  await state.note(place, offset - 2)
  expect(await isBehind(deps, namespace)).toBe(true)
})
