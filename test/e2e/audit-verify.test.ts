import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { createChain, formatHead, linkHash } from '#lib/audit/chain'
import { formatAnchor, readAnchors, readPrivateKey, readPublicKey } from '#lib/audit/anchors'
import type { Finding } from '#lib/audit/findings'
import { registerSchemas } from '#lib/events/register-schemas'
import { createRegistry } from '#lib/events/registry'
import { inNamespace, type Topic } from '#lib/events/topics'
import type { AuditSummary } from '../../cli/audit-summary.ts'
import { startPipeline, type Pipeline } from '../support/pipeline.ts'
import { makeSteps } from '../support/pipeline-steps.ts'
import { runShunt, shuntMain } from '../support/run-shunt.ts'
import type { ReadRecord } from '../support/topic-reader.ts'
import { waitUntil } from '../support/wait-until.ts'

const dir = mkdtempSync(join(tmpdir(), 'shunt-verify-'))
const key = join(dir, 'key')
const anchors = join(dir, 'anchors.jsonl')
const stepCount = 24
let pipeline: Pipeline

beforeAll(async () => {
  pipeline = await startPipeline({ stack: inject('stack'), partitions: 2 })
  await Promise.all(makeSteps(stepCount, 'verified').map((step) => pipeline.client.ask(step, { timeoutMs: 60_000 })))
  await pipeline.untilIdle()
})
afterAll(async () => {
  await pipeline?.stopAll()
  rmSync(dir, { recursive: true, force: true })
})

const shunt = (args: readonly string[], env: Record<string, string> = {}) =>
  runShunt({ ...pipeline.env, SHUNT_DIR: dir, ...env }, args)

async function verify(args: readonly string[], env?: Record<string, string>): Promise<AuditSummary & { code: number }> {
  const { code, stdout, stderr } = await shunt(['audit', 'verify', '--json', ...args], env)
  if (stdout === '') throw new Error(stderr)
  return { ...(JSON.parse(stdout) as AuditSummary), code }
}

test('a whole log verifies against itself, its lanes and its anchors, and every step is complete', async () => {
  expect(await shunt(['audit', 'keygen', '--out', key])).toMatchObject({ code: 0 })
  expect(statSync(key).mode & 0o777).toBe(0o600)
  expect((await shunt(['audit', 'keygen', '--out', key])).code).toBe(1)
  for (let i = 0; i < 2; i += 1)
    expect(await shunt(['audit', 'anchor', '--key', key, '--out', anchors])).toMatchObject({ code: 0 })
  const found = await verify(['--anchors', anchors, '--public-key', `${key}.pub`])
  expect(found.listed).toEqual([])
  expect(found).toMatchObject({ code: 0, findings: 0, given: [], notCompared: 0, lanesUnknown: [] })
  expect(found.steps).toEqual({ complete: stepCount, duplicate: 0, open: 0, 'not verifiable': 0, wrong: 0 })
  expect(found.links).toBe(pipeline.read('agent.audit').length)
  expect(found.lanes).toBe(found.chains)
  // Each chain's head: as its lane committed it, and as it was anchored, twice the same.
  expect(found.compared).toBe(2 * found.chains)

  const { code, stdout } = await shunt(['audit', 'verify'])
  expect(stdout).toContain('nothing is wrong')
  expect(code).toBe(0)
})

test('anchors are appended again and again until Ctrl-C, each line whole', async () => {
  const file = join(dir, 'every.jsonl')
  const args = [shuntMain, 'audit', 'anchor', '--key', key, '--out', file, '--every', '1s']
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...pipeline.env, SHUNT_DIR: dir },
    stdio: 'ignore',
  })
  const exited = once(child, 'exit')
  const lines = () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0)
  await waitUntil(() => lines() >= 3, 'three anchors')
  child.kill('SIGINT')
  expect((await exited)[0]).toBe(130)
  expect(readFileSync(file, 'utf8').endsWith('\n')).toBe(true)
  const found = await verify(['--no-steps', '--anchors', file, '--public-key', `${key}.pub`])
  expect(found).toMatchObject({ code: 0, findings: 0, steps: null, anchoredLinks: lines() * found.chains })
})

