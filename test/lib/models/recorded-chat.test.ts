import type { ChatCompletion } from 'openai/resources/chat'
import { expect, test } from 'vitest'
import { createRecordedChat, type RecordedAnswer } from '#lib/models/recorded-chat'

const recorded: RecordedAnswer = {
  model: 'big',
  completion: { id: 'c', choices: [] } as unknown as ChatCompletion,
  promptTokens: 12,
  completionTokens: 3,
  standIn: false,
}
const step = { tenantId: 'acme', stepId: 's', model: 'big' }
const ask = (of: typeof step | undefined, found: RecordedAnswer | null | Error = recorded) =>
  createRecordedChat(() => (found instanceof Error ? Promise.reject(found) : Promise.resolve(found))).complete(
    { messages: [] },
    {
      model: 'as the provider knows it',
      maxOutputTokens: 1,
      signal: AbortSignal.timeout(1_000),
      ...(of && { step: of }),
    },
  )

test('a step gets the answer that it got when it was recorded, with its usage', async () => {
  const { model: _, ...answer } = recorded
  expect(await ask(step)).toEqual(answer)
})

test.each([
  ['nothing is recorded', step, null],
  ['another model answered', { ...step, model: 'small' }, recorded],
  ['no step asks', undefined, recorded],
])('there is no answer, for good, where %s', async (_what, of, found) => {
  await expect(ask(of, found)).rejects.toMatchObject({
    reason: 'not_recorded',
    transient: false,
    outcomeUnknown: false,
  })
})

test('a store that does not answer is tried again, and nothing counts as billed', async () => {
  const error = await ask(step, new Error('away')).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ reason: 'unreachable', transient: true, outcomeUnknown: false })
})
