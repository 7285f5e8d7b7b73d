import { appendFile, mkdtemp, open, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { linkHash } from '#lib/audit/chain'
import { writeExport } from '#lib/audit/export/write-export'
import { filesOf } from '#lib/audit/export/export-files'
import { readManifest } from '#lib/audit/export/manifest'
import { readGroups } from '#lib/audit/export/read-groups'
import { openExportSource } from '#lib/audit/export-source'
import type { AuditEntry, AuditSource, SourceRange } from '#lib/audit/source'
import { bodyTables } from '#lib/audit/export/tables'
import type { AuditType, DecisionRecord } from '#lib/events/types.generated'
import { localCodec } from '../../support/local-codec.ts'
import { memorySource, type MemoryLog } from '../../support/memory-source.ts'
import { avroArbitrary } from '../events/avro-arbitrary.ts'

const codec = await localCodec()
const silent = { warn: () => {} }
const made: string[] = []

afterEach(async () => {
  for (const dir of made.splice(0)) await rm(dir, { recursive: true, force: true })
})

async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'shunt-export-'))
  made.push(dir)
  return dir
}

function exportTo(dir: string, source: AuditSource, more: { signal?: AbortSignal; maxFileBytes?: number } = {}) {
  return writeExport(source, {
    dir,
    namespace: '',
    range: {},
    createdBy: 'shunt test',
    nowMs: () => 1_000,
    signal: new AbortController().signal,
    reading: () => ({ total: () => {}, at: () => {}, end: () => {} }),
    ...more,
  })
}

async function all<Item>(batches: AsyncIterable<readonly Item[]>): Promise<Item[]> {
  const items: Item[] = []
  for await (const batch of batches) items.push(...batch)
  return items
}

const byPlace = (a: AuditEntry, b: AuditEntry): number => a.partition - b.partition || a.offset - b.offset

async function exported(log: MemoryLog, more: { maxFileBytes?: number } = {}) {
  const dir = await newDir()
  const manifest = await exportTo(dir, await memorySource(log), more)
  return { dir, manifest, source: await openExportSource(dir, { log: silent }) }
}

const bodyOf = (type: AuditType): fc.Arbitrary<Buffer> => {
  const schema = bodyTables[type]?.schema
  const bytes = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each))
  if (!schema) return bytes
  return fc.oneof(
    { weight: 5, arbitrary: avroArbitrary(schema).map((value) => codec.encode(schema, value)) },
    { weight: 1, arbitrary: bytes },
  )
}

const record = fc.constantFrom(...(Object.keys(bodyTables) as AuditType[])).chain((type) =>
  fc.record({
    chainId: fc.constantFrom('classifier/agent.steps/0', 'oss-pool/agent.steps.oss/1', 'ledger/agent.control/0'),
    epoch: fc.nat(3),
    seq: fc.maxSafeNat(),
    prevHash: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((each) => Buffer.from(each)),
    type: fc.constant(type),
    body: bodyOf(type),
  }),
)

const content = fc.oneof(
  { weight: 8, arbitrary: record.map((each) => ({ record: each, problem: null })) },
  {
    weight: 1,
    arbitrary: fc.record({
      record: fc.constant(null),
      problem: fc.string({ unit: 'binary' }),
      value: fc.option(fc.uint8Array({ maxLength: 60 }).map((each) => Buffer.from(each))),
    }),
  },
)

/** Offsets with holes, as transactions leave them; times that may run backwards, as producers' clocks do. */
const entries = fc
  .array(fc.tuple(content, fc.nat(2), fc.integer({ min: 1, max: 3 }), fc.nat(10_000)), { maxLength: 60 })
  .map((drawn) => {
    const next = [0, 0, 0]
    return drawn.map(([each, partition, step, timestampMs]): AuditEntry => {
      const offset = (next[partition]! += step)
      return { topic: 'agent.audit', partition, offset, timestampMs, ...each }
    })
  })

