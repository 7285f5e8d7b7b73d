import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { addDecideCommand } from '../../../cli/commands/decide.ts'
import { addPolicyCommand } from '../../../cli/commands/policy.ts'
import { runCommand } from '../../support/run-command.ts'

const dir = mkdtempSync(join(tmpdir(), 'shunt-decide-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const samplePolicy = new URL('../../../samples/policy.yaml', import.meta.url).pathname

function file(name: string, content: string): string {
  const path = join(dir, name)
  writeFileSync(path, content)
  return path
}

const shunt = (args: string[], stdin = '') => runCommand([addDecideCommand, addPolicyCommand], args, stdin)

const request = { messages: [{ role: 'user', content: 'Label: my parcel is late' }], max_tokens: 4 }
const step = (stepId: string, change: object = {}) =>
  JSON.stringify({ stepId, taskId: 't', tenantId: 'acme-claims', kind: 'classification', request, ...change })

test('decide prints a decision a line, of our lines and of the OpenAI Batch API, without Kafka', async () => {
  const batchLine = { custom_id: 'b-1', method: 'POST', url: '/v1/chat/completions', body: request }
  const input = `${step('s-1')}\n${JSON.stringify(batchLine)}\n`
  const { code, out, err } = await shunt(['decide', '-', '--tenant', 'clinic'], input)
  expect([code, err]).toEqual([0, ''])
  const decisions = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(decisions).toMatchObject([
    { line: 1, stepId: 's-1', action: 'route', tier: 'oss', reasons: ['confident'], engineVersion: 3 },
    { line: 2, stepId: 'b-1', tenantId: 'clinic', tier: 'oss' },
  ])
  expect(decisions[0]).not.toHaveProperty('facts')
})

test('decide names bad lines by number, decides the others, and fails', async () => {
  const path = file(
    'steps.jsonl',
    [step('a'), '{', step('b', { tenantId: 'nobody' }), step('c', { request: { messages: [], n: 3 } }), step('d')].join(
      '\n',
    ),
  )
  const { code, out, err } = await shunt(['decide', path])
  expect(code).toBe(1)
  expect(
    out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { stepId: string }).stepId),
  ).toEqual(['a', 'd'])
  expect(err).toMatch(
    /^line 2: SHUNT_EVENT_INVALID.*\nline 3: SHUNT_TENANT_UNKNOWN.*\nline 4: SHUNT_.*\nshunt: 3 bad lines\n$/,
  )
})

test('decide --explain gives all that the decision was made from, and no text of the request', async () => {
  const { out } = await shunt(['decide', '-', '--explain', '--policy', samplePolicy], step('s'))
  const decision = JSON.parse(out) as Record<string, unknown>
  for (const key of ['terms', 'score', 'ambiguity', 'removed', 'features', 'facts'])
    expect(decision).toHaveProperty(key)
  expect(out).not.toContain('parcel')
})

test('policy check says all that is wrong by line and fails; --json says it to a program', async () => {
  const path = file('bad.yaml', 'version: 2\nmodel: []\n')
  const plain = await shunt(['policy', 'check', path])
  expect(plain.code).toBe(1)
  expect(plain.out).toContain(`${path}:1: version: `)
  expect(plain.out).toContain(`${path}:2: unknown key model; did you mean models?`)
  const json = await shunt(['policy', 'check', path, '--json'])
  expect(json.code).toBe(1)
  expect(JSON.parse(json.out)).toMatchObject({ ok: false, hash: null, problems: expect.any(Array), notes: [] })
})

test('policy check passes the sample policy, with its hash and its notes', async () => {
  const { code, out } = await shunt(['policy', 'check', samplePolicy])
  expect(code).toBe(0)
  expect(out).toMatch(/counts as free \(note\)\n.*: ok, policy [0-9a-f]{64}\n$/)
})

test('neither decide nor activate takes a policy with problems: each is on a line', async () => {
  const path = file('bad.yaml', 'version: 2\nmodel: []\n')
  for (const args of [
    ['decide', '-', '--policy', path],
    ['policy', 'activate', path],
  ]) {
    const { code, out, err } = await shunt(args)
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain(`${path}:2: unknown key model; did you mean models?\n`)
    expect(err).toContain('SHUNT_POLICY_INVALID')
  }
})
