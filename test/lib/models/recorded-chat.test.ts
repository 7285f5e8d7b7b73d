import { expect, test } from 'vitest'
import { createRecordedChat, type RecordedAnswer, type RecordedChatDeps } from '#lib/models/recorded-chat'

const completion = { id: 'c', choices: [] }
const recorded: RecordedAnswer = {
  model: 'big',
  answer: JSON.stringify(completion),
  promptTokens: 12,
  completionTokens: 3,
  standIn: false,
}
const step = { tenantId: 'acme', stepId: 's', model: 'big' }
const plain: RecordedChatDeps['open'] = (_step, answer) => Promise.resolve(answer)

function ask(of: typeof step | undefined, found: RecordedAnswer | null | Error = recorded, open = plain) {
  const read = () => (found instanceof Error ? Promise.reject(found) : Promise.resolve(found))
  const signal = AbortSignal.timeout(1_000)
  return createRecordedChat({ read, open }).complete(
    { messages: [] },
    { model: 'as the provider knows it', maxOutputTokens: 100, promptTokensBound: 10, signal, ...(of && { step: of }) },
  )
}

test('a step gets the answer that it got when it was recorded, with its usage', async () => {
  expect(await ask(step)).toEqual({ completion, promptTokens: 12, completionTokens: 3, standIn: false })
})

test('a sealed answer is opened where it is served, as that step', async () => {
  const sealed = { ...recorded, answer: 'eyJ…' }
  const asked: unknown[] = []
  const open: RecordedChatDeps['open'] = (of, answer) => {
    asked.push(of, answer)
    return Promise.resolve(recorded.answer)
  }
  expect(await ask(step, sealed, open)).toMatchObject({ completion })
  expect(asked).toEqual([step, 'eyJ…'])
})

test.each([
  ['nothing is recorded', step, null, plain],
  ['another model answered', { ...step, model: 'small' }, recorded, plain],
  ['no step asks', undefined, recorded, plain],
  ['more was written than may be now', step, { ...recorded, completionTokens: 200 }, plain],
  ['the answer was erased', step, recorded, () => Promise.resolve(null)],
  ['the answer was cut', step, { ...recorded, answer: '{"id":"c","cho' }, plain],
])('there is no answer, for good, where %s', async (_what, of, found, open) => {
  await expect(ask(of, found, open)).rejects.toMatchObject({
    reason: 'not_recorded',
    transient: false,
    outcomeUnknown: false,
  })
})

test('a store that does not answer is tried again, and nothing counts as billed', async () => {
  const error = await ask(step, new Error('away')).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ reason: 'unreachable', transient: true, outcomeUnknown: false })
})
