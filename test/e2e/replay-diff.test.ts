import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFailed, test, vi } from 'vitest'
import type { DiffReport } from '#lib/replay/diff/diff-policies'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { weakMark } from '../support/pipeline-models.ts'
import { policyFile, type PolicyChange } from '../support/pipeline-policy.ts'
import { makeStep, tenantId } from '../support/pipeline-steps.ts'
import { runShunt } from '../support/run-shunt.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

const dir = mkdtempSync(join(tmpdir(), 'shunt-diff-e2e-'))
const hostile = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
let pipeline: Pipeline
let failed = false
beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack'), partitions: 2 })
  // Six to the frontier at once; three of the others only after a weak answer; one bears what a page must not run.
  const steps = Array.from({ length: 24 }, (_, i) =>
    makeStep(i === 1 ? `s-1${hostile}` : `s-${i}`, {
      taskId: `task-${i % 6}`,
      kind: i % 4 === 0 ? 'reasoning' : 'classification',
      says: i % 8 === 3 ? weakMark : '',
      ...(i === 1 && { request: { model: hostile, messages: [{ role: 'user', content: 'hi' }], max_tokens: 16 } }),
    }),
  )
  await pipeline.client.publishAll(steps, {})
  await pipeline.untilResults(steps.length)
  await pipeline.client.feedbackAll(
    [1, 2].map((i) => ({ ...idsOf(steps[i]!), verdict: i === 1 ? ('right' as const) : ('wrong' as const) })),
    {},
  )
})
beforeEach(() => onTestFailed(() => void (failed = true)))
afterAll(async () => {
  await pipeline?.stopAll({ failed })
  rmSync(dir, { recursive: true, force: true })
})

function idsOf({ stepId, taskId }: { stepId: string; taskId: string }) {
  return { tenantId, stepId, taskId }
}

function policyOf(name: string, change: PolicyChange): string {
  const file = join(dir, `${name}.yaml`)
  writeFileSync(file, JSON.stringify({ ...policyFile(pipeline.models), ...change }))
  return file
}

async function diff(policy: string, ...args: string[]): Promise<DiffReport> {
  const ended = await runShunt(pipeline.env, ['replay', 'diff', '--policy', policy, '--json', ...args])
  expect(ended, ended.stderr).toMatchObject({ code: 0 })
  return JSON.parse(ended.stdout) as DiffReport
}

const movesIn = ({ moves }: DiffReport) =>
  Object.fromEntries(moves.map(({ before, after, decisions }) => [`${before} ${after}`, decisions]))

describe('shunt replay diff', () => {
  test('the policy that decided moves nothing and costs the same', async () => {
    const report = await diff(policyOf('same', {}))
    expect(report).toMatchObject({
      decisions: 27,
      moved: { tier: 0, model: 0 },
      leftOut: { decisions: 0 },
      unreadable: 0,
      recordedPolicyUnknown: 0,
      scores: { same: 27, anew: 0, kept: 0 },
      costBasis: { before: { recorded: 27 } },
      residency: { leaving: 0 },
    })
    expect(report.cost.beforeMicroUsd).toBeGreaterThan(0)
    expect(report.cost.afterMicroUsd).toBe(report.cost.beforeMicroUsd)
  })

  test('a stricter threshold moves steps to the frontier; what verdicts tell is known of them', async () => {
    const report = await diff(policyOf('strict', { threshold: { pSuccessPpm: 1_000_000 } }))
    expect(movesIn(report)).toEqual({ 'oss frontier': 18, 'frontier frontier': 6 })
    expect(report.leftOut.decisions).toBe(3)
    expect(report.moves.find(({ moved }) => moved > 0)!.known).toMatchObject({
      right: 1,
      wrong: 1,
      failedVerification: 3,
      unknown: 13,
    })
    expect(report.cost.afterMicroUsd).toBeGreaterThan(report.cost.beforeMicroUsd)
    expect(report.causes).toEqual([{ name: 'threshold term: base', count: 18 }])
    expect(report.sample).toHaveLength(18)
  })

  test('an air-gapped policy moves all back to the open model', async () => {
    const report = await diff(policyOf('airgapped', { airGapped: true, providers: [], models: openOnly(), rules: [] }))
    expect(report.moves.every(({ after }) => after === 'oss')).toBe(true)
    expect(report.cost.afterMicroUsd).toBe(0)
  })

  test('a provider elsewhere makes steps leave their region; a check of policies can fail on it', async () => {
    const base = policyFile(pipeline.models)
    const providers = base.providers!.map((provider) => ({ ...provider, region: 'overseas' }))
    const abroad = policyOf('abroad', { providers })
    const ended = await runShunt(pipeline.env, ['replay', 'diff', '--policy', abroad, '--fail-on', 'residency'])
    expect(ended, ended.stderr).toMatchObject({ code: 1 })
    expect(ended.stdout).toContain('9 decisions by which a step may go to a region where it could not go before')
    expect(ended.stdout).toMatch(/local +overseas +9/)
    expect((await diff(abroad)).residency.paths).toEqual([{ from: 'local', to: 'overseas', decisions: 9 }])
  })

  test('another scorer reads the texts again where they are kept, and not where it may not', async () => {
    const trained = policyOf('trained', { scorer: { use: 'trained' } })
    expect((await diff(trained)).scores).toEqual({ same: 0, anew: 27, kept: 0 })
    expect((await diff(trained, '--no-texts')).scores).toEqual({ same: 0, anew: 0, kept: 27 })
  })

  test('an export of the log gives the same report', async () => {
    const out = join(dir, 'export')
    expect(await runShunt(pipeline.env, ['audit', 'export', '--out', out])).toMatchObject({ code: 0 })
    const strict = policyOf('strict', { threshold: { pSuccessPpm: 1_000_000 } })
    expect(await diff(strict, '--from', out)).toEqual(await diff(strict))
  })

  test('the report is written, holds its plots and nothing that runs', async () => {
    const file = join(dir, 'report.html')
    await diff(policyOf('strict', { threshold: { pSuccessPpm: 1_000_000 } }), '--html', file)
    const page = readFileSync(file, 'utf8')
    expect(page.match(/<svg role="img"/g)!.length).toBeGreaterThanOrEqual(5)
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
    expect(page).not.toMatch(/<script|<img|https?:\/\/(?!www\.w3\.org)/)
    expect(page).toMatch(/<\/html>\n$/)
  })

  test('a policy with a mistake is told of as by `shunt policy check`', async () => {
    const ended = await runShunt(pipeline.env, [
      'replay',
      'diff',
      '--policy',
      policyOf('bad', { airGapped: 'yes' as never }),
    ])
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(/bad\.yaml:1: airGapped: .*\n.*SHUNT_POLICY_INVALID/)
  })

  test('only the decisions that are asked for', async () => {
    const report = await diff(policyOf('same', {}), '--tier', 'frontier', '--task', 'task-0')
    expect(report.decisions).toBeGreaterThan(0)
    expect(report.groups.tenant.groups.map(({ name }) => name)).toEqual([tenantId])
    expect(Object.keys(movesIn(report))).toEqual(['frontier frontier'])
  })
})

function openOnly() {
  return policyFile(pipeline.models).models.filter(({ tier }) => tier === 'oss')
}
