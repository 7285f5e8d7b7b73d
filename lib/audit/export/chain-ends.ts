import { linkHash } from '#lib/audit/chain'
import type { AuditEntry } from '#lib/audit/source'
import type { AuditRecord } from '#lib/events/types.generated'

/** What of a chain an export holds, so that the next export can be seen to begin where this one ends. */
export interface ChainEnds {
  chainId: string
  partition: number
  /** `prevHash` is that of the link before the first one here. Hashes are hex. */
  first: { offset: number; epoch: number; seq: number; prevHash: string }
  /** `hash` is what the next link's prevHash must be. */
  last: { offset: number; epoch: number; seq: number; hash: string }
}

export interface PartitionEnds {
  partition: number
  firstOffset: number
  lastOffset: number
  records: number
}

/** Takes the entries in the order of the log; holds two records a chain. */
export function createEnds() {
  const partitions = new Map<number, PartitionEnds>()
  const chains = new Map<string, { partition: number; first: Seen; last: Seen }>()
  return {
    add({ partition, offset, record }: AuditEntry): void {
      const ends = partitions.get(partition)
      if (ends) {
        ends.lastOffset = offset
        ends.records += 1
      } else partitions.set(partition, { partition, firstOffset: offset, lastOffset: offset, records: 1 })
      if (!record) return
      const seen = { offset, record }
      const chain = chains.get(record.chainId)
      if (chain) chain.last = seen
      else chains.set(record.chainId, { partition, first: seen, last: seen })
    },
    partitions: (): PartitionEnds[] => [...partitions.values()].toSorted((a, b) => a.partition - b.partition),
    chains: (): ChainEnds[] =>
      [...chains].map(([chainId, { partition, first, last }]) => ({
        chainId,
        partition,
        first: { ...placeOf(first), prevHash: first.record.prevHash.toString('hex') },
        last: { ...placeOf(last), hash: linkHash(last.record).toString('hex') },
      })),
  }
}

interface Seen {
  offset: number
  record: AuditRecord
}

function placeOf({ offset, record: { epoch, seq } }: Seen): { offset: number; epoch: number; seq: number } {
  return { offset, epoch, seq }
}
