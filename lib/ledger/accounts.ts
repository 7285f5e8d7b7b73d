import type { Redis } from 'ioredis'
import type { Account } from './budgets.ts'
import { dayOf, ledgerKeys } from './keys.ts'
import { ledgerLost } from './ledger-lost.ts'
import { redisError } from './lua-script.ts'

/** An account as an operator looks at it. */
export interface ShownAccount extends Account {
  /** An operator set the cap; else the least that steps and policy named. */
  byOperator: boolean
}

export interface TenantAccounts {
  day: ShownAccount
  /** Attempts that ever cost more than was reserved for them, and by how much in all. */
  overSettles: number
  overSettledMicroUsd: number
  /** Null where none was asked for. */
  task: (ShownAccount & { steps: number }) | null
}

/**
 * What a tenant's day and one of its tasks have settled and hold. `dayCapMicroUsd` is the policy's.
 * Throws SHUNT_LEDGER_LOST and SHUNT_REDIS_UNAVAILABLE (both retryable).
 */
export async function readAccounts(
  { redis, namespace }: { redis: Redis; namespace: string },
  { tenantId, taskId }: { tenantId: string; taskId: string | null },
  dayCapMicroUsd: number | null,
  nowMs: number,
): Promise<TenantAccounts> {
  const keys = ledgerKeys(namespace)
  try {
    const [ledger, day, task] = await Promise.all([
      redis.hgetall(keys.ledger(tenantId)),
      redis.hgetall(keys.day(tenantId, dayOf(nowMs))),
      taskId === null ? null : redis.hgetall(keys.task(tenantId, taskId)),
    ])
    if (ledger['generation'] === undefined) throw ledgerLost(tenantId)
    const operatorsCap = ledger['dayCap']
    return {
      day: {
        ...sumsOf(day),
        capMicroUsd: operatorsCap === undefined ? dayCapMicroUsd : Number(operatorsCap),
        byOperator: operatorsCap !== undefined,
      },
      overSettles: Number(ledger['overSettles'] ?? 0),
      overSettledMicroUsd: Number(ledger['overSettledMicroUsd'] ?? 0),
      task: task && {
        ...sumsOf(task),
        capMicroUsd: task['cap'] === undefined ? null : Number(task['cap']),
        byOperator: task['capBy'] === 'operator',
        steps: Number(task['steps'] ?? 0),
      },
    }
  } catch (error) {
    throw error instanceof Error && 'code' in error && error.code === 'SHUNT_LEDGER_LOST' ? error : redisError(error)
  }
}

function sumsOf(fields: Readonly<Record<string, string>>): Pick<Account, 'settledMicroUsd' | 'reservedMicroUsd'> {
  return { settledMicroUsd: Number(fields['settled'] ?? 0), reservedMicroUsd: Number(fields['reserved'] ?? 0) }
}
