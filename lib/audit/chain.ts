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
export function linkHash({ chainId, epoch, seq, prevHash, type, body }: AuditRecord): Buffer {
  // A letter of text is three bytes at most.
  const most = domain.length + frameBytes + 3 * (chainId.length + type.length) + prevHash.length + body.length
  if (scratch.length < most) scratch = scratchOf(2 * most)
  let at = putText(chainId, domain.length)
  at = scratch.writeBigUInt64BE(BigInt(epoch), at)
  at = scratch.writeBigUInt64BE(BigInt(seq), at)
  at = putText(type, at + prevHash.copy(scratch, at))
  at = scratch.writeUInt32BE(body.length, at)
  at += body.copy(scratch, at)
  return hash('sha256', scratch.subarray(0, at), 'buffer')
}

/** Why a record is no link; null for one that may be. Numbers that no lane writes have no place in the input of the hash. */
export function linkProblem({ epoch, seq, prevHash }: AuditRecord): string | null {
  if (epoch < 1 || seq < 1) return `epoch ${epoch} seq ${seq} is no place in a chain`
  return prevHash.length === 32 ? null : `its prevHash has ${prevHash.length} bytes, not 32`
}

/** Of the two numbers and the three lengths. */
const frameBytes = 2 * 8 + 3 * 4

/** The input of a hash is put together here: a buffer for each part of it was a third of what a link costs. */
let scratch = scratchOf(4 * 1024)

function scratchOf(bytes: number): Buffer {
  const made = Buffer.allocUnsafe(bytes)
  domain.copy(made)
  return made
}

/** Its length and itself; returns where it ends. */
function putText(text: string, at: number): number {
  const length = scratch.write(text, at + 4)
  scratch.writeUInt32BE(length, at)
  return at + 4 + length
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
