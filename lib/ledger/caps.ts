import type { Redis } from 'ioredis'
import type { BudgetOrder } from './budget-order.ts'
import { ledgerKeys } from './keys.ts'
import { redisError } from './lua-script.ts'

/** Puts an operator's cap in force. Throws SHUNT_REDIS_UNAVAILABLE (retryable). */
export async function setCap(
  { redis, namespace }: { redis: Redis; namespace: string },
  { tenantId, taskId, capMicroUsd }: BudgetOrder,
): Promise<void> {
  const keys = ledgerKeys(namespace)
  const [key, field] = taskId === null ? [keys.ledger(tenantId), 'dayCap'] : [keys.task(tenantId, taskId), 'cap']
  try {
    if (capMicroUsd === null) await redis.hdel(key, field, 'capBy')
    else if (taskId === null) await redis.hset(key, field, capMicroUsd)
    else await redis.hset(key, field, capMicroUsd, 'capBy', 'operator')
  } catch (error) {
    throw redisError(error)
  }
}
