import { ShuntError } from '#lib/errors'
import { openKafkaSource } from '#lib/audit/kafka-source'
import type { Keys } from '#lib/erasure/step-texts'
import { createCodec, type Codec } from '#lib/events/codec'
import { replayNamespace } from '#lib/events/namespace'
import { createRegistry } from '#lib/events/registry'
import { inNamespace } from '#lib/events/topics'
import { withAdmin } from '#lib/client/topic-range'
import type { RuntimeConfig } from '#lib/config'
import type { LoadedPolicy } from '#lib/policy/load'
import { trainedHashOf } from '#lib/policy/scorer-choice'
import { readTrainedScorer } from '#lib/policy/scorer-file'
import type { ScorerBytes } from '#lib/policy/scorer-parts'
import { beginReplay } from '#lib/replay/publish/begin-replay'
import { demandStillFits, derivePolicy, type FrontierMode } from '#lib/replay/publish/derive-policy'
import { asksForDecisions, fixRange, type ReplayFilter } from '#lib/replay/publish/range'
import { readRecordedDecisions } from '#lib/replay/publish/read-recorded'
import { readPolicies, type RecordedPolicies } from '#lib/replay/publish/recorded-policies'
import type { RecordedRun } from '#lib/replay/publish/recorded-run'
import { readReplayOrder, replayOrderName, type ReplayOrder } from '#lib/replay/publish/replay-order'
import { guardKafka } from '#lib/stream/guarded-kafka'
import type { KafkaFactory } from '#lib/stream/kafka'
import type { Logger } from '#lib/telemetry/logger'
import { actorOf, connect, type CliContext } from '../context.ts'
import { formatUsd } from '../output.ts'
import { readPolicyFile } from '../policy-file.ts'
import { rangeOf, type RangeFlags } from '../range-options.ts'

export interface ReplayFlags extends RangeFlags {
  id: string
  policy?: string
  scorer?: string
  frontier?: FrontierMode
  budget?: number
  yes?: true
  inFlight: number
  resume?: true
  cleanup?: true
  json?: true
}

/** What a replay works with. */
export interface ReplayDeps {
  /** Writes in the replay's namespace alone. */
  kafka: KafkaFactory
  log: Logger
  config: RuntimeConfig
  /** Of the live namespace. */
  codec: Codec
  keys: Keys
}

export interface PlannedReplay {
  namespace: string
  order: ReplayOrder
  /** In force in the replay. */
  policy: LoadedPolicy
  /** Of the replay's namespace. */
  codec: Codec
}

/** Everything is read through a Kafka that cannot write to live names. Opens nothing but the codec. */
export async function openReplayDeps(context: CliContext, id: string): Promise<ReplayDeps & { namespace: string }> {
  const { kafka, ...connection } = await connect(context)
  const namespace = replayNamespace(connection.config.namespace, id)
  return { ...connection, namespace, kafka: guardKafka(kafka, inNamespace(namespace, '')) }
}

/** Whether anything is left of a replay. */
export function isThere({ kafka }: Pick<ReplayDeps, 'kafka'>, namespace: string): Promise<boolean> {
  const prefix = inNamespace(namespace, '')
  return withAdmin({ kafka }, [], async (admin) => (await admin.listTopics()).some((topic) => topic.startsWith(prefix)))
}

/** Throws SHUNT_REPLAY_REFUSED while services work in the replay: another command runs it, or was killed this moment. */
export function demandIdle({ kafka }: Pick<ReplayDeps, 'kafka'>, namespace: string): Promise<void> {
  return withAdmin({ kafka }, [], async (admin) => {
    const { groups } = await admin.describeGroups([inNamespace(namespace, 'classifier')])
    if (groups.some(({ members }) => members.length > 0))
      throw new ShuntError(
        'SHUNT_REPLAY_REFUSED',
        `${namespace} is running: wait for it or stop it; where its command was killed, try again in ten seconds`,
      )
  })
}

/**
 * Fixes what is replayed, and makes the replay's namespace, or finds the one that is resumed. Undefined where the policy
 * file has problems, which are told then. Throws SHUNT_REPLAY_REFUSED, and as its parts do.
 */
