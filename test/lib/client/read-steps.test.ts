import { readFileSync } from 'node:fs'
import { array, assert, asyncProperty, integer, string } from 'fast-check'
import { expect, test } from 'vitest'
import { readLines } from '#lib/client/read-lines'
import { readSteps, type StepDefaults, type StepLine } from '#lib/client/read-steps'

const request = { messages: [{ role: 'user', content: 'secret words' }], max_tokens: 5 }
const own = { stepId: 's1', taskId: 't1', tenantId: 'acme', request }
const batch = { custom_id: 'c1', method: 'POST', url: '/v1/chat/completions', body: request }

async function* chunks(text: string, size = 7): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(lines: unknown[], defaults?: StepDefaults): Promise<StepLine[]> {
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
  return Array.fromAsync(readSteps(chunks(text), defaults))
}

function problemOf(line: StepLine | undefined): string {
  return line && 'problem' in line ? `${line.problem.code}: ${line.problem.message}` : 'no problem'
}

test('reads a step whose request is an object or JSON text', async () => {
  const steps = await read([own, { ...own, request: JSON.stringify(request) }])
  expect(steps).toHaveLength(2)
  for (const line of steps)
    expect(line).toMatchObject({ step: { ...own, request: JSON.stringify(request), priority: 'interactive' } })
})

test('reads a step whose request was sealed before', async () => {
  const sealed = 'eyJhbGciOiJkaXIifQ..aXY.dGV4dA.dGFn'
  expect(await read([{ ...own, request: sealed }])).toMatchObject([{ step: { request: sealed } }])
})

test('reads OpenAI Batch lines: batch priority, a task each, the tenant by flag', async () => {
  const [line] = await read([batch], { tenantId: 'acme' })
  expect(line).toMatchObject({
    number: 1,
    step: { stepId: 'c1', taskId: 'c1', tenantId: 'acme', priority: 'batch', request: JSON.stringify(request) },
  })
})

test('flags fill what a line leaves out and change nothing that it says', async () => {
  const defaults: StepDefaults = { tenantId: 'flag', taskId: 'job', batchId: 'b1', priority: 'interactive' }
  const [first, second] = await read([own, batch], defaults)
  expect(first).toMatchObject({ step: { tenantId: 'acme', taskId: 't1', batchId: 'b1' } })
  expect(second).toMatchObject({ step: { tenantId: 'flag', taskId: 'job', batchId: 'b1', priority: 'interactive' } })
})

test('names bad lines by number, says what is wrong, and goes on', async () => {
  const lines = await read([
    own,
    '{"stepId": ',
    '',
    '[1]',
    { ...own, tenantId: undefined },
    { ...own, constraint: {} },
    { ...own, stepId: ' ' },
    { ...own, request: 'no json' },
    { ...batch, url: '/v1/embeddings' },
    { ...batch, method: 'GET' },
    { ...batch, body: 7 },
    { ...batch, extra: 1 },
    own,
  ])
  expect(lines.map(({ number }) => number)).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
  expect(lines.map((line) => 'step' in line)).toEqual([true, ...Array<boolean>(10).fill(false), true])
  expect(problemOf(lines[1])).toMatch(/^SHUNT_EVENT_INVALID: .*not JSON/)
  expect(problemOf(lines[3])).toContain('--tenant')
  expect(problemOf(lines[4])).toContain('constraint')
  expect(problemOf(lines[7])).toContain('/v1/chat/completions')
})

test('never quotes what a line holds', async () => {
  const text = JSON.stringify(own)
  const lines = await read([
    text.slice(0, -3),
    text.replace('"messages"', 'messages'),
    { ...own, kind: 'secret words' },
  ])
  for (const line of lines) expect(problemOf(line)).not.toContain('secret')
})

test('a line above the limit is passed over and the next one is read', async () => {
  const lines = await Array.fromAsync(readLines(chunks(`${'x'.repeat(100)}\nab\n`), 50))
  expect(lines).toEqual([
    { number: 1, text: undefined },
    { number: 2, text: 'ab' },
  ])
})

test('a request above the limit of a step is a bad line', async () => {
  const large = { ...own, request: { messages: [{ role: 'user', content: 'x'.repeat(1024 * 1024) }] } }
  const [line] = await read([large])
  expect(problemOf(line)).toMatch(/^SHUNT_EVENT_TOO_LARGE/)
})

test('lines are those of split, however the bytes arrive', () =>
  assert(
    asyncProperty(array(string({ unit: 'grapheme' })), integer({ min: 1, max: 9 }), async (parts, size) => {
      const text = parts.map((part) => part.replaceAll('\n', '')).join('\n')
      const lines = await Array.fromAsync(readLines(chunks(text, size), 1_000))
      const expected = text.split('\n')
      if (expected.at(-1) === '') expected.pop()
      expect(lines.map((line) => line.text)).toEqual(expected.map((line) => Buffer.from(line).toString()))
    }),
  ))

test.each(['claims-agent', 'classification', 'summarisation'])('samples/%s.jsonl holds steps alone', async (name) => {
  const text = readFileSync(new URL(`../../../samples/${name}.jsonl`, import.meta.url), 'utf8')
  const lines = await Array.fromAsync(readSteps(chunks(text, 65_536)))
  expect(lines.filter((line) => 'problem' in line)).toEqual([])
  const ids = lines.map((line) => ('step' in line ? `${line.step.tenantId}/${line.step.stepId}` : ''))
  expect(new Set(ids).size).toBe(ids.length)
})
