import type { SourceRange } from './source.ts'

/** A link that somebody else knows of: a signed anchor, or the offset commit of the lane that wrote it. */
export interface ChainMark {
  by: 'anchor' | 'lane'
  chainId: string
  epoch: number
  seq: number
  hash: Buffer
  /** When it was known, epoch ms. */
  atMs: number
  /** Where the link lies in agent.audit; null where only its hash is known. */
  place: { partition: number; offset: number } | null
}

/** Where lanes stand by their commits, by chain; epoch 0 of one that has not written yet. */
export type CommittedHeads = ReadonlyMap<string, Pick<ChainMark, 'epoch' | 'seq'>>

/** Negative where `a` comes first in its chain. */
export function inChainOrder(a: Pick<ChainMark, 'epoch' | 'seq'>, b: Pick<ChainMark, 'epoch' | 'seq'>): number {
  return a.epoch - b.epoch || a.seq - b.seq
}

/** By chain, in the chain's order; marks that say the same count once. */
export function sortMarks(marks: readonly ChainMark[]): Map<string, ChainMark[]> {
  const sorted = new Map<string, ChainMark[]>()
  for (const [chainId, ofChain] of Map.groupBy(marks, (mark) => mark.chainId))
    sorted.set(
      chainId,
      ofChain.toSorted(inChainOrder).filter((mark, i, all) => i === 0 || !isSame(mark, all[i - 1]!)),
    )
  return sorted
}

function isSame(a: ChainMark, b: ChainMark): boolean {
  return inChainOrder(a, b) === 0 && a.by === b.by && a.hash.equals(b.hash)
}

/** Of a copy of the log, such as an export: by partition, the offset at which it ends. */
export type LogEnds = ReadonlyMap<number, number>

/** The marked link may lie behind the end of what is read. */
export function isBeyond({ atMs, place }: ChainMark, { untilMs, offsets }: SourceRange, ends?: LogEnds): boolean {
  if (untilMs !== undefined && atMs > untilMs) return true
  if (place === null) return offsets !== undefined || ends !== undefined
  const { partition, offset } = place
  if (ends && offset >= (ends.get(partition) ?? 0)) return true
  return offsets !== undefined && offset >= (offsets.has(partition) ? (offsets.get(partition)!.until ?? Infinity) : 0)
}

/** For messages: what names the link. */
export function knownBy({ by, atMs }: ChainMark): string {
  return by === 'anchor' ? `an anchor of ${new Date(atMs).toISOString()} names` : 'its lane has committed'
}
