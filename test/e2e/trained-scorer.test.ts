import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { completeStep } from '#lib/client/step-input'
import type { ChatRequest } from '#lib/events/chat-request'
import type { DecisionRecord, StepKind } from '#lib/events/types.generated'
import { parsePolicyContent } from '#lib/policy/load'
import { readTrainedScorer } from '#lib/policy/scorer-file'
import { createScorerAssembly } from '#lib/policy/scorer-parts'
import { engines } from '#lib/routing/decide'
import { readStep } from '#lib/routing/facts'
import { addCalibrateCommand } from '../../cli/commands/calibrate.ts'
import { addPolicyCommand } from '../../cli/commands/policy.ts'
import { addScoreCommand } from '../../cli/commands/score.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { policyFile } from '../support/pipeline-policy.ts'
import { tenantId } from '../support/pipeline-steps.ts'
import { runCommand } from '../support/run-command.ts'
import { syntheticLabels } from '../support/synthetic-labels.ts'
import { waitUntil } from '../support/wait-until.ts'

const dir = mkdtempSync(join(tmpdir(), 'shunt-trained-'))
const scorerDir = join(dir, 'scorer')
let pipeline: Pipeline
let scorerHash: string

beforeAll(async () => {
  const labels = file('labels.jsonl', syntheticLabels(240, 1))
  const { out } = await shunt('calibrate', labels, '--out', scorerDir, '--json')
  ;({ scorerHash } = JSON.parse(out) as { scorerHash: string })
  pipeline = await startPipeline({ stack: inject('stack'), partitions: 2 })
})
afterAll(async () => {
  await pipeline?.stopAll()
  rmSync(dir, { recursive: true, force: true })
})

const shunt = (...args: string[]) =>
  runCommand([addCalibrateCommand, addScoreCommand, addPolicyCommand], args, '', pipeline?.env)

function file(name: string, rows: readonly unknown[]): string {
  const path = join(dir, name)
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return path
}

/** The pipeline's policy without its rules, scored by `scorer`: from a gain of 0.3 on a step escalates. */
const policyWith = (scorer: { use: 'trained'; hash?: string }) =>
  file('policy.yaml', [{ ...policyFile(pipeline.models), rules: [], scorer, threshold: { gainPpm: 300_000 } }])

async function activate(...args: string[]): Promise<string> {
  const { out } = await shunt('policy', 'activate', ...args, '--json')
  const { hash } = JSON.parse(out) as { hash: string }
  await waitUntil(() => policyOfClassifier() === hash, 'the classifier to follow the policy')
  return hash
}

/** The last that its log tells of. */
function policyOfClassifier(): string | undefined {
  const told = pipeline.logOf('classifier', 0).matchAll(/^.*"policyHash":"([0-9a-f]{64})".*"policy in force".*$/gm)
  return [...told].at(-1)?.[1]
}

/** What agent.policies holds, as an auditor finds it. */
async function readPolicies() {
  const policies = new Map<string, string>()
  const scorers = createScorerAssembly()
  for (const { value } of pipeline.read('agent.policies')) {
    const record = await pipeline.codec.decode('policy-record', value)
    if (record.type === 'policy') policies.set(record.hash, record.content.toString())
    else scorers.add(record)
  }
  return { policies, scorers }
}

test('what a trained scorer decided is made again, byte for byte, from the topics alone', async () => {
  const policyHash = await activate(policyWith({ use: 'trained' }), '--scorer', scorerDir)
  const items = syntheticLabels(30, 2).map(({ id, request }, index) => ({
    id: id.replace('/', '-'),
    // The last ones are of a kind that the scorer has no labels of.
    kind: (index < 27 ? 'unknown' : 'summarization') as StepKind,
    request,
  }))
  const steps = items.map(({ id, kind, request }) =>
    completeStep({ stepId: id, taskId: `task-${id}`, tenantId, kind, request }),
  )
  await Promise.all(steps.map((step) => pipeline.client.publish(step)))
  await pipeline.untilResults(steps.length)
  await pipeline.untilIdle()

  const decisions = new Map(
    (await pipeline.collectAudit())
      .filter(({ record }) => record.type === 'decision')
      .map(({ body }) => [(body as DecisionRecord).stepId, body as DecisionRecord]),
  )
  expect(decisions.size).toBe(steps.length)
  const { policies, scorers } = await readPolicies()
  const { policy } = parsePolicyContent(policies.get(policyHash)!, policyHash)
  const { scorer } = readTrainedScorer(scorers.bytesOf(scorerHash)!, scorerHash)
  const { out: scored } = await shunt('score', file('items.jsonl', items), '--scorer', scorerDir)
  const scores = scored
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; pSuccess: number; gain: number })

  for (const [index, step] of steps.entries()) {
    const record = decisions.get(step.stepId)!
    const { facts, snapshot, outcome } = record
    const known = step.kind === 'unknown'
    expect(facts.scoredBy).toBe(known ? 'trained' : 'hand_weighted')
    expect(record.scorerHash?.toString('hex')).toBe(scorerHash)
    expect(record.policyHash.toString('hex')).toBe(policyHash)
    const again = { ...record, outcome: engines.get(record.engineVersion)!(facts, snapshot, policy) }
    expect(pipeline.codec.encode('decision-record', again)).toEqual(pipeline.codec.encode('decision-record', record))
    const request = JSON.parse(step.request) as ChatRequest
    expect({ ...facts }).toEqual(readStep(step, request, [], facts.receivedAtMs, scorer).facts)
    // `shunt score` does not round to parts per million.
    const { id, pSuccess, gain } = scores[index]!
    expect(id).toBe(step.stepId)
    expect(facts.pSuccessPpm).toBe(Math.round(pSuccess * 1e6))
    if (known) expect(Math.abs(facts.gainPpm! - gain * 1e6)).toBeLessThanOrEqual(1)
    else expect(facts.gainPpm).toBeNull()
    expect(outcome.thresholdOn).toBe(known ? 'gain' : 'p_success')
  }
  // It tells them apart: of the steps that it knows, some go each way.
  const tiers = Map.groupBy(decisions.values(), ({ outcome }) => outcome.tier)
  expect(new Set(tiers.keys())).toEqual(new Set(['oss', 'frontier']))
  await pipeline.expectAudit()
})

test('a policy is refused while nobody has published its scorer, or where that cannot be read; after that its hash will do', async () => {
  const orders = async () => {
    await pipeline.untilIdle()
    return pipeline.read('agent.control').length
  }
  const before = await orders()
  const unknown = 'ab'.repeat(32)
  await expect(shunt('policy', 'activate', policyWith({ use: 'trained', hash: unknown }))).rejects.toMatchObject({
    code: 'SHUNT_SCORER_MISSING',
    message: `the policy names scorer ${unknown}, which nobody has published: give its directory with --scorer DIR`,
  })
  const damaged = join(dir, 'damaged')
  mkdirSync(damaged)
  writeFileSync(join(damaged, 'scorer.bin'), readFileSync(join(scorerDir, 'scorer.bin')).subarray(0, 5_000))
  await expect(shunt('policy', 'activate', policyWith({ use: 'trained' }), '--scorer', damaged)).rejects.toMatchObject({
    code: 'SHUNT_SCORER_INVALID',
  })
  expect(await orders()).toBe(before)

  await activate(policyWith({ use: 'trained' }), '--scorer', scorerDir)
  await pipeline.activatePolicy({})
  await activate(policyWith({ use: 'trained', hash: scorerHash }))
  expect(await orders()).toBe(before + 3)
})
