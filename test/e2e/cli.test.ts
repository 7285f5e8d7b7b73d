import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { Frame } from '../../cli/top/collect.ts'
import { startAnsweringRig, type AnsweringRig } from '../support/answering-rig.ts'
import { runShunt, shuntMain } from '../support/run-shunt.ts'

function steps(prefix: string, count: number, metadata?: Record<string, string>): object[] {
  return Array.from({ length: count }, (_, i) => ({
    stepId: `${prefix}-${i}`,
    taskId: `task-${prefix}-${i % 3}`,
    tenantId: 'acme',
    request: { messages: [{ role: 'user', content: `${prefix} ${i}` }] },
    ...(metadata && { metadata }),
  }))
}

function resultsIn(path: string): Record<string, unknown>[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe('shunt on Kafka', { timeout: 90_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'shunt-cli-test-'))
  let rig: AnsweringRig

  beforeAll(async () => {
    rig = await startAnsweringRig(inject('stack'), ({ metadata }) =>
      metadata['reply'] === 'twice' || metadata['reply'] === 'never' ? metadata['reply'] : 'once',
    )
  })
  afterAll(async () => {
    await rig?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const start = (args: string[]) =>
    spawn(process.execPath, [shuntMain, ...args], { env: { ...process.env, ...rig.env } })

  const shunt = (args: string[], input = '', env: Record<string, string> = {}) =>
    runShunt({ ...rig.env, ...env }, args, input)

  function file(name: string, lines: unknown[]): string {
    const path = join(dir, name)
    writeFileSync(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
    return path
  }

  test('publish --wait passes over bad lines by number and writes one result for every step', async () => {
    const out = join(dir, 'good.out')
    const path = file('good.jsonl', [...steps('good', 30), '{broken', { stepId: 'no-task-or-request' }])
    const ended = await shunt(['publish', path, '--wait', '--results', out])
    expect(ended).toMatchObject({ code: 0, stdout: '30 steps published, 2 bad lines, 30 results\n' })
    expect(ended.stderr).toMatch(/line 31: SHUNT_EVENT_INVALID: .*\nline 32: SHUNT_EVENT_INVALID: tenantId is missing/)
    const results = resultsIn(out)
    expect(new Set(results.map(({ stepId }) => stepId)).size).toBe(30)
    expect(results[0]).toMatchObject({ status: 'completed', tier: null, model: null, costMicroUsd: 0, attempts: [] })
  })

  test('publishing the same file again ends with the first results', async () => {
    const path = file('again.jsonl', steps('again', 20))
    const outs = [join(dir, 'again.1'), join(dir, 'again.2')] as const
    for (const out of outs)
      expect(await shunt(['publish', path, '--results', out])).toMatchObject({
        code: 0,
        stdout: '20 steps published, 20 results\n',
      })
    const [first, second] = outs.map((out) => new Map(resultsIn(out).map((result) => [result['stepId'], result])))
    expect(second).toEqual(first)
  })

  test('a step without a result and one with two are failures, and named', async () => {
    const path = file('odd.jsonl', [...steps('mute', 1, { reply: 'never' }), ...steps('echo', 1, { reply: 'twice' })])
    const ended = await shunt(['publish', path, '--wait', '--timeout', '3', '--json'])
    expect(ended.code).toBe(1)
    expect(JSON.parse(ended.stdout)).toEqual({
      published: 2,
      badLines: 0,
      failed: 0,
      results: 1,
      second: 1,
      missing: 1,
    })
    expect(ended.stderr).toContain('step mute-0 (tenant acme): no result')
    expect(ended.stderr).toContain('step echo-0: a second result at')
  })

  test('a step that is twice in a file that is waited for is a bad line', async () => {
    const [step] = steps('twin', 1)
    const ended = await shunt(
      ['publish', '-', '--wait', '--strict'],
      `${JSON.stringify(step)}\n${JSON.stringify(step)}`,
    )
    expect(ended).toMatchObject({ code: 1, stdout: '1 step published, 1 bad line, 1 result\n' })
    expect(ended.stderr).toContain('line 2: SHUNT_STEP_ID_CONFLICT')
  })

  test('takes OpenAI Batch lines from standard input', async () => {
    const line = { custom_id: 'b-1', method: 'POST', url: '/v1/chat/completions', body: { messages: [] } }
    const ended = await shunt(['publish', '-', '--tenant', 'acme', '--batch', 'night'], `${JSON.stringify(line)}\n`)
    expect(ended).toMatchObject({ code: 0, stdout: '1 step published\n' })
  })

  test('Ctrl-C ends a wait, a follower and a reader of standard input at once, with 130', async () => {
    const path = file('hang.jsonl', steps('hang', 1, { reply: 'never' }))
    for (const args of [
      ['publish', path, '--wait'],
      ['results', '--follow'],
      ['publish', '-'],
    ]) {
      const child = start(args)
      let said = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (text: Buffer) => {
          if (said === '') child.kill('SIGINT')
          said += text.toString()
        })
      const [code] = (await once(child, 'exit')) as [number | null]
      expect([args[0], code, said]).toEqual([args[0], 130, expect.not.stringMatching(/Error| at /)])
    }
  })

  test('results and task show what was written', async () => {
    await shunt(['publish', file('shown.jsonl', steps('shown', 3)), '--wait'])
    const { stdout } = await shunt(['results', '--task', 'task-shown-1', '--json'])
    expect(stdout.trimEnd().split('\n')).toHaveLength(1)
    expect(JSON.parse(stdout)).toMatchObject({ stepId: 'shown-1', answer: { choices: [] } })
    const task = await shunt(['task', 'task-shown-1'])
    expect(task).toMatchObject({ code: 0, stdout: 'task task-shown-1: 1 step, 1 result, $0.000000\n' })
    expect(await shunt(['task', 'nobody'])).toMatchObject({ code: 1, stderr: expect.stringContaining('SHUNT_') })
  })

  test('feedback sends one verdict, or a file of them whose bad lines are named', async () => {
    const of = (stepId: string) => ({ tenantId: 'acme', stepId, taskId: `task-${stepId}`, verdict: 'wrong' })
    const one = ['feedback', '--tenant', 'acme', '--step', 's-1', '--verdict', 'right']
    expect(await shunt([...one, '--task', 't-1'])).toMatchObject({ code: 0, stdout: '1 verdict published\n' })
    expect(await shunt(one)).toMatchObject({ code: 1, stderr: expect.stringContaining('`shunt results --json`') })
    const path = file('feedback.jsonl', [of('s-2'), { ...of('s-3'), verdict: 'perhaps' }, of('s-4')])
    const ended = await shunt(['feedback', '--file', path, '--strict', '--json'])
    expect(ended).toMatchObject({ code: 1, stdout: '{"published":2,"badLines":1,"failed":0}\n' })
    expect(ended.stderr).toContain('line 2: SHUNT_EVENT_INVALID: verdict must be one of')
    expect(await shunt(['feedback', '--file', path, '--step', 's-1'])).toMatchObject({
      code: 1,
      stderr: 'shunt: SHUNT_CONFIG_INVALID: give one of --step ID and --file FILE\n',
    })
  })

  test('lists lanes and topics for programs', async () => {
    const lanes = JSON.parse((await shunt(['lanes', 'list', '--json'])).stdout) as object[]
    expect(lanes).toHaveLength(31)
    expect(lanes[0]).toMatchObject({ group: 'classifier', committed: 0, incomplete: 0, epoch: null, state: 'ok' })
    const topics = JSON.parse((await shunt(['topics', 'list', '--json'])).stdout) as { name: string }[]
    expect(topics.map(({ name }) => name)).toContain(`${rig.namespace}.agent.results`)
    expect(await shunt(['topics', 'apply', '--partitions', '3', '--json'])).toMatchObject({
      code: 0,
      stdout: '{"created":[],"grown":[],"retained":[],"started":[],"lost":[]}\n',
    })
  })

  test('top counts what comes from its start on, tells lanes and services, and ends at Ctrl-C', async () => {
    await shunt(['publish', file('before.jsonl', steps('before', 2)), '--wait'])
    const child = start(['top', '--json', '--service', 'http://127.0.0.1:9'])
    const frames = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const next = async () => JSON.parse((await frames.next()).value!) as Frame
    expect(await next()).toMatchObject({ rates: [], spend: [], orders: [], problem: null })
    await shunt(['publish', file('seen.jsonl', steps('seen', 4)), '--wait'])
    let frame = await next()
    while (frame.rates.length === 0) frame = await next()
    expect(frame.rates).toMatchObject([{ tier: 'none', status: 'completed', total: 4 }])
    expect(frame.spend).toEqual([{ tenantId: 'acme', results: 4, costMicroUsd: 0 }])
    expect(frame.stages.map(({ group, broken }) => [group, broken])).toEqual([
      ['classifier', 0],
      ['oss-pool', 0],
      ['frontier', 0],
      ['ledger', 0],
    ])
    const { problem } = frame.processes.find(({ id }) => id === 'http://127.0.0.1:9')!
    expect(problem).not.toBeNull()
    child.kill('SIGINT')
    expect(await once(child, 'exit')).toEqual([130, null])
    const once1 = await shunt(['top', '--once'])
    expect(once1).toMatchObject({ code: 0, stderr: '' })
    expect(once1.stdout).toMatch(/^shunt top .*UTC/)
    // oxlint-disable-next-line no-control-regex
    expect(once1.stdout).not.toMatch(/\u001b/)
  })

  test('errors are one line with code and remedy', async () => {
    const missing = await shunt(['publish', join(dir, 'no-such-file')])
    expect(missing).toMatchObject({ code: 1, stderr: `shunt: ${join(dir, 'no-such-file')}: no such file\n` })
    expect(await shunt(['publish'])).toMatchObject({ code: 2 })
    expect(await shunt(['results', '--since', 'yesterday'])).toMatchObject({ code: 2 })
    const elsewhere = await shunt(['results'], '', { SHUNT_NAMESPACE: 'never-applied' })
    expect(elsewhere.code).toBe(1)
    expect(elsewhere.stderr).toMatch(/^shunt: SHUNT_[A-Z_]+: .*`shunt schemas register`\n$/)
  })
})
