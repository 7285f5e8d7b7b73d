import { createPrivateKey, createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { ShuntError } from '#lib/errors'
import type { ChainMark } from './chain-marks.ts'
import { findingOf, type Report } from './findings.ts'

/** The last link of a chain that verified. */
export interface AnchoredHead {
  chainId: string
  partition: number
  offset: number
  epoch: number
  seq: number
  /** sha256 of the link. */
  hash: Buffer
}

/** What is signed: where every chain of a namespace stood. */
export interface Anchor {
  namespace: string
  atMs: number
  /** sha256 of the payload of the file's line before; null in its first. */
  previous: Buffer | null
  /** By partition of agent.audit: the offset from which the next anchor goes on. */
  positions: ReadonlyMap<number, number>
  heads: readonly AnchoredHead[]
}

/** Tells what is signed from anything else that the same key may sign. */
export const payloadType = 'application/vnd.shunt.anchor+json'
const format = 'shunt-anchor-1'

const digest = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .transform((text) => Buffer.from(text, 'hex'))
const count = z.int().nonnegative()
const payloadSchema = z.object({
  format: z.literal(format),
  namespace: z.string(),
  atMs: count,
  previous: digest.nullable(),
  positions: z.array(z.tuple([count, count])),
  heads: z.array(
    z.object({ chainId: z.string(), partition: count, offset: count, epoch: count, seq: count, hash: digest }),
  ),
})
const envelopeSchema = z.object({
  payloadType: z.literal(payloadType),
  payload: z.base64(),
  signatures: z.array(z.object({ keyid: z.string(), sig: z.base64() })).min(1),
})

/** sha256 of the public key's DER (SubjectPublicKeyInfo), hex: names the key in an envelope. */
export function keyIdOf(publicKey: KeyObject): string {
  return hash('sha256', publicKey.export({ type: 'spki', format: 'der' }), 'hex')
}

/** Throws SHUNT_CONFIG_INVALID for anything but an Ed25519 private key in PEM. */
export function readPrivateKey(pem: string, file: string): KeyObject {
  return ed25519(() => createPrivateKey(pem), file, 'private')
}

/** Throws SHUNT_CONFIG_INVALID for anything but an Ed25519 public key in PEM. */
export function readPublicKey(pem: string, file: string): KeyObject {
  return ed25519(() => createPublicKey(pem), file, 'public')
}

function ed25519(read: () => KeyObject, file: string, what: string): KeyObject {
  let key: KeyObject | undefined
  try {
    key = read()
  } catch {
    // Told below: what OpenSSL says of it helps nobody.
  }
  if (key?.asymmetricKeyType === 'ed25519') return key
  throw new ShuntError(
    'SHUNT_CONFIG_INVALID',
    `${file} holds no ${what} Ed25519 key in PEM: make a pair with \`shunt audit keygen --out FILE\``,
  )
}

/**
 * What is signed of a payload: the pre-authentication encoding of DSSE (https://github.com/secure-systems-lab/dsse,
 * protocol.md, version 1.0.0), whose tools can verify a line too.
 */
function signedBytes(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `), payload])
}

/** One line of an anchors file, with its end. */
export function formatAnchor(anchor: Anchor, privateKey: KeyObject): string {
  const { namespace, atMs, previous, positions, heads } = anchor
  const payload = Buffer.from(
    JSON.stringify({
      format,
      namespace,
      atMs,
      previous: previous?.toString('hex') ?? null,
      positions: [...positions],
      heads: heads.map((head) => ({ ...head, hash: head.hash.toString('hex') })),
    }),
  )
  const envelope = {
    payloadType,
    payload: payload.toString('base64'),
    signatures: [
      {
        keyid: keyIdOf(createPublicKey(privateKey)),
        sig: sign(null, signedBytes(payload), privateKey).toString('base64'),
      },
    ],
  }
  return `${JSON.stringify(envelope)}\n`
}

export interface ReadAnchors {
  /** Lines whose signature and namespace are right, first to last. */
  anchors: Anchor[]
  /** Of the last such line: what the next one names as `previous`. */
  lastPayload: Buffer | null
}

/** The anchors of a file. Lines that cannot be trusted are reported and left out. */
export function readAnchors(
  text: string,
  expected: { publicKey: KeyObject; namespace: string; report: Report },
): ReadAnchors {
  const { report, namespace } = expected
  const anchors: Anchor[] = []
  // Undefined after a line that could not be read: the next one then follows what nobody knows.
  let before: Buffer | null | undefined = null
  let lastPayload: Buffer | null = null
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue
    const where = `line ${index + 1} of the anchors`
    const payload = readEnvelope(line, expected.publicKey, where, report)
    const anchor = payload && readPayload(payload, where, report)
    if (!payload || !anchor) {
      before = undefined
      continue
    }
    if (before !== undefined && !isSameHash(anchor.previous, before))
      report(
        findingOf(
          'anchor_out_of_line',
          `${where} does not follow the line before it: a line is missing, or was put in`,
        ),
      )
    before = hash('sha256', payload, 'buffer')
    if (anchor.namespace !== namespace) {
      const of = (name: string): string => (name === '' ? 'no namespace' : `namespace ${name}`)
      const message = `${where} is of ${of(anchor.namespace)}, and what is verified of ${of(namespace)}`
      report(findingOf('anchor_wrong_namespace', message))
      continue
    }
    anchors.push(anchor)
    lastPayload = before
  }
  return { anchors, lastPayload }
}

function isSameHash(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b)
}

function readEnvelope(line: string, publicKey: KeyObject, where: string, report: Report): Buffer | null {
  const parsed = envelopeSchema.safeParse(parseJson(line))
  if (!parsed.success) {
    report(findingOf('anchor_unreadable', `${where} is no anchor: the line is cut off, or was changed`))
    return null
  }
  const { payload: encoded, signatures } = parsed.data
  const payload = Buffer.from(encoded, 'base64')
  const keyId = keyIdOf(publicKey)
  const own = signatures.filter(({ keyid }) => keyid === keyId)
  if (own.length === 0) {
    report(
      findingOf(
        'anchor_foreign_key',
        `${where} is signed with key ${signatures[0]!.keyid.slice(0, 16)}, not with ${keyId.slice(0, 16)}`,
      ),
    )
    return null
  }
  if (own.some(({ sig }) => verify(null, signedBytes(payload), publicKey, Buffer.from(sig, 'base64')))) return payload
  report(findingOf('anchor_bad_signature', `the signature of ${where} is wrong: the line was changed`))
  return null
}

function readPayload(payload: Buffer, where: string, report: Report): Anchor | null {
  const parsed = payloadSchema.safeParse(parseJson(payload.toString()))
  if (parsed.success) return { ...parsed.data, positions: new Map(parsed.data.positions) }
  report(findingOf('anchor_unreadable', `${where} is signed, and of a form that this release does not know`))
  return null
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What anchors say of the chains. */
export function marksOf(anchors: readonly Anchor[]): ChainMark[] {
  return anchors.flatMap(({ atMs, heads }) =>
    heads.map(({ partition, offset, ...head }) => ({ ...head, by: 'anchor', atMs, place: { partition, offset } })),
  )
}
