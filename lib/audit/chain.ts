import { hash } from 'node:crypto'
import type { AuditRecord } from '#lib/events/types.generated'
import type { AuditDraft, OutboundRecord } from '#lib/stream/types'

/** Where a lane's chain stands: `<epoch>.<seq>.<hash, base64url>`. Rides in the lane's offset commit. */
export interface ChainHead {
  epoch: number
  /** Of the last link; 0 where the epoch has none yet. */
  seq: number
  /** Of the last link; 32 zero bytes where the epoch has none yet. */
  hash: Buffer
}

const zeroHash = Buffer.alloc(32)
const domain = Buffer.from('shunt-audit-1\n')

/** The start of an epoch. A lane that never wrote starts at epoch 1; one that lost its head starts a later one. */
export function epochStart(epoch: number): ChainHead {
  return { epoch, seq: 0, hash: zeroHash }
}

export function formatHead(head: ChainHead): string {
  return `${head.epoch}.${head.seq}.${head.hash.toString('base64url')}`
}

/** Throws on text that formatHead() did not write. */
export function parseHead(text: string): ChainHead {
  const [epoch, seq, digest] = text.split('.')
  const head = { epoch: Number(epoch), seq: Number(seq), hash: Buffer.from(digest ?? '', 'base64url') }
  if (!Number.isSafeInteger(head.epoch) || !Number.isSafeInteger(head.seq) || head.hash.length !== 32)
    throw new Error(`not the head of an audit chain: ${text}`)
  return head
}

/**
 * sha256 of a link: over its fields and the body's bytes as they were written, never over a re-encoding, so that no
 * change of schema can break a chain. Lengths are in front of what varies: no two links share one input.
 *
 *     "shunt-audit-1\n" u32(chainId) chainId u64 epoch u64 seq prevHash(32) u32(type) type u32(body) body
 */
export function linkHash(link: AuditRecord): Buffer {
  const chainId = Buffer.from(link.chainId)
  const type = Buffer.from(link.type)
  const numbers = Buffer.allocUnsafe(16)
  numbers.writeBigUInt64BE(BigInt(link.epoch), 0)
  numbers.writeBigUInt64BE(BigInt(link.seq), 8)
  const input = Buffer.concat([
    domain,
    lengthOf(chainId),
    chainId,
    numbers,
    link.prevHash,
    lengthOf(type),
    type,
    lengthOf(link.body),
    link.body,
  ])
  return hash('sha256', input, 'buffer')
}

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32BE(bytes.length)
  return length
}

export interface ChainDeps {
  encode: (link: AuditRecord) => Buffer
  /** agent.audit with its namespace. */
  topic: string
}

/** Links drafts to a lane's chain. Pure: the lane calls it as often as it builds a transaction anew. */
export function createChain(deps: ChainDeps) {
  return {
    seal(
      chainId: string,
      head: string | null,
      drafts: readonly AuditDraft[],
    ): { records: OutboundRecord[]; head: string } {
      let { epoch, seq, hash: prevHash } = head === null ? epochStart(1) : parseHead(head)
      const records = drafts.map((draft) => {
        seq += 1
        const link: AuditRecord = { chainId, epoch, seq, prevHash, type: draft.type, body: draft.body }
        prevHash = linkHash(link)
        return { topic: deps.topic, key: chainId, value: deps.encode(link) }
      })
      return { records, head: formatHead({ epoch, seq, hash: prevHash }) }
    },
  }
}
