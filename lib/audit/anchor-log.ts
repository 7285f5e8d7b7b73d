import { createPublicKey, type KeyObject } from 'node:crypto'
import { ShuntError } from '#lib/errors'
import { formatAnchor, readAnchors, type Anchor, type AnchoredHead } from './anchors.ts'
import type { Finding, Report } from './findings.ts'
import type { AuditSource } from './source.ts'
import type { VerifiedHead } from './verify-chains.ts'
import { verifyLog, type VerifyLogOptions } from './verify-log.ts'

export interface AnchorLogOptions extends Pick<
  VerifyLogOptions,
  'report' | 'nowMs' | 'signal' | 'onReading' | 'onEntry'
> {
  namespace: string
  privateKey: KeyObject
  /** The anchors file as it is; empty for a new one. */
  before: string
}

export interface AnchoredLog {
  /** To be appended to the file, whole. */
  line: string
  anchor: Anchor
  /** Links that were verified for it. */
  links: number
  /** Chains that stay where they were last anchored, since a finding is of them. */
  heldBack: string[]
}

/**
 * Verifies what was written since the last anchor of the file, each chain from its anchored head on, and signs where the
 * chains stand now. A chain that does not verify stays at the head that was anchored last, for good: a new file, begun
 * when it is known why, goes on. Throws SHUNT_ANCHORS_DAMAGED where a line of the file is not one that this key signed.
 */
export async function anchorLog(source: AuditSource, options: AnchorLogOptions): Promise<AnchoredLog> {
  const { namespace, privateKey, before, nowMs, report, ...reading } = options
  const { anchors, lastPayload } = readAnchors(before, {
    publicKey: createPublicKey(privateKey),
    namespace,
    report: refuse,
  })
  const last = anchors.at(-1)
  const atMs = nowMs()
  const found = await verifyLog(source, {
    ...reading,
    nowMs,
    report,
    steps: false,
    ...(last && { range: { resumeAt: last.positions }, from: last.heads.map((head) => verifiedHead(head, last.atMs)) }),
  })
  const anchored = new Map(last?.heads.map((head) => [head.chainId, head]))
  const heldBack = found.heads.filter(({ broken }) => broken).map(({ chainId }) => chainId)
  const heads = found.heads.flatMap((head) => (head.broken ? (anchored.get(head.chainId) ?? []) : anchoredHead(head)))
  const positions = new Map([...(last?.positions ?? []), ...found.positions])
  const anchor: Anchor = { namespace, atMs, previous: lastPayload, positions, heads: heads.toSorted(byChain) }
  return { anchor, line: formatAnchor(anchor, privateKey), links: found.links, heldBack }
}

const refuse: Report = ({ message }: Finding): never => {
  throw new ShuntError(
    'SHUNT_ANCHORS_DAMAGED',
    `${message}; nothing was appended. Keep the file for who looks into it, and begin a new one`,
  )
}

function verifiedHead({ partition, offset, ...head }: AnchoredHead, timestampMs: number): VerifiedHead {
  return { ...head, place: { partition, offset, timestampMs }, broken: false }
}

function anchoredHead({ chainId, epoch, seq, hash, place: { partition, offset } }: VerifiedHead): AnchoredHead {
  return { chainId, partition, offset, epoch, seq, hash }
}

function byChain(a: AnchoredHead, b: AnchoredHead): number {
  return a.chainId < b.chainId ? -1 : 1
}