const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const place = { partition: fc.nat(3), offset: fc.maxSafeNat(), timestampMs: fc.nat(10_000) }
const result = fc.record({
  topic: fc.constantFrom('agent.results', 'agent.results.acme'),
  ...place,
  tenantId: text,
  taskId: text,
  stepId: text,
  origin: fc.option(
    fc.record({ topic: text, partition: fc.nat(9), offset: fc.maxSafeNat(), receivedAtMs: fc.maxSafeNat() }),
  ),
  status: fc.constantFrom('completed' as const, 'failed' as const, 'rejected' as const),
  code: fc.option(text),
  attempts: fc.nat(9),
  costMicroUsd: fc.maxSafeNat(),
  finishedAtMs: fc.maxSafeNat(),
})
const verdict = fc.record({
  topic: fc.constant('agent.feedback'),
  ...place,
  feedback: avroArbitrary('step-feedback'),
})
const policies = fc.array(avroArbitrary('policy-record'), { maxLength: 4 })

const placeOf = ({ partition, offset }: AuditEntry): string => `${partition}/${offset}`

const [decision] = fc.sample(avroArbitrary('decision-record'), { numRuns: 1, seed: 1 }) as [DecisionRecord]

function decided(offset: number): AuditEntry {
  return {
    topic: 'agent.audit',
    partition: 0,
    offset,
    timestampMs: offset,
    record: {
      chainId: 'classifier/agent.steps/0',
      epoch: 1,
      seq: offset,
      prevHash: Buffer.alloc(32),
      type: 'decision',
      body: codec.encode('decision-record', decision),
    },
    problem: null,
  }
}

