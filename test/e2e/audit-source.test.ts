import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { createChain } from '#lib/audit/chain'
import { openKafkaSource } from '#lib/audit/kafka-source'
import type { AuditEntry, SourceRange, SourceReading } from '#lib/audit/source'
import type { AuditType } from '#lib/events/types.generated'
import { localCodec, localRegistry } from '../support/local-codec.ts'
import { createStreamRig, type StreamRig } from '../support/stream-rig.ts'

const log = pino({ level: 'silent' })
const codec = await localCodec()
let rig: StreamRig
beforeEach(() => {
  rig = createStreamRig(inject('stack'))
})
afterEach(() => rig.end())

const source = () => openKafkaSource({ kafka: rig.kafka, log, codec, registry: localRegistry() }, rig.namespace)

/** Links of one chain, whose key decides the partition. */
async function write(chainId: string, types: readonly AuditType[]): Promise<void> {
  const topic = rig.topic('agent.audit')
  const chain = createChain({ encode: (link) => codec.encode('audit-record', link), topic })
  // What cannot be compressed takes several fetches.
  const drafts = types.map((type) => ({ type, body: randomBytes(200) }))
  const { records } = chain.seal(chainId, null, drafts)
  await rig.publish(
    'agent.audit',
    records.map(({ key, value }) => ({ key: String(key), value: value! })),
  )
}

async function readAll(range: SourceRange = {}, reading?: SourceReading): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = []
  for await (const batch of source().audit(range, reading)) entries.push(...batch)
  return entries
}
const many = (count: number, type: AuditType = 'decision'): AuditType[] => Array.from({ length: count }, () => type)
const offsetsOf = (entries: readonly AuditEntry[]) => entries.map(({ offset }) => offset)

test('a range has what lies in it, in order, and what is no record of the audit too', async () => {
  await rig.apply(3)
  await write('chain-a', many(40))
  const [first] = await readAll()
  const { partition } = first!
  await rig.publish('agent.audit', [{ key: 'chain-a', value: Buffer.from('nothing') }])
  await write('chain-a', many(9, 'outcome'))
  const within = (range: SourceRange, reading?: SourceReading) => readAll(range, reading).then(offsetsOf)

  let total = 0
  let behind = 0
  const reading = {
    onTotal: (count: number) => void (total = count),
    onProgress: (count: number) => void (behind += count),
  }
  const all = await readAll({}, reading)
  expect(offsetsOf(all)).toEqual(Array.from({ length: 50 }, (_, i) => i))
  expect([total, behind]).toEqual([50, 50])
  expect(all[40]).toMatchObject({ topic: 'agent.audit', partition, offset: 40, record: null })
  expect(all[40]!.problem).toMatch(/AuditRecord/)
  expect(all[0]!.record).toMatchObject({ chainId: 'chain-a', seq: 1, type: 'decision' })

  const bounds = (from?: number, until?: number) => ({ offsets: new Map([[partition, { from, until }]]) })
  expect(await within(bounds(3, 6))).toEqual([3, 4, 5])
  expect(await within(bounds(48))).toEqual([48, 49])
  expect(await within(bounds(5, 5))).toEqual([])
  expect(await within(bounds(90, 95))).toEqual([])
  expect(await within({ offsets: new Map([[(partition + 1) % 3, {}]]) })).toEqual([])
  expect(await within({ ...bounds(2, 50), resumeAt: new Map([[partition, 47]]) })).toEqual([47, 48, 49])
  expect(await within({ resumeAt: new Map([[partition, 50]]) })).toEqual([])
  const { timestampMs } = all[45]!
  expect(await within({ sinceMs: timestampMs })).toEqual(
    offsetsOf(all.filter((entry) => entry.timestampMs >= timestampMs)),
  )
  expect(await within({ untilMs: timestampMs })).toEqual(
    offsetsOf(all.filter((entry) => entry.timestampMs < timestampMs)),
  )
  expect(await within({ untilMs: 1 })).toEqual([])

  // A record whose type cannot be told is not left out.
  expect(await within({}, { types: ['outcome'] })).toEqual([40, 41, 42, 43, 44, 45, 46, 47, 48, 49])
})

test('a reader that is slower than a group waits for its members misses nothing and repeats nothing', async () => {
  await rig.apply(2)
  for (let n = 0; n < 8; n++) await write(`chain-${n}`, many(1_500))
  const seen = new Map<string, number>()
  let batches = 0
  for await (const batch of source().audit({})) {
    for (const { partition, offset } of batch) {
      expect(seen.get(String(partition)) ?? -1).toBe(offset - 1)
      seen.set(String(partition), offset)
    }
    if (batches++ === 0) await sleep(7_000)
  }
  expect([...seen.values()].reduce((sum, last) => sum + last + 1, 0)).toBe(12_000)
  expect(batches).toBeGreaterThan(2)
})

test('a reader that has seen enough, or is interrupted, leaves no group behind', async () => {
  await rig.apply(2)
  for (let n = 0; n < 4; n++) await write(`chain-${n}`, many(600))
  for await (const batch of source().audit({})) {
    expect(batch.length).toBeGreaterThan(0)
    break
  }
  const stop = new AbortController()
  const reading = (async () => {
    for await (const _batch of source().audit({}, { signal: stop.signal })) stop.abort(new Error('interrupted'))
  })()
  await expect(reading).rejects.toThrow('interrupted')
  const admin = rig.kafka('t').admin()
  await admin.connect()
  const { groups } = await admin.listGroups()
  const described = await admin.describeGroups(
    groups.map(({ groupId }) => groupId).filter((id) => id.startsWith('shunt-read')),
  )
  await admin.disconnect()
  const mine = described.groups.filter(({ members }) =>
    members.some(({ memberAssignment }) => memberAssignment.toString().includes(rig.namespace)),
  )
  expect(mine).toEqual([])
})

test('a topic that is missing is named with the remedy', async () => {
  await expect(readAll()).rejects.toMatchObject({ code: 'SHUNT_TOPICS_NOT_APPLIED' })
})
