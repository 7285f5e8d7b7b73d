import { describe, expect, test } from 'vitest'
import { ApiError } from '../../../services/inference/api-error.ts'
import { parseRequest } from '../../../services/inference/parse-request.ts'

const messages = [{ role: 'user', content: 'Hello' }]
const tools = ['get_claim', 'pay_claim'].map((name) => ({ type: 'function', function: { name } }))
const parse = (more: Record<string, unknown>) => parseRequest({ model: 'm', messages, ...more }, 'm')

function refusal(more: Record<string, unknown>): { status: number; param: string | null; code: string | null } {
  try {
    parse(more)
  } catch (error) {
    if (error instanceof ApiError) return { status: error.status, ...pick(error.body.error) }
    throw error
  }
  throw new Error('the request was taken')
}

function pick({ param, code }: ApiError['body']['error']): { param: string | null; code: string | null } {
  return { param, code }
}

describe('parseRequest', () => {
  test('fills in what is not said', () => {
    const { sampling, ...rest } = parse({})
    expect(rest).toEqual({
      turns: [{ role: 'user', text: 'Hello' }],
      tools: [],
      toolChoice: { mode: 'none' },
      answerSchema: undefined,
      maxTokens: undefined,
      topLogprobs: undefined,
      stop: [],
      stream: false,
      streamUsage: false,
    })
    expect(sampling).toMatchObject({ temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0 })
  })

  test('reads turns of every role', () => {
    const call = { id: 'c', type: 'function', function: { name: 'get_claim', arguments: '{}' } }
    const { turns } = parse({
      messages: [
        { role: 'developer', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c', content: 'paid' },
      ],
    })
    expect(turns).toEqual([
      { role: 'system', text: 'Be brief.' },
      { role: 'user', text: 'a\nb' },
      { role: 'assistant', text: '', calls: [{ name: 'get_claim', arguments: '{}' }] },
      { role: 'tool', text: 'paid' },
    ])
  })

  test('max_completion_tokens wins over the old name', () => {
    expect(parse({ max_tokens: 5, max_completion_tokens: 7 }).maxTokens).toBe(7)
    expect(parse({ max_tokens: 5 }).maxTokens).toBe(5)
  })

  test('null is the same as nothing', () => {
    const nothing = ['tools', 'tool_choice', 'response_format', 'max_tokens', 'temperature', 'stop', 'seed', 'stream']
    expect(() => parse(Object.fromEntries(nothing.map((name) => [name, null])))).not.toThrow()
  })

  test.each([
    [undefined, { mode: 'auto' }],
    ['none', { mode: 'none' }],
    ['required', { mode: 'required' }],
    [
      { type: 'function', function: { name: 'pay_claim' } },
      { mode: 'required', name: 'pay_claim' },
    ],
  ])('tool_choice %j', (choice, expected) => {
    expect(parse({ tools, ...(choice === undefined ? {} : { tool_choice: choice }) }).toolChoice).toEqual(expected)
  })

  test('allowed_tools leaves the others out', () => {
    const allowed = { mode: 'required', tools: [{ type: 'function', function: { name: 'pay_claim' } }] }
    const request = parse({ tools, tool_choice: { type: 'allowed_tools', allowed_tools: allowed } })
    expect(request.tools.map((tool) => tool.name)).toEqual(['pay_claim'])
    expect(request.toolChoice).toEqual({ mode: 'required' })
  })

  test('response_format becomes a schema', () => {
    const schema = { type: 'object', properties: { label: { type: 'string' } } }
    expect(parse({ response_format: { type: 'text' } }).answerSchema).toBeUndefined()
    expect(parse({ response_format: { type: 'json_object' } }).answerSchema).toEqual({ type: 'object' })
    expect(
      parse({ response_format: { type: 'json_schema', json_schema: { name: 'l', schema } } }).answerSchema,
    ).toEqual(schema)
  })

  test('one seed is one seed, also a negative one', () => {
    expect(parse({ seed: 7 }).sampling.seed).toBe(7)
    expect(parse({ seed: -1 }).sampling.seed).toBe(4_294_967_295)
  })

  const image = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } }] }
  test.each([
    [{ model: 'gpt-5' }, { status: 404, param: 'model', code: 'model_not_found' }],
    [{ messages: undefined }, { status: 400, param: 'messages', code: 'missing_required_parameter' }],
    [{ messages: [] }, { status: 400, param: 'messages', code: 'invalid_value' }],
    [{ messages: [{ role: 'robot', content: 'x' }] }, { status: 400, param: 'messages.0.role', code: 'invalid_value' }],
    [{ messages: [image] }, { status: 400, param: 'messages.0.content.0.type', code: 'invalid_value' }],
    [{ temperature: 3 }, { status: 400, param: 'temperature', code: 'invalid_value' }],
    [{ n: 2 }, { status: 400, param: 'n', code: 'invalid_value' }],
    [{ logit_bias: { 5: 1 } }, { status: 400, param: 'logit_bias', code: 'unknown_parameter' }],
    [{ top_logprobs: 2 }, { status: 400, param: 'top_logprobs', code: null }],
    [{ tool_choice: 'required' }, { status: 400, param: 'tool_choice', code: null }],
    [
      { tools, tool_choice: { type: 'function', function: { name: 'other' } } },
      { status: 400, param: 'tool_choice', code: null },
    ],
    [{ tools: [{ type: 'web_search' }] }, { status: 400, param: 'tools.0.type', code: 'invalid_value' }],
  ])('refuses %j', (more, expected) => {
    expect(refusal(more)).toEqual(expected)
  })

  test('a refusal does not repeat the value', () => {
    expect(() => parse({ messages: [{ role: 'user', content: 42_424_242 }] })).toThrow(/^(?!.*4242)/)
  })
})
