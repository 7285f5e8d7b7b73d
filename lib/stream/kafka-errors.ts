/** The protocol's name of an error, such as MESSAGE_TOO_LARGE; kafkajs wraps it in others. Undefined where none has one. */
export function kafkaErrorType(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause)
    if ('type' in at && typeof at.type === 'string') return at.type
  return undefined
}

/** Refusals that come back however often the same records are sent. */
const ofTheRecords = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'CORRUPT_MESSAGE'])

export function isRefusedRecord(error: unknown): boolean {
  return ofTheRecords.has(kafkaErrorType(error) ?? '')
}

/** Another producer holds the lane's transactional id now. */
const fencing = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
  'INVALID_TXN_STATE',
])

export function isFenced(error: unknown): boolean {
  return fencing.has(kafkaErrorType(error) ?? '')
}
