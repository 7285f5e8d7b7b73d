import { Ajv } from 'ajv'
import { expect, test } from 'vitest'
import type { ChatRequest } from '#lib/events/chat-request'
import { schemaInstance } from '#lib/models/schema-instance'
import { createStandIn } from '#lib/models/stand-in'
import { structureVerdict } from '../../support/structure-verdict.ts'

const call = { model: 'any', maxOutputTokens: 100, signal: new AbortController().signal }
const ask = (fields: Omit<ChatRequest, 'messages'> = {}) =>
  createStandIn().complete({ messages: [{ role: 'user', content: 'Pay the claim' }], ...fields }, call)

const tools = ['lookup_policy', 'pay_claim'].map((name) => ({
  type: 'function' as const,
  function: {
    name,
    parameters: { type: 'object', required: ['id'], properties: { id: { type: 'string', minLength: 40 } } },
  },
}))

test('every answer says that no model was called', async () => {
  const formats = [{ type: 'text' }, { type: 'json_object' }] as const
  for (const response_format of formats) {
    const { completion, standIn } = await ask({ response_format })
    expect(standIn).toBe(true)
    expect(completion.model).toBe('stand-in')
    expect(completion.system_fingerprint).toBe('stand-in')
    expect(completion.choices[0]?.message.content).toContain('stand-in')
    expect(structureVerdict({ response_format }, completion).verdict).toBe('ok')
  }
})

test('a required tool is called with arguments in the shape of its schema', async () => {
  const request = { tools, tool_choice: 'required' } as const
  const { completion } = await ask(request)
  expect(structureVerdict(request, completion).verdict).toBe('ok')
  const made = completion.choices[0]?.message.tool_calls?.[0]
  if (made?.type !== 'function') throw new Error('no function call')
  expect(made.function.name).toBe('pay_claim')
  expect(new Ajv().validate(tools[1]!.function.parameters, JSON.parse(made.function.arguments))).toBe(true)
})

test('a named tool is the one that is called, and none when none may be', async () => {
  const named = { tools, tool_choice: { type: 'function', function: { name: 'lookup_policy' } } } as const
  expect(structureVerdict(named, (await ask(named)).completion).verdict).toBe('ok')
  const { completion } = await ask({ tools, tool_choice: 'none' })
  expect(completion.choices[0]?.message.tool_calls).toBeUndefined()
})

test('the same request gives the same bytes', async () => {
  expect(await ask({ tools })).toEqual(await ask({ tools }))
})

test.each([
  { type: 'object', required: ['a'], properties: { a: { enum: ['x', 'y'] }, b: { type: 'string' } } },
  { type: 'array', minItems: 2, items: { type: 'integer', minimum: 3, multipleOf: 2 } },
  { anyOf: [{ type: 'number', exclusiveMaximum: -4 }, { type: 'null' }] },
  { type: ['null', 'boolean'] },
  {
    allOf: [
      { type: 'object', required: ['a'], properties: { a: { const: 7 } } },
      { required: ['b'], properties: { b: { $ref: '#/$defs/name' } } },
    ],
    $defs: { name: { type: 'string', maxLength: 3, minLength: 2 } },
  },
  { $ref: '#/$defs/node', $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } } } } },
])('an instance of %j fits it', (schema) => {
  expect(new Ajv({ strict: false }).validate(schema, schemaInstance(schema, '[label]'))).toBe(true)
})

test('a schema that needs itself for ever ends', () => {
  const endless = { $ref: '#/$defs/n', $defs: { n: { required: ['n'], properties: { n: { $ref: '#/$defs/n' } } } } }
  expect(() => schemaInstance(endless, '')).not.toThrow()
})
