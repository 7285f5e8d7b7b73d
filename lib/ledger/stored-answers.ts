import { promisify } from 'node:util'
import { deflateRaw, inflateRaw } from 'node:zlib'
import type { Redis } from 'ioredis'
import { inNamespace } from '#lib/events/topics'
import { loadLuaScript, redisError } from './lua-script.ts'

const compress = promisify(deflateRaw)
const expand = promisify(inflateRaw)

/** One attempt of a step at one provider. */
export interface AttemptRef {
  /** Provider and model: the hash tag, which the provider's limits will share. */
  queue: string
  /** Names tenant, step, its record and the attempt. */
  jobId: string
}

/** How a call ended; the answer itself lies under a key of its own. */
export interface StoredCallEnd {
  endedAtMs: number
  promptTokens: number
  completionTokens: number
  standIn: boolean
  /** CallFailure and words for a person; absent for an answer. */
  failure?: { reason: string; message: string }
}

export interface StoredCall {
  callNo: number
  startedAtMs: number
  /** Absent while it runs, and for ever where its process died: its outcome is unknown then. */
  end?: StoredCallEnd
}

export interface BegunCall {
  callNo: number
  /** Calls of the attempt that may follow. */
  left: number
}

export interface StoredOutcome {
  /** Null for none. */
  answer: unknown
  /** The attempt ends with this call. */
  final: boolean
  /** False for a call that the provider turned away: it leaves as many calls as before. */
  counts: boolean
}

export interface StoredAttempt {
  ended: boolean
  /** The call that ended it; 0 where it was closed without one. */
  last: number
  closed: string | undefined
  calls: StoredCall[]
}

/**
 * What the frontier's workers know of their calls, so that an answer that was paid for outlives the process that got it:
 * a step that comes again after a crash gets the stored answer, and the provider no second call. Kept for `keepMs`,
 * which must be longer than a redelivery can take; the request goes when its attempt ends.
 * Every method throws SHUNT_REDIS_UNAVAILABLE (retryable).
 */
export interface StoredAnswers {
  /** False where the attempt has ended already. May be repeated. */
  open(ref: AttemptRef, request: unknown): Promise<boolean>
  request(ref: AttemptRef): Promise<unknown>
  /**
   * The call that may now be made; null where none may. Ends the attempt as `calls_used_up` where `maxCalls` began
   * already, however they ended: a call that kills its process leaves no end, and would be made again for ever.
   */
  begin(ref: AttemptRef, startedAtMs: number, maxCalls: number): Promise<BegunCall | null>
  end(ref: AttemptRef, callNo: number, end: StoredCallEnd, outcome: StoredOutcome): Promise<void>
  /** False where it had ended before: read what it ended with. */
  close(ref: AttemptRef, why: string): Promise<boolean>
  read(ref: AttemptRef): Promise<StoredAttempt | null>
  answer(ref: AttemptRef): Promise<unknown>
}

export const storedAnswersDefaults = { keepMs: 24 * 3_600_000 }

export function createStoredAnswers(
  deps: { redis: Redis; namespace: string },
  options: { keepMs: number } = storedAnswersDefaults,
): StoredAnswers {
  const { redis } = deps
  const { keepMs } = options
  const openAttempt = loadLuaScript(redis, 'openAttempt')
  const beginCall = loadLuaScript(redis, 'beginCall')
  const endCall = loadLuaScript(redis, 'endCall')
  const closeAttempt = loadLuaScript(redis, 'closeAttempt')
  const key = (ref: AttemptRef, part: 'attempt' | 'request' | 'answer') =>
    inNamespace(deps.namespace, `{${ref.queue}}:${part}:${ref.jobId}`)

  async function readJson(at: string): Promise<unknown> {
    const bytes = await reading(redis.getBuffer(at))
    return bytes === null ? null : JSON.parse((await expand(bytes)).toString())
  }

  return {
    open: async (ref, request) =>
      (await openAttempt([key(ref, 'attempt'), key(ref, 'request')], [await pack(request), keepMs])) === 1,
    request: (ref) => readJson(key(ref, 'request')),
    async begin(ref, startedAtMs, maxCalls) {
      const keys = [key(ref, 'attempt'), key(ref, 'request')]
      const [callNo, left] = (await beginCall(keys, [startedAtMs, maxCalls, keepMs])) as [number, number]
      return callNo > 0 ? { callNo, left } : null
    },
    async end(ref, callNo, end, { answer, final, counts }) {
      const packed = answer === null ? '' : await pack(answer)
      const keys = [key(ref, 'attempt'), key(ref, 'request'), key(ref, 'answer')]
      await endCall(keys, [callNo, JSON.stringify(end), packed, final ? 1 : 0, keepMs, counts ? 1 : 0])
    },
    close: async (ref, why) => (await closeAttempt([key(ref, 'attempt'), key(ref, 'request')], [why, keepMs])) === 1,
    async read(ref) {
      const fields = await reading(redis.hgetall(key(ref, 'attempt')))
      return fields['state'] === undefined ? null : readAttempt(fields)
    },
    answer: (ref) => readJson(key(ref, 'answer')),
  }
}

/** The fields of an attempt's hash. */
export function readAttempt(fields: Readonly<Record<string, string>>): StoredAttempt {
  const calls = Array.from({ length: Number(fields['calls'] ?? 0) }, (_, index): StoredCall => {
    const callNo = index + 1
    const end = fields[`end:${callNo}`]
    return {
      callNo,
      startedAtMs: Number(fields[`start:${callNo}`]),
      ...(end !== undefined && { end: JSON.parse(end) as StoredCallEnd }),
    }
  })
  return { ended: fields['state'] === 'ended', last: Number(fields['last'] ?? 0), closed: fields['closed'], calls }
}

function pack(value: unknown): Promise<Buffer> {
  return compress(JSON.stringify(value))
}

async function reading<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply
  } catch (error) {
    throw redisError(error)
  }
}
