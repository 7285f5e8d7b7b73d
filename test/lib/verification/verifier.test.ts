import * as fc from 'fast-check'
import type { ChatCompletion } from 'openai/resources/chat'
import { afterAll, expect, test } from 'vitest'
import { verdictCodes } from '#lib/models/verdicts'
import { createSchemaProcess } from '#lib/verification/schema-process'
import { createVerifier, type Expectations } from '#lib/verification/verifier'
import type { AnswerableRequest } from '#lib/verification/verification'

const schemas = createSchemaProcess({ log: { warn() {} }, nowMs: Date.now })
const verifier = createVerifier(schemas)
afterAll(() => schemas.close())

const says = (content: string, logprob?: number) => complete({ content }, content, logprob)
const calls = (...args: string[]) =>
  complete({
    content: null,
    tool_calls: args.map((each) => ({ type: 'function', function: { name: 'pay', arguments: each } })),
  })

function complete(message: object, token = '', logprob?: number): ChatCompletion {
  const logprobs = logprob === undefined ? null : { content: [{ token, logprob }] }
  return { choices: [{ finish_reason: 'stop', message, logprobs }] } as unknown as ChatCompletion
}

const offers = (parameters: Record<string, unknown>): AnswerableRequest => ({
  tools: [{ type: 'function', function: { name: 'pay', parameters } }],
})
const asksFor = (schema: Record<string, unknown>): AnswerableRequest => ({
  response_format: { type: 'json_schema', json_schema: { name: 'n', schema } },
})
const pay = { type: 'object', required: ['amount'], properties: { amount: { type: 'number', maximum: 100 } } }

async function verdictOf(request: AnswerableRequest, completion: ChatCompletion, expectations?: Expectations) {
  return (await verifier.verify(request, completion, expectations)).verdict
}

test('arguments are held against the schema of their tool, of every call', async () => {
  expect(await verdictOf(offers(pay), calls('{"amount":5}'))).toBe('ok')
  expect(await verdictOf(offers(pay), calls('{"amount":5}', '{"amount":"5"}'))).toBe('arguments_invalid')
  expect(await verdictOf({ tools: [{ type: 'function', function: { name: 'pay' } }] }, calls('{"x":1}'))).toBe('ok')
})

test("a detail names the call and the schema's place, and no value", async () => {
  const { detail } = await verifier.verify(offers(pay), calls('{"amount":5}', '{"amount":987654}'))
  expect(detail).toContain('tool call 2 of 2')
  expect(detail).toContain('#/properties/amount/maximum')
  expect(detail).not.toContain('987654')
})

test('an answer in JSON is held against the schema of response_format', async () => {
  expect(await verdictOf(asksFor({ enum: ['a'] }), says('"a"'))).toBe('ok')
  expect(await verdictOf(asksFor({ enum: ['a'] }), says('"b"'))).toBe('schema_mismatch')
})

test('a schema that is none is the verdict, unless something is wrong with the answer', async () => {
  expect(await verdictOf(offers({ type: 'dict' }), calls('{}'))).toBe('schema_unusable')
  expect(await verdictOf(offers({ type: 'dict' }), calls('{'))).toBe('arguments_malformed')
  const two: AnswerableRequest = {
    tools: [...offers({ type: 'dict' }).tools!, { type: 'function', function: { name: 'get', parameters: pay } }],
  }
  const both = calls('{}', '{}')
  ;(both.choices[0]!.message.tool_calls![1] as { function: { name: string } }).function.name = 'get'
  expect(await verdictOf(two, both)).toBe('arguments_invalid')
})

test('a hostile schema is verification_timeout', async () => {
  const schema = { properties: { a: { pattern: '^(a+)+$' } } }
  expect(await verdictOf(asksFor(schema), says(`{"a":"${'a'.repeat(50)}!"}`))).toBe('verification_timeout')
})

test('a text outside the labels is label_unknown; JSON and calls are left to their schemas', async () => {
  const labels = ['theft', 'fire']
  expect(await verdictOf({}, says('Fire'), { labels })).toBe('ok')
  expect(await verdictOf({}, says('flood'), { labels })).toBe('label_unknown')
  expect(await verdictOf(asksFor({}), says('{"label":"flood"}'), { labels })).toBe('ok')
  expect(await verdictOf(offers(pay), calls('{"amount":1}'), { labels })).toBe('ok')
})

test('a refusal in words counts where it is asked to', async () => {
  const refusal = says("I'm sorry, but I can't help with that.")
  expect(await verdictOf({}, refusal)).toBe('ok')
  expect(await verdictOf({}, refusal, { refusalIsFailure: true, labels: ['theft'] })).toBe('refused')
})

test('what is unsure is told with its number, after what is wrong', async () => {
  const minConfidencePpm = 900_000
  expect(await verifier.verify({}, says('theft', Math.log(0.5)), { minConfidencePpm })).toEqual({
    verdict: 'low_confidence_answer',
    detail: 'confidence 500000 ppm, asked 900000',
    confidencePpm: 500_000,
  })
  expect(await verifier.verify({}, says('theft', Math.log(0.5)))).toMatchObject({
    verdict: 'ok',
    confidencePpm: 500_000,
  })
  expect(await verdictOf({}, says('theft'), { minConfidencePpm })).toBe('ok')
  expect(await verdictOf(asksFor({ type: 'object' }), says('1', -3), { minConfidencePpm })).toBe('schema_mismatch')
  expect(await verdictOf(asksFor({ type: 'dict' }), says('1', -3), { minConfidencePpm })).toBe('low_confidence_answer')
})

test("a stand-in's answer is held against the structure alone", async () => {
  expect(await verdictOf(offers(pay), calls('{}'), { structureOnly: true, labels: ['x'] })).toBe('ok')
  expect(await verdictOf(offers(pay), calls('['), { structureOnly: true })).toBe('arguments_malformed')
})

test('any JSON value gets a verdict', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), async (message, content, logprobs) => {
      const choice = { finish_reason: 'stop', logprobs, message: { content, tool_calls: message } }
      for (const value of [message, { choices: [{ message, logprobs }] }, { choices: [choice] }])
        expect(verdictCodes).toContain(
          await verdictOf(offers(pay), value as unknown as ChatCompletion, { minConfidencePpm: 1 }),
        )
    }),
  )
})
