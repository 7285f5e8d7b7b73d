import { Argument, type Command } from 'commander'
import { giveOrder, type GivenOrder } from '#lib/control/give-order'
import { cancelName, pauseName, type CancelScope, type PauseScope } from '#lib/control/orders'
import { ShuntError } from '#lib/errors'
import { isId, isTenantId } from '#lib/events/ids'
import { didYouMean } from '#lib/policy/did-you-mean'
import { askConsent, isAttended } from '../consent.ts'
import { actorOf, connect, type AddCommand, type CliContext } from '../context.ts'
import { printable, writeJson, writeLines } from '../output.ts'
import { readControl, type Control } from '../read-control.ts'

interface OrderFlags {
  reason: string
  actor?: string
  json?: true
}

interface CancelFlags extends OrderFlags {
  tenant: string
  task?: string
  batch?: string
  allSteps?: true
  undo?: true
  yes?: true
}

/** An order as it will be given, and in words what comes of it. */
interface Plan extends Pick<GivenOrder, 'name' | 'kind' | 'stands'> {
  effect: string[]
}

export const addPauseCommand: AddCommand = (program, run) => {
  const command = program.command('pause').description('no call to the frontier, to a model, or for a tenant')
  pauseArguments(command).action(
    run(async (context, of: PauseScope['of'], id: string | undefined, flags: OrderFlags) => {
      const scope = pauseScope(command, of, id)
      await order(context, { ...planPause(scope, true), flags }, (control) => demandKnown(control, scope))
    }),
  )
}

export const addResumeCommand: AddCommand = (program, run) => {
  const command = program.command('resume').description('end a pause; what waited goes on')
  pauseArguments(command).action(
    run(async (context, of: PauseScope['of'], id: string | undefined, flags: OrderFlags) => {
      const plan = planPause(pauseScope(command, of, id), false)
      await order(context, { ...plan, flags }, ({ orders }) => {
        if (!orders.some(({ name }) => name === plan.name)) context.stderr.write(`${plan.name} was not in force\n`)
      })
    }),
  )
}

export const addCancelCommand: AddCommand = (program, run) => {
  const command = program
    .command('cancel')
    .description('end the steps of a task, of a batch, or all of a tenant that were published up to now')
    .requiredOption('--tenant <id>', 'whose steps')
    .option('--task <id>', 'those of one task')
    .option('--batch <id>', 'those of one batchId')
    .option('--all-steps', 'all of the tenant')
    .option('--undo', 'take the cancel back, for steps that have not ended')
    .option('--yes', 'do not ask')
  orderOptions(command).action(
    run(async (context, flags: CancelFlags) => {
      const scope = cancelScope(command, flags)
      const plan = planCancel(scope, flags.undo !== true)
      await order(context, { ...plan, flags }, async (control) => {
        if (plan.stands) demandKnown(control, { of: 'tenant', id: scope.tenantId })
        // Asked of a person only: what ends steps cannot be taken back for those that have ended.
        if (!flags.yes && plan.stands && isAttended(context)) await askConsent(context, plan.effect)
      })
    }),
  )
}

function pauseArguments(command: Command): Command {
  command.addArgument(new Argument('<what>', 'what is paused').choices(['frontier', 'tenant', 'model']))
  return orderOptions(command.argument('[id]', "the tenant's or model's, as in the policy"))
}

function orderOptions(command: Command): Command {
  return command
    .requiredOption('--reason <text>', 'why; kept with the order')
    .option('--actor <name>', 'who orders it (default: SHUNT_ACTOR, else the user)')
    .option('--json', 'print the order as JSON')
}

function pauseScope(command: Command, of: PauseScope['of'], id: string | undefined): PauseScope {
  if (of === 'frontier') return id === undefined ? { of } : command.error('error: frontier takes no id')
  return id === undefined ? command.error(`error: name the ${of}`) : { of, id }
}

function cancelScope(command: Command, { tenant: tenantId, task, batch, allSteps }: CancelFlags): CancelScope {
  if ([task, batch, allSteps].filter((each) => each !== undefined).length !== 1)
    command.error('error: give one of --task, --batch and --all-steps')
  if (!isTenantId(tenantId)) command.error(`error: ${printable(tenantId)} is no id of a tenant`)
  if (allSteps) return { of: 'tenant', tenantId }
  const id = task ?? batch
  if (!isId(id)) return command.error('error: the id has not the form of one')
  return { of: task === undefined ? 'batch' : 'task', tenantId, id }
}

function planPause(scope: PauseScope, stands: boolean): Plan {
  const whose =
    scope.of === 'tenant'
      ? `for tenant ${scope.id}`
      : `to ${scope.of === 'model' ? `model ${scope.id}` : 'a frontier model'}`
  const effect = stands
    ? [
        `within 5 s no replica begins a call ${whose}; what was sent completes`,
        'steps wait in their lanes, and expire at their deadlines',
      ]
    : [`calls ${whose} begin again within 5 s`]
  return { name: pauseName(scope), kind: 'pause', stands, effect }
}

function planCancel(scope: CancelScope, stands: boolean): Plan {
  const which = scope.of === 'tenant' ? 'all steps' : `the steps of ${scope.of} ${scope.id}`
  const effect = stands
    ? [
        `${which} of tenant ${scope.tenantId} that were published up to now and have no result end as cancelled`,
        'a call that was sent completes, and its answer counts; steps that are published later are not concerned',
      ]
    : [`${which} of tenant ${scope.tenantId} that have not ended go on`]
  return { name: cancelName(scope), kind: 'cancel', stands, effect }
}

async function order(
  context: CliContext,
  { flags, effect, ...plan }: Plan & { flags: OrderFlags },
  check: (control: Control) => void | Promise<void>,
): Promise<void> {
  const { config, kafka, codec, log } = await connect(context)
  await check(await readControl({ kafka, codec, log }, { namespace: config.namespace, signal: context.signal }))
  const given = { ...plan, actor: flags.actor ?? actorOf(context), reason: flags.reason }
  const written = await giveOrder({ kafka, codec, nowMs: Date.now }, given, config)
  if (flags.json) writeJson(context, written)
  else writeLines(context, [`ordered ${plan.name}`, ...effect].map(printable))
}

/** A slip of the pen would stop nothing, and nobody would notice. Without a policy in force there is nothing to ask. */
function demandKnown({ policy }: Control, scope: PauseScope): void {
  if (policy === null || scope.of === 'frontier') return
  const known = (scope.of === 'tenant' ? policy.tenants : policy.models).map(({ id }) => id)
  if (known.includes(scope.id)) return
  const near = didYouMean(scope.id, known)
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  throw new ShuntError('SHUNT_ORDER_INVALID', `the policy in force has no ${scope.of} ${scope.id}${hint}`)
}
