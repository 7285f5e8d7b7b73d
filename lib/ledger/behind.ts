import { inNamespace } from '#lib/events/topics'
import { createLaneLog } from '#lib/stream/lane-log'
import type { KafkaFactory } from '#lib/stream/kafka'
import { createTail } from '#lib/stream/tail'
import type { Logger } from '#lib/telemetry/logger'
import type { LedgerState } from './ledger-state.ts'
import { placeOf } from './rebuild.ts'

export interface BehindDeps {
  kafka: KafkaFactory
  state: Pick<LedgerState, 'positions'>
  log: Pick<Logger, 'info' | 'warn' | 'debug' | 'error'>
}

/**
 * Whether Redis has rolled back: the ledger's lanes have committed records that are not folded in what it holds now. A
 * Redis that writes its log once a second loses the last one with its machine, and what was reserved in it.
 */
export async function isBehind(deps: BehindDeps, namespace: string): Promise<boolean> {
  const positions = await deps.state.positions()
  const admin = deps.kafka('shunt-ledger-behind').admin()
  await admin.connect()
  try {
    for (const topic of ['agent.audit', 'agent.feedback'] as const) {
      const name = inNamespace(namespace, topic)
      const group = inNamespace(namespace, 'ledger')
      const offsets = await admin.fetchTopicOffsets(name)
      const ends = Object.fromEntries(offsets.map(({ partition, high }) => [partition, Number(high)]))
      for (const { partition } of offsets) {
        const committed = await createLaneLog(admin, { group, topic: name, partition }).committed()
        const folded = positions[placeOf(topic, { partition })] ?? -1
        if (!committed || committed.offset <= folded + 1) continue
        const span = { from: folded + 1, to: committed.offset }
        if (await hasRecord(deps, name, partition, span, ends)) return true
      }
    }
    return false
  } finally {
    await admin.disconnect()
  }
}

/** Between two offsets, the second excluded; between them may lie nothing but the marks of transactions. */
async function hasRecord(
  deps: BehindDeps,
  topic: string,
  partition: number,
  span: { from: number; to: number },
  ends: Readonly<Record<number, number>>,
): Promise<boolean> {
  const { from, to } = span
  let found = false
  const tail = createTail(deps, {
    topics: [topic],
    // Of the other partitions nothing is wanted.
    from: { [topic]: { ...ends, [partition]: from } },
    groupPrefix: `${topic}-behind`,
    onRecord: (record) => {
      if (record.partition === partition && record.offset >= from && record.offset < to) found = true
    },
  })
  try {
    await tail.caughtUp
  } finally {
    await tail.stop()
  }
  return found
}