test('an export of it verifies against the same anchors', async () => {
  const out = join(dir, 'export')
  expect(await shunt(['audit', 'export', '--out', out])).toMatchObject({ code: 0 })
  const found = await verify(['--from', out, '--anchors', anchors, '--public-key', `${key}.pub`])
  expect(found).toMatchObject({ code: 0, findings: 0, lanes: null, steps: { complete: stepCount } })
  expect(found.compared).toBe(found.chains)
})

test('what is no range, key or pair of flags is refused', async () => {
  expect((await shunt(['audit', 'verify', '--anchors', anchors])).stderr).toContain(
    '--anchors and --public-key together',
  )
  expect((await shunt(['audit', 'verify', '--anchors', anchors, '--public-key', anchors])).stderr).toContain(
    'shunt audit keygen',
  )
  const emptied = join(dir, 'emptied.jsonl')
  writeFileSync(emptied, '')
  const found = await verify(['--no-steps', '--anchors', emptied, '--public-key', `${key}.pub`])
  expect(found).toMatchObject({
    code: 1,
    first: { code: 'anchor_unreadable', message: `no line of ${emptied} is an anchor that can be used` },
  })
  expect((await shunt(['audit', 'anchor', '--key', `${key}.pub`, '--out', join(dir, 'other')])).stderr).toContain(
    'no private',
  )
})