export async function planReplay(
  context: CliContext,
  deps: ReplayDeps & { namespace: string },
  run: RecordedRun,
  flags: ReplayFlags,
): Promise<PlannedReplay | undefined> {
  const { namespace } = deps
  const there = await isThere(deps, namespace)
  if (flags.resume) return resumeReplay(context, deps, run, flags, there)
  if (there)
    throw new ShuntError(
      'SHUNT_REPLAY_REFUSED',
      `${namespace} is there already: go on with it by --resume, give another --id, or remove it with \`shunt replay remove --id ${flags.id}\``,
    )
  const { frontier = 'recorded', budget } = flags
  if (budget !== undefined && frontier !== 'on')
    throw new ShuntError('SHUNT_CONFIG_INVALID', '--budget caps what --frontier on may spend: leave it out otherwise')
  const source = deps.config.namespace
  const { signal } = context
  const live = await readPolicies(deps, { namespace: source, signal })
  const pinned = await pinnedPolicy(context, deps, live, flags)
  if (!pinned) return undefined
  const policy = derivePolicy(pinned.loaded, {
    frontier,
    live: live.inForce(),
    budgetMicroUsd: budget ?? null,
  })
  const { sinceMs, untilMs } = rangeOf(flags, Date.now())
  const order: ReplayOrder = {
    id: flags.id,
    source,
    span: await fixRange(deps, { namespace: source, sinceMs, untilMs }),
    filter: filterOf(flags),
    frontier,
    pinnedHash: pinned.loaded.hash,
    providerKeys: pinned.loaded.policy.providers.flatMap(({ apiKeyEnv }) => apiKeyEnv ?? []),
  }
  await readDecisions(context, deps, run, order, flags)
  signal.throwIfAborted()
  const codec = await beginReplay(
    { ...deps, registryUrl: deps.config.registryUrl, nowMs: Date.now },
    { namespace, actor: actorOf(context), policy, scorer: pinned.scorer, order },
  )
  return { namespace, order, policy, codec }
}

async function resumeReplay(
  context: CliContext,
  deps: ReplayDeps & { namespace: string },
  run: RecordedRun,
  flags: ReplayFlags,
  there: boolean,
): Promise<PlannedReplay> {
  const { namespace } = deps
  if (!there) throw new ShuntError('SHUNT_REPLAY_REFUSED', `${namespace} is not there: begin it without --resume`)
  await demandIdle(deps, namespace)
  const { since, until, policy: file, scorer, frontier, budget } = flags
  const given = [since, until, file, scorer, frontier, budget, ...Object.values(filterOf(flags))]
  if (given.some((each) => each !== undefined))
    throw new ShuntError(
      'SHUNT_CONFIG_INVALID',
      '--resume goes on as the replay began: leave out range, policy, frontier and budget',
    )
  const codec = await createCodec({ registryUrl: deps.config.registryUrl, namespace, log: deps.log })
  const found = await readPolicies({ ...deps, codec }, { namespace, signal: context.signal })
  const order = readReplayOrder(found.order(replayOrderName), namespace)
  const policy = found.inForce()!
  const live = await readPolicies(deps, { namespace: order.source, signal: context.signal })
  demandStillFits(policy, { frontier: order.frontier, live: live.inForce() })
  await readDecisions(context, deps, run, order, flags)
  return { namespace, order, policy, codec }
}

/** The policy of the file, else the one in force, with its scorer. Undefined where the file has problems. */
async function pinnedPolicy(
  context: CliContext,
  deps: ReplayDeps,
  live: RecordedPolicies,
  flags: ReplayFlags,
): Promise<{ loaded: LoadedPolicy; scorer: ScorerBytes | null } | undefined> {
  const inForce = flags.policy === undefined ? live.inForce() : null
  if (flags.policy === undefined && !inForce)
    throw new ShuntError(
      'SHUNT_POLICY_MISSING',
      'no policy is in force that the replay could run under: give --policy FILE',
    )
  const found = inForce ? { loaded: inForce, scorer: null } : await readPolicyFile(context, flags.policy!, flags.scorer)
  if (!found) return undefined
  const hash = trainedHashOf(found.loaded.policy)
  const scorer = found.scorer ?? (hash === null ? null : live.scorer(hash))
  if (hash !== null && scorer === null)
    throw new ShuntError(
      'SHUNT_SCORER_MISSING',
      `the policy names scorer ${hash}, which is not in agent.policies: give --scorer DIR`,
    )
  if (scorer) readTrainedScorer(scorer.bytes, scorer.hash)
  return { loaded: found.loaded, scorer }
}

/** Only where the decisions matter: for the filter, or for what the calls of the replay may cost. */
async function readDecisions(
  { signal, stderr }: CliContext,
  deps: ReplayDeps,
  run: RecordedRun,
  order: ReplayOrder,
  { yes }: ReplayFlags,
): Promise<void> {
  const isOn = order.frontier === 'on'
  if (!isOn && !asksForDecisions(order.filter)) return
  const { span, source: namespace } = order
  const options = { span, namespace, signal }
  const registry = createRegistry(deps.config.registryUrl)
  await using source = openKafkaSource({ ...deps, registry }, namespace)
  const { boundMicroUsd } = await readRecordedDecisions(source, run, order.filter, options)
  if (!isOn) return
  stderr.write(
    `what the recorded decisions of the range could cost at most: ${formatUsd(boundMicroUsd)}; another policy may spend more, up to its budgets (--budget)\n`,
  )
  if (!yes)
    throw new ShuntError(
      'SHUNT_REPLAY_REFUSED',
      '--frontier on calls frontier models and is billed for it: nothing was done, add --yes',
    )
}

function filterOf({ task, tenant, tier, reason, offsets }: RangeFlags): ReplayFilter {
  return { taskIds: task, tenantIds: tenant, tiers: tier, reasons: reason, auditOffsets: offsets }
}
