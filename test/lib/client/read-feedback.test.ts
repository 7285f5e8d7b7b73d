import { expect, test } from 'vitest'
import { readFeedback, type FeedbackDefaults } from '#lib/client/read-feedback'

const nowMs = 1_767_309_000_000
const own = { tenantId: 'acme', stepId: 's-1', taskId: 't-1', verdict: 'wrong' }

async function read(lines: unknown[], defaults: FeedbackDefaults = {}) {
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
  async function* bytes() {
    yield Buffer.from(text)
  }
  return Array.fromAsync(readFeedback(bytes(), defaults, () => nowMs))
}

test('a line without a time is of now, and what it leaves out is null', async () => {
  expect(await read([own, { ...own, atMs: 1_700_000_000_000, code: 'c', actor: 'a' }])).toEqual([
    { number: 1, value: { ...own, code: null, actor: null, atMs: nowMs } },
    { number: 2, value: { ...own, code: 'c', actor: 'a', atMs: 1_700_000_000_000 } },
  ])
})

test('flags fill what a line leaves out and change nothing that it says', async () => {
  const defaults: FeedbackDefaults = { tenantId: 'flag', taskId: 'job', verdict: 'right', actor: 'nightly' }
  const [first, second] = await read([own, { stepId: 's-2' }], defaults)
  expect(first).toMatchObject({ value: { ...own, actor: 'nightly' } })
  expect(second).toMatchObject({ value: { tenantId: 'flag', stepId: 's-2', taskId: 'job', verdict: 'right' } })
})

test.each([
  [{ ...own, taskId: undefined }, "taskId is missing: the step's result has it (`shunt results --json`)"],
  [{ ...own, tenantId: undefined }, 'tenantId is missing'],
  [{ ...own, stepId: ' padded' }, 'stepId must be 1 to 256 bytes'],
  [{ ...own, tenantId: 'a/b' }, 'tenantId must be 1 to 64 letters'],
  [{ ...own, verdict: 'unknown' }, 'verdict must be right or wrong'],
  [{ ...own, verdict: 'perhaps' }, 'verdict must be one of'],
  [{ ...own, code: '' }, 'code must be'],
  [{ ...own, atMs: 1_767_309_000 }, 'atMs must be a time in epoch milliseconds'],
  [{ ...own, label: 'x' }, 'label is no field'],
  ['{broken', 'the line is not JSON'],
])('a line that is no verdict is named by its number and what is wrong: %j', async (line, problem) => {
  const [, bad, good] = await read([own, line, own])
  expect(bad).toMatchObject({ number: 2, problem: { message: expect.stringContaining(problem) } })
  expect(good).toMatchObject({ number: 3, value: own })
})