describe('an export', () => {
  test('gives back every entry, result, verdict and policy as it was', { timeout: 120_000 }, async () => {
    const logs = fc.record({
      audit: entries,
      results: fc.array(result, { maxLength: 20 }),
      feedback: fc.array(verdict, { maxLength: 20 }),
      policies,
    })
    await fc.assert(
      fc.asyncProperty(logs, fc.constantFrom(1, 256 * 1024), async (log, maxFileBytes) => {
        const { source, manifest } = await exported(log, { maxFileBytes })
        expect(await all(source.audit({})).then((read) => read.toSorted(byPlace))).toEqual(log.audit.toSorted(byPlace))
        expect(await all(source.results({}))).toEqual(log.results)
        expect(await all(source.feedback({}))).toEqual(log.feedback)
        expect(await all(source.policies())).toEqual(log.policies)
        expect(manifest.rows['audit'] ?? 0).toBe(log.audit.length)
      }),
      { numRuns: 60 },
    )
  })

  test('gives the part of the log that a range names, as any source does', { timeout: 120_000 }, async () => {
    const bound = fc.option(fc.nat(40), { nil: undefined })
    const ranges: fc.Arbitrary<SourceRange> = fc.record({
      sinceMs: fc.option(fc.nat(10_000), { nil: undefined }),
      untilMs: fc.option(fc.nat(10_000), { nil: undefined }),
      resumeAt: fc.option(
        fc.array(fc.tuple(fc.nat(3), fc.nat(40))).map((each) => new Map(each)),
        { nil: undefined },
      ),
      offsets: fc.option(
        fc.array(fc.tuple(fc.nat(3), fc.record({ from: bound, until: bound }))).map((each) => new Map(each)),
        { nil: undefined },
      ),
    })
    await fc.assert(
      fc.asyncProperty(entries, fc.array(result, { maxLength: 9 }), ranges, async (audit, results, range) => {
        const { source } = await exported({ audit, results }, { maxFileBytes: 1 })
        const wanted = await memorySource({ audit, results })
        const read = (await all(source.audit(range))).toSorted(byPlace)
        expect(read).toEqual((await all(wanted.audit(range))).toSorted(byPlace))
        expect(await all(source.results(range))).toEqual(await all(wanted.results(range)))
      }),
      { numRuns: 60 },
    )
  })

  test('comes in row groups of bounded size, partitions side by side as their times say', async () => {
    const audit = Array.from({ length: 20_000 }, (_each, i) => ({ ...decided(i >> 1), partition: i % 2 }))
    const { source } = await exported({ audit })
    const batches = await Array.fromAsync(source.audit({}))
    expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(2_000)
    const begins = [0, 2_000, 4_000, 6_000, 8_000]
    expect(batches.map(([first]) => placeOf(first!))).toEqual(begins.flatMap((at) => [`0/${at}`, `1/${at}`]))
  })

  test('decodes bodies without a registry, by the schemas that it brings', async () => {
    const { source, manifest } = await exported({ audit: [decided(1)] })
    expect(Object.keys(manifest.schemas)).toHaveLength(1)
    const [entry] = await all(source.audit({}))
    expect(await source.codec.decode('decision-record', entry!.record!.body)).toEqual(decision)
  })

  test('tells the ends of each chain, so that the next export can be seen to join', async () => {
    const [first, second, third] = [decided(1), decided(2), decided(3)]
    second.record!.prevHash = linkHash(first.record!)
    third.record!.prevHash = linkHash(second.record!)
    const { manifest: earlier } = await exported({ audit: [first, second] })
    const { manifest: later } = await exported({ audit: [third] })
    expect(earlier.partitions).toEqual([{ partition: 0, firstOffset: 1, lastOffset: 2, records: 2 }])
    expect(later.chains[0]!.first).toMatchObject({ seq: 3, prevHash: earlier.chains[0]!.last.hash })
  })

  test('has decisions as a flat table beside the log, joined by their place', async () => {
    const { dir } = await exported({ audit: [decided(7)] })
    const [group] = await Array.fromAsync(
      readGroups(dir, filesOf(await readManifest(dir), 'decisions'), async () => {}),
      (each) => each.read(),
    )
    expect(group).toMatchObject([
      {
        auditPartition: 0,
        auditOffset: 7n,
        stepId: decision.stepId,
        origin_offset: BigInt(decision.origin.offset),
        policyHash: decision.policyHash.toString('hex'),
        facts_promptTokens: decision.facts.promptTokens,
        outcome_reasons: decision.outcome.reasons,
        outcome_terms: JSON.stringify(decision.outcome.terms),
        snapshot_nowMs: BigInt(decision.snapshot.nowMs),
      },
    ])
  })
})

test('an export has each policy that came in force, by its hash, with who ordered it', async () => {
  const order = { name: 'policy', orderId: 'o-1', actor: 'ann', reason: 'cheaper', atMs: 5, value: '{"hash":"00"}' }
  const body = codec.encode('policy-activated-record', { order, offset: 8, policyHash: Buffer.alloc(32, 171) })
  const link = { ...decided(7).record!, chainId: 'ledger/agent.control/0', type: 'policy_activated' as const, body }
  const { dir, manifest, source } = await exported({ audit: [{ ...decided(7), record: link }] })
  expect(manifest).toMatchObject({ rows: { audit: 1, activations: 1 }, undecodableBodies: 0 })
  const [rows] = await Array.fromAsync(
    readGroups(dir, filesOf(manifest, 'activations'), async () => {}),
    (each) => each.read(),
  )
  const named = { order_name: 'policy', order_actor: 'ann', order_reason: 'cheaper', order_atMs: 5n, offset: 8n }
  expect(rows).toMatchObject([{ auditOffset: 7n, policyHash: 'ab'.repeat(32), ...named }])
  expect((await all(source.audit({})))[0]!.record).toEqual(link)
})

