import { promisify } from 'node:util'
import { deflateRaw, inflateRaw } from 'node:zlib'
import type { Redis } from 'ioredis'
import type { RecordedAnswer, RecordedChatDeps } from '#lib/models/recorded-chat'
import { ledgerKeys } from './keys.ts'
import { redisError } from './lua-script.ts'

const compress = promisify(deflateRaw)
const expand = promisify(inflateRaw)

interface StepName {
  tenantId: string
  stepId: string
}

/**
 * Answers that a replay serves in place of calls, from the moment when a step is copied until it has its result. The
 * expiry is for a replay that nobody goes on with. Every method throws SHUNT_REDIS_UNAVAILABLE (retryable).
 */
export interface RecordedAnswers {
  read: RecordedChatDeps['read']
  /** Those that are there stay: as with the step, the first record of a stepId counts. */
  add(answers: readonly { step: StepName; answer: RecordedAnswer }[]): Promise<void>
  drop(steps: readonly StepName[]): Promise<void>
}

const keepMs = 7 * 24 * 3_600_000

export function createRecordedAnswers(deps: { redis: Redis; namespace: string }): RecordedAnswers {
  const { redis } = deps
  const keys = ledgerKeys(deps.namespace)
  const keyOf = ({ tenantId, stepId }: StepName) => keys.recorded(tenantId, stepId)

  return {
    async read(step) {
      const bytes = await trying(redis.getBuffer(keyOf(step)))
      return bytes === null ? null : (JSON.parse((await expand(bytes)).toString()) as RecordedAnswer)
    },
    async add(answers) {
      const packed = await Promise.all(answers.map(({ answer }) => compress(JSON.stringify(answer))))
      await trying(Promise.all(answers.map(({ step }, i) => redis.set(keyOf(step), packed[i]!, 'PX', keepMs, 'NX'))))
    },
    async drop(steps) {
      await trying(Promise.all(steps.map((step) => redis.unlink(keyOf(step)))))
    },
  }
}

async function trying<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply
  } catch (error) {
    throw redisError(error)
  }
}
