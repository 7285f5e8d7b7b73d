import { readdirSync, readFileSync } from 'node:fs'
import type { ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions'
import { describe, expect, expectTypeOf, test } from 'vitest'
import type { ChatRequest } from '#lib/events/chat-request'
import { requestFields, validateRequest } from '#lib/events/request-fields'

interface Case {
  path: string
  fields: object
}
interface FieldFixture {
  accepted: object[]
  /** Of another form than OpenAI's. */
  refused: Case[]
  /** Of OpenAI's form, and not done here, strip or no strip. */
  unsupported: Case[]
}

const dir = new URL('../../../schemas/fixtures/request-fields/', import.meta.url)
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`${name}.json`, dir), 'utf8'))
const listed = 'not-on-the-list'

const body = { messages: [{ role: 'user', content: 'hi' }] }
const validate = (fields: object, unsupportedFields: 'refuse' | 'strip' = 'refuse') =>
  validateRequest(JSON.stringify({ ...body, ...fields }), { request: { unsupportedFields } })
const failing = (code: string, path: string): Error =>
  expect.objectContaining({ code, retryable: false, message: expect.stringMatching(startOf(path)) as string }) as Error
const startOf = (path: string): RegExp => new RegExp(`^request\\.${path.replaceAll(/[[\].]/g, String.raw`\$&`)} `)

test('every field of the allow-list has a fixture, and every fixture a field', () => {
  const fixtures = readdirSync(dir).map((file) => file.replace('.json', ''))
  expect(fixtures.filter((name) => name !== listed).toSorted()).toEqual([...requestFields].toSorted())
})

describe.each(requestFields)('%s', (field) => {
  const { accepted, refused, unsupported } = read(field) as FieldFixture

  test.each(accepted)('is taken as it is: %j', (fields) => {
    expect(validate(fields)).toEqual({ request: { ...body, ...fields }, stripped: [] })
  })

  test.each(refused)('is refused at $path: $fields', ({ path, fields }) => {
    for (const mode of ['refuse', 'strip'] as const)
      expect(() => validate(fields, mode)).toThrow(failing('SHUNT_EVENT_INVALID', path))
  })

  test.runIf(unsupported.length > 0).each(unsupported)('is not done at $path: $fields', ({ path, fields }) => {
    for (const mode of ['refuse', 'strip'] as const)
      expect(() => validate(fields, mode)).toThrow(failing('SHUNT_REQUEST_UNSUPPORTED', path))
  })
})

describe('what is not on the list', () => {
  const { stripped, silent, refused } = read(listed) as { stripped: Case[]; silent: object[]; refused: Case[] }

  test.each(stripped)('$path is refused, or stripped where the policy says so', ({ path, fields }) => {
    expect(() => validate(fields)).toThrow(failing('SHUNT_REQUEST_UNSUPPORTED', path))
    const result = validate(fields, 'strip')
    expect(result.stripped).toEqual([path])
    expect(validate(result.request)).toEqual({ request: result.request, stripped: [] })
  })

  test.each(silent)('%j says nothing and is left out', (fields) => {
    const { request, stripped } = validate(fields)
    expect(stripped).toEqual([])
    expect(Object.keys(request)).toEqual(['messages'])
  })

  test.each(refused)('$fields would need more than one answer', ({ path, fields }) => {
    for (const mode of ['refuse', 'strip'] as const)
      expect(() => validate(fields, mode)).toThrow(failing('SHUNT_REQUEST_UNSUPPORTED', path))
  })

  test('several fields are stripped together and told one by one', () => {
    const { request, stripped } = validate({ user: 'u', stream: true, seed: 5, store: true }, 'strip')
    expect(request).toEqual({ ...body, seed: 5 })
    expect(stripped).toEqual(['user', 'stream', 'store'])
  })

  test('a choice of a tool that was stripped is refused', () => {
    const choice = { type: 'function', function: { name: 'search' } }
    const fields = { tools: [{ type: 'web_search' }], tool_choice: choice }
    expect(() => validate(fields, 'strip')).toThrow(failing('SHUNT_EVENT_INVALID', 'tool_choice.function.name'))
  })

  test('a field named to break a log line is quoted', () => {
    expect(() => validate({ 'a\nb': 1 })).toThrow('request."a\\nb" is not supported')
    expect(() =>
      validateRequest('{"__proto__":{"n":2},"messages":[]}', { request: { unsupportedFields: 'refuse' } }),
    ).toThrow('request.__proto__ is not supported')
  })
})

test('optional fields within tools and formats that are null are left out', () => {
  const tools = [{ type: 'function', function: { name: 'f', strict: null, description: null, parameters: null } }]
  expect(validate({ tools }).request.tools).toEqual([{ type: 'function', function: { name: 'f' } }])
})

test('a request without messages is refused', () => {
  expect(() => validateRequest('{}', { request: { unsupportedFields: 'strip' } })).toThrow(
    failing('SHUNT_EVENT_INVALID', 'messages'),
  )
})

test('no message quotes what the request says', () => {
  const secret = 'the patient is'
  const messages = [{ role: secret, content: secret }]
  expect(() => validate({ messages })).toThrow(
    expect.not.objectContaining({ message: expect.stringContaining(secret) as string }) as Error,
  )
})

test('a schema nested beyond what recursive code takes is refused', () => {
  const schema = JSON.parse(`${'{"items":'.repeat(70)}{}${'}'.repeat(70)}`) as object
  const tools = [{ type: 'function', function: { name: 'f', parameters: schema } }]
  expect(() => validate({ tools })).toThrow('request is nested more than 64 deep')
})

test('a validated request is one of the openai SDK once it has a model', () => {
  expectTypeOf<ChatRequest & { model: string }>().toExtend<ChatCompletionCreateParamsNonStreaming>()
})