describe('what was done to a copy of the log is found', () => {
  interface Copy {
    audit: ReadRecord[]
    policies: ReadRecord[]
  }

  /** Puts a copy into a namespace of its own, with the anchors of the log signed for it, and verifies it. */
  async function verifyCopy(name: string, tamper: (copy: Copy) => Copy) {
    const namespace = `${pipeline.namespace}-${name}`
    const topics: Topic[] = ['agent.audit', 'agent.policies']
    const admin = pipeline.kafka.admin()
    await admin.connect()
    const counts = { 'agent.audit': 2, 'agent.policies': 1 }
    await admin.createTopics({
      topics: Object.entries(counts).map(([topic, numPartitions]) => ({
        topic: inNamespace(namespace, topic),
        numPartitions,
      })),
    })
    await admin.disconnect()
    await registerSchemas(createRegistry(inject('stack').registryUrl), namespace)
    const copy = tamper({ audit: pipeline.read('agent.audit'), policies: pipeline.read('agent.policies') })
    const producer = pipeline.kafka.producer()
    await producer.connect()
    for (const [i, records] of [copy.audit, copy.policies].entries())
      await producer.send({
        topic: inNamespace(namespace, topics[i]!),
        messages: records.map(({ key: of, partition, value }) => ({ key: of, partition, value })),
      })
    await producer.disconnect()
    const file = join(dir, `${name}.jsonl`)
    writeFileSync(file, anchorsFor(namespace))
    const args = ['--no-steps', '--until', '2100-01-01', '--anchors', file, '--public-key', `${key}.pub`]
    return verify(args, { SHUNT_NAMESPACE: namespace })
  }

  function anchorsFor(namespace: string): string {
    const report = ({ message }: Finding): never => expect.fail(message)
    const publicKey = readPublicKey(readFileSync(`${key}.pub`, 'utf8'), key)
    const { anchors: read } = readAnchors(readFileSync(anchors, 'utf8'), {
      publicKey,
      namespace: pipeline.namespace,
      report,
    })
    return formatAnchor({ ...read[0]!, namespace }, readPrivateKey(readFileSync(key, 'utf8'), key))
  }

  /** The longest chain, and where its links stand in the records. */
  function longest(records: readonly ReadRecord[]): { chainId: string; at: number[] } {
    const chains = Map.groupBy(records.keys(), (i) => records[i]!.key)
    const [chainId, at] = [...chains].toSorted(([, a], [, b]) => b.length - a.length)[0]!
    return { chainId, at }
  }

  const places = (records: readonly ReadRecord[], i: number): string => {
    const { partition } = records[i]!
    return `${partition}/${records.slice(0, i).filter((record) => record.partition === partition).length}`
  }

  test.each<[string, string, (audit: ReadRecord[], at: number[]) => { audit: ReadRecord[]; names: string }]>([
    [
      'flipped',
      'link_changed',
      (audit, at) => {
        const value = Buffer.from(audit[at[3]!]!.value!)
        value[value.length - 1]! ^= 1
        return {
          audit: audit.with(at[3]!, { ...audit[at[3]!]!, value }),
          names: `seq 4 at ${places(audit, at[3]!)} was changed`,
        }
      },
    ],
    [
      'removed',
      'link_missing',
      (audit, at) => ({
        audit: audit.toSpliced(at[3]!, 1),
        names: `seq 4 is missing, between ${places(audit, at[2]!)} and`,
      }),
    ],
    [
      'swapped',
      'links_swapped',
      (audit, at) => ({
        audit: audit
          .with(at[3]!, { ...audit[at[3]!]!, value: audit[at[4]!]!.value })
          .with(at[4]!, { ...audit[at[4]!]!, value: audit[at[3]!]!.value }),
        names: `seq 4 at ${places(audit, at[4]!)} comes after seq 5 at ${places(audit, at[3]!)}`,
      }),
    ],
    [
      'truncated',
      'tail_truncated',
      (audit, at) => ({
        audit: audit.filter((_, i) => !at.slice(-2).includes(i)),
        names: `the chain ends with epoch 1 seq ${at.length - 2} at`,
      }),
    ],
    [
      'chain-removed',
      'chain_missing',
      (audit, at) => ({
        audit: audit.filter((_, i) => !at.includes(i)),
        names: `the chain is missing, and an anchor of`,
      }),
    ],
  ])('%s: %s', async (name, code, tamper) => {
    let chainId = ''
    let names = ''
    const found = await verifyCopy(name, (copy) => {
      const chain = longest(copy.audit)
      const tampered = tamper(copy.audit, chain.at)
      ;({ chainId } = chain)
      ;({ names } = tampered)
      return { ...copy, audit: tampered.audit }
    })
    // A changed last byte of a body may also not decode any more.
    const [finding] = found.listed.filter((each) => each.code !== 'body_undecodable')
    expect(finding).toMatchObject({ code, chainId, message: expect.stringContaining(names) })
    expect(found.listed.filter((each) => ![code, 'body_undecodable'].includes(each.code))).toEqual([])
    expect(found.code).toBe(1)
  })

  test('rewritten policy: policy_rewritten', async () => {
    const found = await verifyCopy('policy', (copy) => ({ ...copy, policies: copy.policies.map(rewritten) }))
    const hash = pipeline.read('agent.policies')[0]!.key
    expect(found).toMatchObject({ code: 1, findings: 1, first: { code: 'policy_rewritten' } })
    expect(found.first!.message).toMatch(
      new RegExp(`^policy ${hash} was rewritten.*the first at \\d/\\d+ of step verified-`),
    )
  })

  /** Its last byte is in the content: a blank after the JSON says the same and has another hash. */
  function rewritten(record: ReadRecord): ReadRecord {
    const value = Buffer.from(record.value!)
    value[value.length - 1] = ' '.charCodeAt(0)
    return { ...record, value }
  }
})

test('a link that somebody else wrote behind the last one of a lane is found', async () => {
  const records = pipeline.read('agent.audit')
  const { key: chainId, value, partition } = records.at(-1)!
  const { epoch, seq, ...last } = await pipeline.codec.decode('audit-record', value)
  const head = formatHead({ epoch, seq, hash: linkHash({ epoch, seq, ...last }) })
  const topic = pipeline.topic('agent.audit')
  const chain = createChain({ topic, encode: (link) => pipeline.codec.encode('audit-record', link) })
  const forged = chain.seal(chainId, head, [{ type: 'duplicate', body: last.body }])
  const producer = pipeline.kafka.producer()
  await producer.connect()
  await producer.send({ topic, messages: forged.records.map((record) => ({ ...record, partition })) })
  await producer.disconnect()
  const found = await verify(['--no-steps'])
  const message = expect.stringContaining(
    `its lane has committed epoch ${epoch} seq ${seq}: what comes after was written`,
  )
  expect(found.listed.filter(({ code }) => code !== 'body_undecodable')).toMatchObject([
    { code: 'link_uncommitted', chainId, seq: seq + 1, message },
  ])
  expect(found.code).toBe(1)
})
