import type { StepIds } from './step-error.ts'

const maxIdBytes = 256

/** All of ASCII that prints, but no blank: nearly every id there is, and the quick way. */
const plainId = /^[!-~]{1,64}$/
/** Without control, format (bidirectional overrides), unassigned and private characters, or a broken UTF-8 sequence. */
const printable = /^(?!\s)[^\p{C}\p{Zl}\p{Zp}\u{FFFD}]+(?<!\s)$/u
/** As in the policy. */
const tenantForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export const idForm = `1 to ${maxIdBytes} bytes of printable characters, with no blank at either end`
export const tenantIdForm = '1 to 64 letters, digits, . _ -, the first a letter or digit'

/** Form of stepId, taskId and batchId: wide enough for whatever an OpenAI custom_id holds. */
export function isId(value: unknown): value is string {
  if (typeof value !== 'string') return false
  return plainId.test(value) || (Buffer.byteLength(value) <= maxIdBytes && printable.test(value))
}

export function isTenantId(value: unknown): value is string {
  return typeof value === 'string' && tenantForm.test(value)
}

/** The ids of a value that may be wrong in everything else. */
export function readableIds(value: unknown): StepIds | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { tenantId, stepId, taskId } = value as Record<string, unknown>
  if (!isTenantId(tenantId) || !isId(stepId)) return undefined
  return { tenantId, stepId, ...(isId(taskId) && { taskId }) }
}
