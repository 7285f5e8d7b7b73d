import { getLlama, type Llama } from 'node-llama-cpp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerGrammar } from '../../../services/inference/answer-grammar.ts'
import { createGrammarBuilder, type JsonSchema } from '../../../services/inference/json-grammar.ts'

/** llama.cpp itself says whether a text fits: no model is needed for that. */
let llama: Llama
beforeAll(async () => {
  llama = await getLlama({ build: 'never', gpu: false, skipDownload: true, progressLogs: false, maxThreads: 1 })
})
afterAll(() => llama.dispose())

async function fits(grammar: string | undefined, text: string): Promise<boolean> {
  const compiled = await llama.createGrammar({ grammar: grammar ?? '' })
  const { _grammar: native } = compiled as unknown as { _grammar: { isTextCompatible(text: string): boolean } }
  return native.isTextCompatible(text)
}

function grammarOf(schema: JsonSchema): string {
  const builder = createGrammarBuilder()
  return builder.build(builder.schema('answer', schema))
}

const claim = {
  type: 'object',
  properties: { id: { type: 'string' }, year: { type: 'integer' }, paid: { type: 'boolean' } },
  required: ['id'],
}
const list = {
  $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } } } },
  $ref: '#/$defs/node',
}
const union = { anyOf: [{ const: 'none' }, { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }] }
const allOf = { allOf: [claim, { properties: { by: { type: 'string' } }, required: ['by'] }] }

describe('createGrammarBuilder', () => {
  test.each<[string, JsonSchema, string, boolean]>([
    ['a required property alone', claim, '{"id": "C-1"}', true],
    ['optional ones in their order', claim, '{"id": "C-1", "year": 2023, "paid": true}', true],
    ['an optional one left out between', claim, '{"id": "C-1", "paid": false}', true],
    ['no required property', claim, '{"year": 2023}', false],
    ['a property that is not named', claim, '{"id": "C-1", "x": 1}', false],
    ['a wrong type', claim, '{"id": 1}', false],
    ['an optional first property', { type: 'object', properties: { a: {}, b: {} }, required: ['b'] }, '{"b": 1}', true],
    ['no property at all', { type: 'object', properties: { a: {}, b: {} } }, '{}', true],
    ['required without a schema', { type: 'object', required: ['a'] }, '{"a": null}', true],
    ['any object', { type: 'object' }, '{"a": [1, {"b": null}], "c": "\\u00e9"}', true],
    ['an empty object only', { type: 'object', additionalProperties: false }, '{"a": 1}', false],
    ['a map', { type: 'object', additionalProperties: { type: 'integer' } }, '{"a": 1, "b": -20}', true],
    ['a map with a wrong value', { type: 'object', additionalProperties: { type: 'integer' } }, '{"a": "1"}', false],
    ['an enum', { enum: ['theft', 3, null, ['a']] }, '["a"]', true],
    ['outside an enum', { enum: ['theft', 'fire'] }, '"water"', false],
    ['a quoted enum', { enum: ['say "\\no"'] }, JSON.stringify('say "\\no"'), true],
    ['one of several types', { type: ['string', 'null'] }, 'null', true],
    ['an array', { type: 'array', items: { type: 'integer' } }, '[1, 2, 3]', true],
    ['too few items', { type: 'array', items: { type: 'integer' }, minItems: 2 }, '[1]', false],
    ['enough items', { type: 'array', items: { type: 'integer' }, minItems: 2, maxItems: 2 }, '[1, 2]', true],
    ['too many items', { type: 'array', items: { type: 'integer' }, maxItems: 2 }, '[1, 2, 3]', false],
    ['a tuple', { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }] }, '["a", 1]', true],
    ['a short string', { type: 'string', maxLength: 3 }, '"abcd"', false],
    ['a string with an escape', { type: 'string' }, '"a\\n\\"b\\""', true],
    ['a raw line break', { type: 'string' }, '"a\nb"', false],
    ['a date', { type: 'string', format: 'date' }, '"2024-02-29"', true],
    ['no date', { type: 'string', format: 'date' }, '"29.02.2024"', false],
    ['a time stamp', { type: 'string', format: 'date-time' }, '"2024-02-29T12:00:00Z"', true],
    ['a number', { type: 'number' }, '-1.5e10', true],
    ['a leading zero', { type: 'number' }, '012', false],
    ['a natural number', { type: 'integer', minimum: 0 }, '-1', false],
    ['a recursive schema', list, '{"next": {"next": {}}}', true],
    ['a recursive schema broken', list, '{"next": 1}', false],
    ['the first of a union', union, '"none"', true],
    ['the second of a union', union, '{"n": 1.5}', true],
    ['all of two objects', allOf, '{"id": "C-1", "by": "Ann"}', true],
    ['not all of two objects', allOf, '{"id": "C-1"}', false],
    ['a reference to elsewhere', { $ref: 'https://example.org/x' }, '[1]', true],
    ['true', true, '{"a": 1}', true],
  ])('%s', async (_name, schema, text, expected) => {
    expect(await fits(grammarOf(schema), text)).toBe(expected)
  })

  test('does not change the schema', () => {
    const schema = { type: 'object', properties: {}, required: ['a'] }
    grammarOf(schema)
    expect(schema).toEqual({ type: 'object', properties: {}, required: ['a'] })
  })

  test('a property may have the name of a rule', async () => {
    const schema = {
      type: 'object',
      properties: { string: { enum: ['a'] }, root: { type: 'null' } },
      required: ['root'],
    }
    expect(await fits(grammarOf(schema), '{"string": "a", "root": null}')).toBe(true)
  })
})

describe('answerGrammar', () => {
  const tools = [
    { name: 'get_claim', description: '', parameters: claim },
    { name: 'ping', description: '', parameters: { type: 'object', additionalProperties: false } },
  ]

  test('free text has no grammar', () => {
    expect(answerGrammar({ kind: 'text' }, { tools, answerSchema: undefined })).toBeUndefined()
  })

  test.each([
    ['get_claim{"id": "C-1"}', true],
    ['ping{}', true],
    ['ping{"id": "C-1"}', false],
    ['get_claims{"id": "C-1"}', false],
  ])('a call: %s', async (text, expected) => {
    expect(await fits(answerGrammar({ kind: 'call' }, { tools, answerSchema: undefined }), text)).toBe(expected)
  })

  test('arguments of the named tool', async () => {
    const grammar = answerGrammar({ kind: 'arguments', name: 'ping' }, { tools, answerSchema: undefined })
    expect(await fits(grammar, '{}')).toBe(true)
    expect(await fits(grammar, '{"id": "C-1"}')).toBe(false)
  })

  test.each([
    [' Call\nping{}', true],
    [' Output\nAnything\n\nat all.', true],
    [' Outcome\n', false],
  ])('the choice of a base model: %j', async (text, expected) => {
    const form = { kind: 'choice', callPrefix: ' Call\n', textPrefix: ' Output\n' } as const
    expect(await fits(answerGrammar(form, { tools, answerSchema: undefined }), text)).toBe(expected)
  })

  test.each([
    ['### Call\nping{}', true],
    ['Anything.', true],
    ['### Call\npong{}', false],
  ])('the choice of a model with a template: %j', async (text, expected) => {
    const form = { kind: 'choice', callPrefix: '### Call\n', textPrefix: '' } as const
    expect(await fits(answerGrammar(form, { tools, answerSchema: undefined }), text)).toBe(expected)
  })
})
