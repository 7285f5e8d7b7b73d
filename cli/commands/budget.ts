import { ShuntError } from '#lib/errors'
import { writeOrder } from '#lib/control/write-order'
import { readAccounts, type ShownAccount, type TenantAccounts } from '#lib/ledger/accounts'
import { budgetOrderName } from '#lib/ledger/budget-order'
import { createPolicyStore } from '#lib/policy/policy-store'
import { actorOf, connect, connectRedis, type AddCommand } from '../context.ts'
import { formatTable, formatUsd, writeJson, writeLines } from '../output.ts'
import { usd } from '../options.ts'

interface ShowFlags {
  tenant: string
  task?: string
  json?: true
}

interface SetFlags extends ShowFlags {
  cap?: number
  clear?: true
  reason: string
}

export const addBudgetCommand: AddCommand = (program, run) => {
  const budget = program.command('budget').description('what tenants and tasks have spent and hold, and their caps')
  budget
    .command('show')
    .description("a tenant's day (UTC), and one of its tasks")
    .requiredOption('--tenant <id>', 'whose')
    .option('--task <id>', 'one of its tasks too')
    .option('--json', 'print it as JSON')
    .action(
      run(async (context, { tenant, task, json }: ShowFlags) => {
        const { config, kafka, codec, log } = await connect(context)
        await using store = createPolicyStore({ kafka, codec, log }, { namespace: config.namespace })
        await store.ready()
        const cap = store.inForce()?.policy.index.tenants.get(tenant)?.dayBudgetMicroUsd ?? null
        using redis = connectRedis(config.redisUrl)
        const asked = { tenantId: tenant, taskId: task ?? null }
        const at = { redis: redis.client, namespace: config.namespace }
        const accounts = await readAccounts(at, asked, cap, Date.now())
        if (json) writeJson(context, { ...asked, ...accounts })
        else writeLines(context, accountLines(accounts, task))
      }),
    )
  budget
    .command('set')
    .description('set a cap in place of what steps and policy name: of a task, or of each day of the tenant')
    .requiredOption('--tenant <id>', 'whose')
    .option('--task <id>', 'of this task; without it, of each day (UTC)')
    .option('--cap <usd>', 'such as 2.50', usd)
    .option('--clear', 'take the operator’s cap back: steps and policy name it again')
    .requiredOption('--reason <text>', 'why; kept with the order')
    .option('--json', 'print the order as JSON')
    .action(
      run(async (context, { tenant, task, cap, clear, reason, json }: SetFlags) => {
        if ((cap === undefined) === (clear === undefined))
          throw new ShuntError('SHUNT_CONFIG_INVALID', 'give either --cap USD or --clear')
        const { config, kafka, codec } = await connect(context)
        const value = { tenantId: tenant, taskId: task ?? null, capMicroUsd: cap ?? null }
        const order = await writeOrder(
          { kafka, codec, nowMs: Date.now },
          { name: budgetOrderName(value), actor: actorOf(context), reason, value: JSON.stringify(value) },
          { namespace: config.namespace },
        )
        if (json) return writeJson(context, order)
        const what = task === undefined ? `each day of ${tenant}` : `task ${task} of ${tenant}`
        const now = cap === undefined ? 'what steps and policy name' : formatUsd(cap)
        writeLines(context, [`ordered: the cap of ${what} is ${now}; it holds once the ledger has read it`])
      }),
    )
}

function accountLines({ day, task, overSettles, overSettledMicroUsd }: TenantAccounts, taskId?: string): string[] {
  const rows: [string, ShownAccount][] = [['today', day]]
  if (task) rows.push([`task ${taskId}`, task])
  return [
    ...formatTable(
      [
        { title: 'account', value: ([name]) => name },
        { title: 'cap', align: 'right', value: ([, { capMicroUsd }]) => orNone(capMicroUsd) },
        { title: 'settled', align: 'right', value: ([, { settledMicroUsd }]) => formatUsd(settledMicroUsd) },
        { title: 'reserved', align: 'right', value: ([, { reservedMicroUsd }]) => formatUsd(reservedMicroUsd) },
        { title: 'left', align: 'right', value: ([, account]) => orNone(leftOf(account)) },
        { title: 'cap set by', value: ([, { byOperator }]) => (byOperator ? 'an operator' : 'steps and policy') },
      ],
      rows,
    ),
    ...(overSettles === 0
      ? []
      : [`${overSettles} attempts cost ${formatUsd(overSettledMicroUsd)} more in all than was reserved for them`]),
  ]
}

function leftOf({ capMicroUsd, settledMicroUsd, reservedMicroUsd }: ShownAccount): number | null {
  return capMicroUsd === null ? null : Math.max(0, capMicroUsd - settledMicroUsd - reservedMicroUsd)
}

function orNone(microUsd: number | null): string {
  return microUsd === null ? 'none' : formatUsd(microUsd)
}
