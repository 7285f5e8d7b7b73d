import type { Handled, InboundRecord } from './types.ts'

/** Of a record that was copied by a replay: which one, and `topic/partition/offset` of the record it was copied from. */
export const replayHeaders = { id: 'x-replay-id', source: 'x-replay-source' } as const

/** Headers that go with a step wherever it goes: W3C Trace Context, and the replay that it belongs to. */
export const carriedHeaders = ['traceparent', 'tracestate', ...Object.values(replayHeaders)] as const

/** Gives what came of a record the headers that the record brought; those that are set already stay. */
export function carryHeaders(record: Pick<InboundRecord, 'headers'>, handled: Handled): Handled {
  const carried: Record<string, string | Buffer> = {}
  for (const name of carriedHeaders) {
    const value = record.headers[name]
    if (value !== undefined) carried[name] = value
  }
  if (Object.keys(carried).length === 0) return handled
  return { ...handled, records: handled.records.map((each) => ({ ...each, headers: { ...carried, ...each.headers } })) }
}
