import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { Attempt, DecisionOutcome } from '#lib/events/types.generated'
import { createStepLog } from '#lib/telemetry/step-log'

function logAt(level: string) {
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>)
  return { lines, log: createStepLog(pino({ level, base: null }, { write })) }
}

const ids = { tenantId: 'acme', stepId: 's-1', taskId: 't-1' }
const step = { ...ids, request: 'the patient Smith' }
const outcome = { action: 'route', code: null, tier: 'oss', model: 'm', reasons: ['confident'] } as DecisionOutcome
const attempt = {
  attempt: 1,
  tier: 'oss',
  model: 'm',
  backend: 'b',
  verdict: 'ok',
  answer: 'Smith',
  detail: 'Smith',
} as Attempt

test('at debug, a line for each decision and each conclusion, with ids, tier and verdict and no text', () => {
  const { lines, log } = logAt('debug')
  log.decided(step, 1, outcome)
  log.concluded(step, attempt, 'completed')
  log.concluded(step, { ...attempt, verdict: 'truncated' }, null)
  expect(lines).toMatchObject([
    { ...ids, msg: 'step decided', attempt: 1, action: 'route', tier: 'oss', model: 'm', reasons: ['confident'] },
    { ...ids, msg: 'step concluded', attempt: 1, tier: 'oss', backend: 'b', verdict: 'ok', status: 'completed' },
    { ...ids, msg: 'step concluded', verdict: 'truncated', status: null },
  ])
  expect(JSON.stringify(lines)).not.toContain('Smith')
})

test('at info, only what does not go as it should', () => {
  const { lines, log } = logAt('info')
  log.decided(step, 1, outcome)
  log.concluded(step, attempt, 'completed')
  expect(lines).toEqual([])
  log.decided(step, 2, { ...outcome, action: 'refuse', code: 'SHUNT_NO_MODEL_FITS', tier: null, model: null })
  log.concluded(step, { ...attempt, verdict: 'truncated' }, null)
  log.concluded(step, null, 'expired')
  const origin = { topic: 't', partition: 0, offset: 1, receivedAtMs: 0 }
  log.rejected({ ...step, status: 'rejected', code: 'SHUNT_EVENT_INVALID', message: 'Smith', origin } as never)
  expect(lines).toMatchObject([
    { ...ids, action: 'refuse', code: 'SHUNT_NO_MODEL_FITS' },
    { ...ids, verdict: 'truncated', status: null },
    { ...ids, attempt: null, status: 'expired' },
    { ...ids, msg: 'step rejected', status: 'rejected', code: 'SHUNT_EVENT_INVALID', origin },
  ])
  expect(JSON.stringify(lines)).not.toContain('Smith')
})
