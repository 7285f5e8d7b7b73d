import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readLabelRequest } from '#lib/calibration/label-request'
import { collect, readItems, readLabels, readRequests, type Read } from '#lib/calibration/labels'
import { extractFeatures } from '#lib/routing/features'

const request = { messages: [{ role: 'user', content: 'Which is it?' }] }
const label = { id: 'a', kind: 'reasoning', request, outcome: { oss: true, frontier: false } }

async function* stream(...chunks: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  for (const chunk of chunks) yield chunk
}

function lines(...values: unknown[]): string {
  return values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join('\n')
}

async function all<T>(reads: AsyncIterable<Read<T>>): Promise<Read<T>[]> {
  const found = []
  for await (const read of reads) found.push(read)
  return found
}

test('reads labels, true and 1 alike, one side absent or null', async () => {
  const text = lines(
    { ...label, group: 'algebra', tenant: 'acme' },
    { ...label, id: 'b', outcome: { oss: 0 } },
    { ...label, id: 7, outcome: { oss: null, frontier: 1 } },
  )
  const { values, bad } = await collect(readLabels(stream(text)))
  expect(bad).toEqual([])
  expect(
    values.map(({ id, group, tenantId, outcome }) => [id, group, tenantId, outcome.oss, outcome.frontier]),
  ).toEqual([
    ['a', 'algebra', 'acme', true, false],
    ['b', null, null, false, null],
    ['7', null, null, null, true],
  ])
})

test('reads gzipped bytes as the plain ones, however they are cut', async () => {
  const text = lines(label, { ...label, id: 'b' })
  const plain = await all(readLabels(stream(text)))
  const packed = gzipSync(text)
  const cut = Array.from(packed, (_, i) => packed.subarray(i, i + 1))
  expect(await all(readLabels(stream(...cut)))).toEqual(plain)
  expect(await all(readLabels(stream(...Array.from(text))))).toEqual(plain)
})

test('gzip that ends too early is an error, not the end', async () => {
  const packed = gzipSync(lines(label, { ...label, id: 'b' }))
  await expect(all(readLabels(stream(packed.subarray(0, packed.length - 12))))).rejects.toThrow('unexpected end')
})

test('a kind that is none of ours is unknown', async () => {
  const { values } = await collect(readLabels(stream(lines({ ...label, kind: 'question' }, { ...label, id: 'b' }))))
  expect(values.map(({ kind }) => kind)).toEqual(['unknown', 'reasoning'])
})

test('names each bad line by its number and reason, and passes it over', async () => {
  const text = lines(
    '{"id": ',
    '',
    '[]',
    { ...label, id: '' },
    { ...label, request: {} },
    { ...label, request: { messages: [{ role: 'user', content: 3 }] } },
    { ...label, request: { messages: [{ content: 'no role' }] } },
    { ...label, outcome: { oss: 'yes' } },
    { ...label, outcome: {} },
    { ...label, outcome: undefined },
    label,
    label,
    { ...label, id: 'unsure', ossConfidencePpm: 0.7 },
  )
  const { values, bad } = await collect(readLabels(stream(text)))
  expect(values).toHaveLength(1)
  expect(bad.map(({ number, reason }) => `${number} ${reason}`)).toEqual([
    '1 the line is not JSON',
    '3 the line must be a JSON object',
    '4 id must be a string of at least one character',
    '5 request.messages must be an array of at least one message',
    '6 request.messages[0].content must be a string, an array of parts or null',
    '7 request.messages[0].role must be a string',
    '8 outcome.oss and outcome.frontier must be true, false, 1 or 0',
    '9 outcome has neither oss nor frontier',
    '10 outcome must be an object',
    '12 id a is that of line 11',
    '13 ossConfidencePpm must be a whole number from 0 to 1000000',
  ])
})

test('a file without a usable line is refused with its first reason', async () => {
  await expect(collect(readLabels(stream('nonsense')))).rejects.toMatchObject({
    code: 'SHUNT_LABELS_TOO_FEW',
    message: expect.stringContaining('line 1: the line is not JSON') as string,
  })
})

test('items are read without group and outcome, twice where they are twice', async () => {
  const odd = { ...label, group: {}, outcome: 'hidden' }
  const { values } = await collect(readItems(stream(lines(odd, odd))))
  expect(values).toEqual([
    { id: 'a', kind: 'reasoning', request },
    { id: 'a', kind: 'reasoning', request },
  ])
})

test('requests need nothing else', async () => {
  const { values } = await collect(readRequests(stream(lines({ request }, label))))
  expect(values).toEqual([request, request])
})

test('keeps tools of other systems: odd names, schemas with foreign types, none at all, and the old form', () => {
  const read = readLabelRequest({
    messages: [{ role: 'user', content: 'Go.' }],
    tools: [
      {
        type: 'function',
        function: { name: 'math.factorial', parameters: { type: 'dict', properties: { n: { type: 'HashMap' } } } },
      },
      { type: 'function', function: { name: 'bare', description: 7, parameters: 'none' } },
      { name: 'old_form', description: 'Works.' },
      { type: 'function', function: { description: 'without a name' } },
      'junk',
    ],
    tool_choice: 'any',
    max_tokens: -1,
    unheard: true,
  })
  expect(read).toEqual({
    messages: [{ role: 'user', content: 'Go.' }],
    tools: [
      {
        type: 'function',
        function: { name: 'math.factorial', parameters: { type: 'dict', properties: { n: { type: 'HashMap' } } } },
      },
      { type: 'function', function: { name: 'bare' } },
      { type: 'function', function: { name: 'old_form', description: 'Works.' } },
    ],
  })
})

test('reads the roles and calls of older APIs', () => {
  const read = readLabelRequest({
    messages: [
      { role: 'human', content: ['Hello', { type: 'input_text', text: 'there' }, { type: 'audio' }] },
      { role: 'model', content: null, function_call: { name: 'look', arguments: { at: 1 } } },
      { role: 'function', name: 'look', content: 'Seen.' },
    ],
  })
  expect(read).toEqual({
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Hello' },
          { type: 'text', text: 'there' },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'look', type: 'function', function: { name: 'look', arguments: '{"at":1}' } }],
      },
      { role: 'tool', content: 'Seen.', tool_call_id: 'look' },
    ],
  })
})

test('features can be read of whatever is read', () => {
  const text = fc.oneof(fc.string(), fc.jsonValue())
  const message = fc.record(
    {
      role: fc.oneof(fc.constantFrom('system', 'user', 'assistant', 'tool', 'function'), fc.string()),
      content: fc.oneof(fc.string(), fc.constant(null), fc.array(fc.oneof(text, fc.record({ type: text, text })))),
      tool_calls: fc.oneof(
        text,
        fc.array(fc.record({ id: text, function: fc.record({ name: text, arguments: text }) })),
      ),
      tool_call_id: text,
    },
    { requiredKeys: ['role'] },
  )
  const parameters = fc.oneof(fc.jsonValue(), fc.record({ type: text, properties: text, required: text }))
  const tool = fc.oneof(text, fc.record({ function: fc.record({ name: fc.string(), description: text, parameters }) }))
  const anyRequest = fc.record({
    messages: fc.array(message, { minLength: 1, maxLength: 5 }),
    tools: fc.oneof(text, fc.array(tool, { maxLength: 5 })),
    tool_choice: text,
    response_format: text,
  })
  fc.assert(
    fc.property(anyRequest, (value) => {
      const read = readLabelRequest(value)
      if (typeof read === 'string') throw new Error(read)
      extractFeatures({ kind: 'unknown', request: JSON.stringify(read) }, read)
    }),
  )
})
