import { eraseTenant, type Erasure } from '#lib/erasure/erase-tenant'
import { listKeyFiles, listKeyTenants } from '#lib/erasure/key-files'
import { ShuntError } from '#lib/errors'
import { isTenantId } from '#lib/events/ids'
import { askConsent, isAttended } from '../consent.ts'
import { actorOf, connect, type AddCommand, type CliContext } from '../context.ts'
import { plural, printable, writeJson, writeLines } from '../output.ts'
import { readControl } from '../read-control.ts'
import { keysDirOf } from './keys.ts'

interface EraseFlags {
  tenant: string
  reason: string
  actor?: string
  yes?: true
  json?: true
}

export const addEraseCommand: AddCommand = (program, run) => {
  const command = program
    .command('erase')
    .description("delete a tenant's data keys: what was sealed with them is readable to nobody any more")
    .requiredOption('--tenant <id>', 'whose texts')
    .requiredOption('--reason <text>', 'why; it is kept in the audit')
    .option('--actor <name>', 'who orders it (default: SHUNT_ACTOR, or the user)')
    .option('--yes', 'do not ask')
    .option('--json', 'print what was done as JSON')
    .addHelpText(
      'after',
      '\nThere is no way back. docs/erasure.md says what else holds texts, and what stays to be known.',
    )
    .action(
      run(async (context, flags: EraseFlags) => {
        const { tenant: tenantId } = flags
        if (!isTenantId(tenantId)) command.error(`error: ${printable(tenantId)} is no id of a tenant`)
        const dir = keysDirOf(context)
        const { config, kafka, codec, log } = await connect(context)
        const { namespace } = config
        const { policy } = await readControl({ kafka, codec, log }, { namespace, signal: context.signal })
        const entry = policy?.tenants.find(({ id }) => id === tenantId)
        if (!entry && !(await listKeyTenants(dir)).includes(tenantId))
          throw new ShuntError(
            'SHUNT_ORDER_INVALID',
            `neither the policy in force nor ${dir} knows a tenant ${tenantId}: check the id`,
          )
        await demandConsent(context, flags, (await listKeyFiles(dir, tenantId)).length)
        const actor = flags.actor ?? actorOf(context)
        const given = { dir, tenantId, actor, reason: flags.reason }
        const erasure = await eraseTenant({ kafka, codec, nowMs: Date.now }, given, { namespace })
        const remains = whatRemains(tenantId, entry?.texts === 'sealed')
        if (flags.json) writeJson(context, { tenantId, keyIds: erasure.keyIds, order: erasure.order, remains })
        else writeLines(context, [...whatWasDone(tenantId, dir, erasure), ...remains].map(printable))
      }),
    )
}

async function demandConsent(context: CliContext, { tenant, yes }: EraseFlags, keys: number): Promise<void> {
  if (yes) return
  if (!isAttended(context))
    throw new ShuntError('SHUNT_ORDER_INVALID', 'nobody is here to be asked: give --yes to delete the keys')
  await askConsent(context, [
    `${plural(keys, 'data key')} of tenant ${tenant} will be deleted: no request and no answer that it sealed is ever read again`,
  ])
}

function whatWasDone(tenantId: string, dir: string, { keyIds, order }: Erasure): string[] {
  return [
    keyIds.length === 0
      ? `there was no key of tenant ${tenantId} in ${dir}: the audit has it that they were deleted elsewhere`
      : `deleted ${plural(keyIds.length, 'data key')} of tenant ${tenantId}: ${keyIds.join(', ')}`,
    `order ${order.name} (${order.orderId}) is in agent.control, whence the ledger takes it into the audit`,
  ]
}

/** What the deletion of a file does not reach. */
function whatRemains(tenantId: string, mustBeSealed: boolean): string[] {
  return [
    'processes forget the keys within 60 s; a step that a worker has open by then may still be sent',
    'steps in flight end as failed, SHUNT_TEXT_ERASED; new ones that are sealed are rejected with the same code',
    'backups and copies of the keys are yours to delete: a secret, a vault, snapshots of the volume',
    'what was published plain stays until its topic forgets it; see docs/erasure.md',
    ...(mustBeSealed
      ? []
      : [
          `the policy lets tenant ${tenantId} publish plain: set texts: sealed for it, or take it out, before it goes on`,
        ]),
  ]
}
