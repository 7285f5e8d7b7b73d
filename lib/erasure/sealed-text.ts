import { createHmac } from 'node:crypto'
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose'
import { ShuntError } from '#lib/errors'
import type { DataKey } from './data-keys.ts'

/** What a text is of a step. */
export type SealedField =
  /** The step's request, as it was published. */
  | 'request'
  /** An answer in a result, or a weak one in a routed step. */
  | 'answer'
  /** The request as the frontier's worker sends it, in Redis. */
  | 'call_request'
  /** The answer as the frontier's worker got it, in Redis. */
  | 'call_answer'

/** Where a text belongs: it opens nowhere else. */
export interface TextPlace {
  tenantId: string
  stepId: string
  field: SealedField
}

const alg = 'dir'
const enc = 'A256GCM'
const ivBytes = 12
/** How base64url begins of what begins with `{"`; a request that is plain begins with `{` or a blank. */
const firstChars = 'eyJ'

/** Whether a text is sealed. Costs a plain one nothing. */
export function isSealed(text: string): boolean {
  return text.startsWith(firstChars)
}

/**
 * The text as a compact JWE (RFC 7516) with the tenant's key itself (`dir`, A256GCM). Its place stands in the protected
 * header, which is authenticated with it.
 *
 * The same text in the same place gives the same bytes, so that a step that is published again is a duplicate and no
 * conflict: its initialization vector is a keyed hash of header and text, as in SIV (Rogaway and Shrimpton 2006, section
 * 4; RFC 8452 has the idea for GCM). Two texts share a vector no more often than by chance, and none of it can be guessed
 * without the key.
 */
export async function sealWith(key: DataKey, { tenantId, stepId, field }: TextPlace, text: string): Promise<string> {
  const header = { alg, enc, kid: key.id, tenantId, stepId, field }
  const bytes = Buffer.from(text)
  const iv = createHmac('sha256', key.ivSecret)
    .update(`${JSON.stringify(header)}\n`)
    .update(bytes)
    .digest()
  return new CompactEncrypt(bytes)
    .setProtectedHeader(header)
    .setInitializationVector(iv.subarray(0, ivBytes))
    .encrypt(key.cipher)
}

/** The key that a sealed text names. Throws SHUNT_TEXT_UNREADABLE for what is no JWE of ours, or one of another place. */
export function keyIdOf(sealed: string, place: TextPlace): string {
  let header: Record<string, unknown>
  try {
    header = decodeProtectedHeader(sealed)
  } catch (cause) {
    throw unreadable(place, 'is no compact JWE', cause)
  }
  if (header['alg'] !== alg || header['enc'] !== enc) throw unreadable(place, `must be sealed with ${alg} and ${enc}`)
  if (typeof header['kid'] !== 'string') throw unreadable(place, 'names no key (kid)')
  if (header['zip'] !== undefined) throw unreadable(place, 'must not be compressed (zip)')
  for (const name of ['tenantId', 'stepId', 'field'] as const)
    if (header[name] !== place[name])
      throw unreadable(place, `was sealed for another place: its ${name} is not the step's`)
  return header['kid']
}

/** Throws SHUNT_TEXT_UNREADABLE where the key is another one, or a byte was changed. */
export async function openWith(key: DataKey, place: TextPlace, sealed: string): Promise<string> {
  try {
    const { plaintext } = await compactDecrypt(sealed, key.cipher, {
      keyManagementAlgorithms: [alg],
      contentEncryptionAlgorithms: [enc],
    })
    return new TextDecoder('utf-8', { fatal: true }).decode(plaintext)
  } catch (cause) {
    throw unreadable(place, 'does not open with the key that it names', cause)
  }
}

function unreadable({ field }: TextPlace, problem: string, cause?: unknown): ShuntError {
  return new ShuntError('SHUNT_TEXT_UNREADABLE', `the sealed ${field} ${problem}: see docs/erasure.md for the form`, {
    cause,
  })
}
