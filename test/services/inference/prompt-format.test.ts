import { describe, expect, test } from 'vitest'
import type { GenerationRequest, Tool, Turn } from '../../../services/inference/generation-request.ts'
import { completionFormat, describeTools, renderCall } from '../../../services/inference/prompt-format.ts'

const user = (text: string): Turn => ({ role: 'user', text })
const assistant = (text: string): Turn => ({ role: 'assistant', text, calls: [] })
const system: Turn = { role: 'system', text: 'Classify the claim.' }
const getClaim: Tool = {
  name: 'get_claim',
  description: 'Reads a claim.',
  parameters: {
    type: 'object',
    properties: { id: { type: 'string' }, part: { enum: ['a', 'b'] }, year: { type: 'integer' } },
    required: ['id'],
  },
}

function prompt(
  turns: Turn[],
  toolChoice: GenerationRequest['toolChoice'] = { mode: 'none' },
  tools: Tool[] = [getClaim],
) {
  const { segments, ...rest } = completionFormat({ turns, toolChoice, tools })
  return { text: segments.map((segment) => segment.text).join(''), ...rest }
}

describe('completionFormat', () => {
  test('a few-shot prompt is a document with headings', () => {
    expect(prompt([system, user('My bike was stolen.'), assistant('theft'), user('A pipe burst.')]).text).toBe(
      '### Task\nClassify the claim.\n\n### Input\nMy bike was stolen.\n\n### Output\ntheft\n\n' +
        '### Input\nA pipe burst.\n\n### Output\n',
    )
  })

  test('ends at the first line when all examples are one line', () => {
    expect(prompt([user('a'), assistant('theft'), user('b')]).stop).toEqual(['\n###', '\n'])
    expect(prompt([user('a'), assistant('one\ntwo'), user('b')]).stop).toEqual(['\n###', '\n\n'])
    expect(prompt([user('a')]).stop).toEqual(['\n###', '\n\n'])
  })

  test('tools are told before the turns, so that the prefix stays the same within a task', () => {
    const { text } = prompt([system, user('Open C-1.')], { mode: 'required' })
    expect(text).toBe(
      '### Task\nClassify the claim.\n\n### Tools\nget_claim(id: string, part?: "a"|"b", year?: integer) Reads a claim.' +
        '\n\n### Input\nOpen C-1.\n\n### Call\n',
    )
  })

  test('a named tool is written already', () => {
    const { text, form } = prompt([user('Open C-1.')], { mode: 'required', name: 'get_claim' })
    expect(text.endsWith('### Call\nget_claim')).toBe(true)
    expect(form).toEqual({ kind: 'arguments', name: 'get_claim' })
  })

  test('auto without any answer before is a call', () => {
    expect(prompt([system, user('Open C-1.')], { mode: 'auto' }).form).toEqual({ kind: 'call' })
  })

  test('auto after an answer is the choice of the model', () => {
    const turns: Turn[] = [
      user('Open C-1.'),
      { role: 'assistant', text: '', calls: [{ name: 'get_claim', arguments: '{"id":"C-1"}' }] },
      { role: 'tool', text: '{"status":"paid"}' },
    ]
    const { text, form } = prompt(turns, { mode: 'auto' })
    expect(text.endsWith('### Call\nget_claim{"id": "C-1"}\n\n### Result\n{"status":"paid"}\n\n###')).toBe(true)
    expect(form.kind).toBe('choice')
  })

  test('tools are left out when none may be called', () => {
    expect(prompt([user('Hello.')], { mode: 'none' }).text).not.toContain('get_claim')
  })
})

test('calls are spaced as the grammar spaces them, and what is no JSON stays', () => {
  expect(renderCall({ name: 'f', arguments: '{"a":[1,2],"b":{"c":"x [ y"}}' })).toBe(
    'f{"a": [1, 2], "b": {"c": "x [ y"}}',
  )
  expect(renderCall({ name: 'f', arguments: '{"a"' })).toBe('f{"a"')
})

test('a tool without parameters or description is told in one line', () => {
  expect(describeTools([{ name: 'ping', description: '', parameters: { type: 'object' } }])).toBe('ping()')
})
