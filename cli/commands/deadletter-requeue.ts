import { formatOrigin } from '#lib/audit/records'
import type { DeadLetter } from '#lib/dead-letters/dead-letter'
import { letterName, parseLetterId } from '#lib/dead-letters/letter-id'
import { planRequeue, settlePlan, type PlanDeps, type RequeuePlan } from '#lib/dead-letters/plan-requeue'
import { findLetters } from '#lib/dead-letters/read-letters'
import { openRequeuer } from '#lib/dead-letters/requeue'
import { readRequeueOrders } from '#lib/dead-letters/requeue-orders'
import { readStepEnds } from '#lib/dead-letters/step-ends'
import { ShuntError } from '#lib/errors'
import type { Codec } from '#lib/events/codec'
import { createClaims } from '#lib/ledger/claims'
import { redisError } from '#lib/ledger/lua-script'
import { createPolicyStore } from '#lib/policy/policy-store'
import { actorOf, connect, connectRedis, type AddCommand, type CliContext, type Connection } from '../context.ts'
import { duration, wholeNumber } from '../options.ts'
import { plural, printable, writeJson, writeLines } from '../output.ts'
import { createProgress } from '../progress.ts'
import { exitCodes } from '../report-error.ts'
import { scanLetters, type LetterFilter } from '../scan-letters.ts'

interface RequeueFlags extends LetterFilter {
  reason: string
  yes?: true
  limit: number
  json?: true
}

/** A letter and what is to become of it; its bytes are read again when their turn comes. */
interface Planned {
  name: string
  record: string
  code: string
  atMs: number
  plan: RequeuePlan
  /** Where the record lies now. */
  requeuedTo: string | null
}

export const addRequeueCommand: AddCommand = (deadletter, run) => {
  deadletter
    .command('requeue')
    .description('have records tried again, once their cause is mended; without --yes it only says what would happen')
    .argument('[letters...]', 'PARTITION/OFFSET as the list has them, or TOPIC/PARTITION/OFFSET of the records')
    .requiredOption('--reason <text>', 'why; kept with the order')
    .option('--yes', 'do it')
    .option('--since <duration>', 'all letters not older than this', duration)
    .option('--until <duration>', 'all letters older than this', duration)
    .option('--code <code>', 'all letters of one code')
    .option('--topic <topic>', 'all letters of records of one topic')
    .option('--limit <count>', 'of such letters so many at most', wholeNumber(1, 100_000), 1_000)
    .option('--json', 'print what was done, or would be, as JSON')
    .addHelpText(
      'after',
      `
A record goes back with its bytes, key and headers, and one more: x-shunt-requeued-from. One whose step has a result that
stands, or whose cause is not mended, stays where it is. Records of routed steps go to agent.steps.reroute and are decided
anew. Each order is in agent.control with its actor (SHUNT_ACTOR, or your user name) and reason.`,
    )
    .action(
      run(async (context, texts: string[], flags: RequeueFlags) => {
        const { since, until, code, topic } = flags
        const byFilter = [since, until, code, topic].some((each) => each !== undefined)
        if (texts.length > 0 === byFilter)
          throw new ShuntError(
            'SHUNT_CONFIG_INVALID',
            'name the letters, or choose them by --code, --topic, --since or --until',
          )
        const nowMs = Date.now()
        const connection = await connect(context)
        const ids = texts.map((text) => parseLetterId(connection.config.namespace, text))
        const eachLetter: EachLetter = (onLetter) =>
          byFilter
            ? scanLetters(context, connection, { ...flags, nowMs }, onLetter)
            : findLetters(connection, ids, {
                ...scope(context, connection),
                onLetter: async (each) => void (await onLetter(each)),
              })
        const planned = await plan(context, connection, eachLetter, byFilter ? flags.limit : Infinity)
        const failed = flags.yes ? await requeueAll(context, connection, eachLetter, planned, flags.reason) : undefined
        tell(context, [...planned.values()], flags)
        if (byFilter && planned.size === flags.limit)
          context.stderr.write(`stopped at ${flags.limit} letters: there may be more, see --limit\n`)
        if (failed !== undefined) throw failed
        return exitCodes.ok
      }),
    )
}

type EachLetter = (onLetter: (letter: DeadLetter) => void | boolean | Promise<void | boolean>) => Promise<void>
type Connected = Connection & { codec: Codec }

const scope = ({ signal }: Pick<CliContext, 'signal'>, { config }: Connection) => ({
  namespace: config.namespace,
  signal,
})

