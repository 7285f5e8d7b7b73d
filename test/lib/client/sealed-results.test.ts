import { pino } from 'pino'
import { expect, test } from 'vitest'
import { decodeResult, openResult } from '#lib/client/decode-result'
import { resultLine } from '#lib/client/result-line'
import { isSealed } from '#lib/erasure/sealed-text'
import { sealText, type Keys } from '#lib/erasure/step-texts'
import { buildStepResult } from '#lib/events/step-result'
import { codec, makeStep, nowMs, recordOf } from '../../services/classifier/rig.ts'
import { memoryKeys } from '../../support/memory-keys.ts'

const answer = '{"choices":[]}'
const step = makeStep()
const keys = await memoryKeys(step.tenantId)
const sealed = await sealText(keys, { tenantId: step.tenantId, stepId: step.stepId, field: 'answer' }, answer)
const origin = { topic: 'agent.steps', partition: 0, offset: 1, receivedAtMs: nowMs }

function resultRecord(text: string | null, stepId = step.stepId) {
  const result = buildStepResult({ ...step, stepId }, origin, [], {
    status: 'completed',
    code: null,
    message: null,
    answer: text,
    answeredBy: null,
    reasons: [],
    policyHash: null,
    finishedAtMs: nowMs,
  })
  return recordOf(codec.encode('step-result', result))
}

function reader(of: Keys) {
  const deps = { codec, log: pino({ level: 'silent' }), keys: of }
  const read = async (text: string | null, stepId?: string) =>
    openResult(deps, (await decodeResult(deps, resultRecord(text, stepId)))!)
  return { read }
}

test('a sealed answer is opened with the key; a plain one and none are what they are', async () => {
  const { read } = reader(keys)
  expect((await read(sealed)).answer).toBe(answer)
  expect((await read(answer)).answer).toBe(answer)
  expect((await read(null)).answer).toBeNull()
})

test('one that does not open stays sealed, and is told apart from an answer', async () => {
  const erased = await memoryKeys()
  for (const { read } of [reader(null), reader(erased)]) {
    const result = await read(sealed)
    expect(result.answer).toBe(sealed)
    expect(resultLine(result)).toMatchObject({ answer: null, sealedAnswer: sealed })
  }
  expect((await reader(keys).read(sealed, 's-2')).answer, 'moved to another step').toBe(sealed)
  const open = resultLine(await reader(keys).read(sealed))
  expect([open['answer'], 'sealedAnswer' in open, isSealed(sealed)]).toEqual([{ choices: [] }, false, true])
})
