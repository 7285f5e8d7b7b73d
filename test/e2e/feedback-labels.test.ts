import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFailed, test, vi } from 'vitest'
import { collect, readLabels } from '#lib/calibration/labels'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { weakMark } from '../support/pipeline-models.ts'
import { makeStep, tenantId } from '../support/pipeline-steps.ts'
import { runShunt } from '../support/run-shunt.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

const dir = mkdtempSync(join(tmpdir(), 'shunt-labels-test-'))
let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack'), partitions: 2 })
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(async () => {
  await pipeline?.stopAll({ failed })
  rmSync(dir, { recursive: true, force: true })
})

const shunt = (...args: string[]) => runShunt(pipeline.env, args)

async function labelsIn(file: string) {
  const { values, bad } = await collect(readLabels(createReadStream(file)))
  expect(bad).toEqual([])
  return new Map(values.map((label) => [label.id, label]))
}

describe('shunt labels', () => {
  test('joins feedback with who answered and with the request; calibrate takes it', async () => {
    // Every third goes to the frontier at once, every fifth of the others after a weak answer; a part is batch work.
    const steps = Array.from({ length: 90 }, (_, i) =>
      makeStep(`judged-${i}`, {
        taskId: `task-${i % 9}`,
        kind: i % 3 === 0 ? 'reasoning' : 'classification',
        priority: i % 4 === 0 ? 'batch' : 'interactive',
        metadata: { group: `g-${i % 2}` },
        says: i % 5 === 0 && i % 3 !== 0 ? weakMark : '',
      }),
    )
    const unjudged = makeStep('unjudged')
    await pipeline.client.publishAll([...steps, unjudged], {})
    await pipeline.untilResults(steps.length + 1)
    const verdict = (i: number) => (i % 4 === 1 ? ('wrong' as const) : ('right' as const))
    const feedback = steps.map(({ stepId, taskId }, i) => ({ tenantId, stepId, taskId, verdict: verdict(i) }))
    await pipeline.client.feedbackAll([...feedback, { ...feedback[0]!, stepId: 'never-published' }], {})

    const out = join(dir, 'labels.jsonl')
    const ended = await shunt('labels', out, '--json')
    expect(ended, ended.stderr).toMatchObject({ code: 0 })
    const weak = steps.filter((_, i) => i % 5 === 0 && i % 3 !== 0).length
    expect(JSON.parse(ended.stdout)).toEqual({
      out,
      feedback: 91,
      unreadable: 0,
      steps: 91,
      judged: 90,
      withoutAnswer: 1,
      standIn: 0,
      failedVerification: weak,
      labels: 90,
      withoutRequest: 0,
      sealed: 0,
    })
    expect(statSync(out).mode & 0o077).toBe(0)
    const labels = await labelsIn(out)
    for (const [i, { stepId, kind, request }] of steps.entries()) {
      const right = verdict(i) === 'right'
      const isWeak = i % 5 === 0 && i % 3 !== 0
      const label = labels.get(`${tenantId}/${stepId}`)
      expect(label, stepId).toMatchObject({ kind, tenantId, group: `g-${i % 2}` })
      expect(label!.request.messages).toEqual((request as { messages: unknown }).messages)
      expect(label!.outcome, stepId).toEqual(
        i % 3 === 0 ? { oss: null, frontier: right } : { oss: isWeak ? false : right, frontier: isWeak ? right : null },
      )
    }

    const scorer = join(dir, 'scorer')
    const calibrated = await shunt('calibrate', out, '--out', scorer, '--json')
    expect(calibrated, calibrated.stderr).toMatchObject({ code: 0 })
  })

  test('verdicts of callers alone, none in the time that is asked for', async () => {
    const out = join(dir, 'callers.jsonl')
    expect(await shunt('labels', out, '--no-verification')).toMatchObject({
      code: 0,
      stdout: `91 verdicts on 91 steps: 90 labels in ${out}\n  left out: 1 step of which the audit has no answer\n`,
    })
    for (const { outcome } of (await labelsIn(out)).values())
      expect(Object.values(outcome).filter((side) => side !== null)).toHaveLength(1)
    expect(await shunt('labels', out, '--until', '1h', '--json')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('"feedback":0,'),
    })
  })
})