/** What is to become of each letter, by its name, oldest partition first. */
async function plan(
  context: CliContext,
  connection: Connected,
  eachLetter: EachLetter,
  limit: number,
): Promise<Map<string, Planned>> {
  await using open = new AsyncDisposableStack()
  const deps = await planDeps(context, connection, open)
  const planned = new Map<string, Planned>()
  await eachLetter(async (letter) => {
    const { code, atMs, origin } = letter
    const name = letterName(letter)
    planned.set(name, {
      name,
      record: formatOrigin(origin),
      code,
      atMs,
      plan: await planRequeue(deps, letter),
      requeuedTo: null,
    })
    return planned.size >= limit
  })
  const all = [...planned.values()]
  const steps = all.flatMap(({ plan }) =>
    plan.action === 'requeue' && plan.endedWith !== null ? [plan.endedWith] : [],
  )
  const times = all.map(({ atMs }) => atMs)
  const ends = await readStepEnds(connection, new Set(steps), {
    ...scope(context, connection),
    fromMs: times.reduce((least, each) => Math.min(least, each), Infinity),
    untilMs: times.reduce((most, each) => Math.max(most, each), 0),
  })
  for (const each of all)
    if (each.plan.action === 'requeue' && each.plan.endedWith !== null)
      each.plan = settlePlan(each.plan, ends.get(each.plan.endedWith))
  return planned
}

async function planDeps(context: CliContext, connection: Connected, open: AsyncDisposableStack): Promise<PlanDeps> {
  const { config, codec, keys } = connection
  const { namespace } = config
  const { client: redis } = open.use(connectRedis(config.redisUrl))
  const claims = createClaims({ redis, namespace })
  const store = open.use(createPolicyStore(connection, { namespace }))
  await store.ready()
  return {
    codec,
    namespace,
    keys,
    policy: store.inForce()?.policy,
    orders: await readRequeueOrders(connection, scope(context, connection)),
    claims: {
      holder: (step) =>
        claims.holder(step).catch((error: unknown) => {
          throw redisError(error)
        }),
    },
  }
}

/** Returns what ended it early; what was done till then is in the plan. */
async function requeueAll(
  context: CliContext,
  connection: Connected,
  eachLetter: EachLetter,
  planned: ReadonlyMap<string, Planned>,
  reason: string,
): Promise<unknown> {
  let left = [...planned.values()].filter(({ plan }) => plan.action === 'requeue').length
  if (left === 0) return undefined
  const progress = createProgress(context, 'requeued')
  progress.total(left)
  try {
    await using requeuer = await openRequeuer(
      { ...connection, nowMs: Date.now },
      { namespace: connection.config.namespace, actor: actorOf(context), reason },
    )
    await eachLetter(async (letter) => {
      const found = planned.get(letterName(letter))
      if (found?.plan.action !== 'requeue' || found.requeuedTo !== null) return false
      context.signal.throwIfAborted()
      found.requeuedTo = formatOrigin(await requeuer.requeue(letter, found.plan.topic, found.plan.decidedAgain))
      progress.step()
      left -= 1
      return left === 0
    })
    return undefined
  } catch (error) {
    return error
  } finally {
    progress.end()
  }
}

function tell(context: CliContext, planned: readonly Planned[], { yes, json }: RequeueFlags): void {
  if (json) return writeJson(context, { done: yes === true, letters: planned.map(report) })
  const requeue = planned.filter(({ plan }) => plan.action === 'requeue')
  const done = requeue.filter(({ requeuedTo }) => requeuedTo !== null).length
  writeLines(context, [
    ...planned.map((each) => printable(describe(each, yes === true))),
    yes
      ? `${done} requeued, ${planned.length - done} left`
      : `${plural(requeue.length, 'record')} would be requeued, ${planned.length - requeue.length} left: nothing was done, add --yes`,
  ])
}

function describe({ name, record, code, plan, requeuedTo }: Planned, yes: boolean): string {
  const what = `${name}  ${record}  ${code}`
  if (plan.action === 'leave') return `${what}: left: ${plan.because}`
  if (requeuedTo !== null) return `${what}: requeued as ${requeuedTo}: ${plan.because}`
  return yes ? `${what}: not requeued` : `${what}: goes to ${plan.topic}: ${plan.because}`
}

function report({ name, record, code, plan, requeuedTo }: Planned): Record<string, unknown> {
  const topic = plan.action === 'requeue' ? plan.topic : null
  return { id: name, record, code, action: plan.action, topic, because: plan.because, requeuedTo }
}