describe('an export that does not fit its manifest is refused by the name of the file', () => {
  const victim = 'audit/p0-00000000.parquet'
  const refused = (message: RegExp) =>
    expect.objectContaining({ code: 'SHUNT_EXPORT_DAMAGED', message: expect.stringMatching(message) })

  test('one byte flipped, wherever it lies', async () => {
    const { dir } = await exported({ audit: [decided(1)] })
    const whole = await readFile(join(dir, victim))
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Buffer.from(whole)
        changed[at]! ^= flip
        await writeFile(join(dir, victim), changed)
        const source = await openExportSource(dir, { log: silent })
        await expect(all(source.audit({}))).rejects.toEqual(refused(/p0-00000000\.parquet: its sha256 is/))
      }),
      { numRuns: 40 },
    )
  })

  test('a file of another size', async () => {
    const { dir } = await exported({ audit: [decided(1)] })
    await appendFile(join(dir, victim), 'x')
    await expect(openExportSource(dir, { log: silent })).rejects.toEqual(
      refused(/p0-00000000\.parquet: it has \d+ bytes/),
    )
  })

  test('a file that is gone', async () => {
    const { dir } = await exported({ audit: [decided(1)] })
    await rm(join(dir, victim))
    await expect(openExportSource(dir, { log: silent })).rejects.toEqual(refused(/p0-00000000\.parquet: .*not there/))
  })

  test('a file more, of records that nobody exported', async () => {
    const { dir } = await exported({ audit: [decided(1)] })
    await writeFile(join(dir, 'audit/p0-00000001.parquet'), await readFile(join(dir, victim)))
    await expect(openExportSource(dir, { log: silent })).rejects.toEqual(
      refused(/p0-00000001\.parquet: .*does not name it/),
    )
  })

  test('a manifest that was cut', async () => {
    const { dir } = await exported({ audit: [decided(1)] })
    await using manifest = await open(join(dir, 'manifest.json'), 'r+')
    await manifest.truncate(100)
    await expect(openExportSource(dir, { log: silent })).rejects.toEqual(refused(/manifest\.json: it is not JSON/))
  })

  test('a manifest whose paths lead out of the directory', async () => {
    const { dir, manifest } = await exported({ audit: [decided(1)] })
    manifest.files[0]!.path = '../elsewhere.parquet'
    await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest))
    await expect(openExportSource(dir, { log: silent })).rejects.toEqual(refused(/manifest\.json: files\.0\.path/))
  })
})

test('a manifest of a later version is refused, with what to do', async () => {
  const { dir, manifest } = await exported({ audit: [decided(1)] })
  await writeFile(join(dir, 'manifest.json'), JSON.stringify({ ...manifest, version: manifest.version + 1 }))
  await expect(openExportSource(dir, { log: silent })).rejects.toThrow(
    /version 2, and this release reads 1: use the release/,
  )
})

test('a directory without a manifest is no export', async () => {
  await expect(openExportSource(await newDir(), { log: silent })).rejects.toThrow(
    /is no export: it has no manifest\.json/,
  )
})

test('a directory that holds something is left as it is', async () => {
  const dir = await newDir()
  await writeFile(join(dir, 'mine.txt'), 'mine')
  await expect(exportTo(dir, await memorySource({}))).rejects.toThrow(/holds mine\.txt already/)
  expect(await readdir(dir)).toEqual(['mine.txt'])
})

test.each([true, false])(
  'an export that is interrupted leaves nothing behind (a directory of its own: %s)',
  async (own) => {
    const dir = await newDir()
    if (own) await rmdir(dir)
    const interrupt = new AbortController()
    const source = await memorySource({ audit: Array.from({ length: 50 }, (_each, i) => decided(i)) })
    const interrupted: AuditSource = {
      ...source,
      async *results() {
        yield []
        interrupt.abort(new Error('Ctrl-C'))
      },
    }
    await expect(exportTo(dir, interrupted, { signal: interrupt.signal, maxFileBytes: 1 })).rejects.toThrow('Ctrl-C')
    expect(await readdir(dir).catch(() => null)).toEqual(own ? null : [])
  },
)

test('a log without a record makes an export too', async () => {
  const { source } = await exported({})
  expect(await all(source.audit({}))).toEqual([])
})
