import { InvalidArgumentError } from 'commander'
import { ownResultsTopics } from '#lib/events/results-topic'
import { topicNames } from '#lib/events/topics'
import { listTopics } from '#lib/client/list-topics'
import { aclsOf, roles, type AclOptions, type Role } from '#lib/stream/acls'
import { applyTopics } from '#lib/stream/apply-topics'
import { actorOf, connect, connectionOf, type AddCommand } from '../context.ts'
import { aclCommands } from '../format-acls.ts'
import { wholeNumber } from '../options.ts'
import { formatDuration, formatTable, plural, writeJson, writeLines } from '../output.ts'
import { readPolicyFile } from '../policy-file.ts'
import { exitCodes } from '../report-error.ts'
import { auditWarning, retentionOption } from '../retention-option.ts'

export const addTopicsCommand: AddCommand = (program, run) => {
  const topics = program.command('topics').description('topics in Kafka')
  topics
    .command('apply')
    .description('create topics and partitions, and the first offset of each lane; safe to repeat')
    .option('--partitions <count>', 'least number of partitions', wholeNumber(1, 1_000), 4)
    .option('--replication <factor>', "replicas (default: the broker's own)", wholeNumber(1, 9))
    .option('--policy <file>', 'create the topics for results too that this policy gives tenants')
    .option(
      '--retention <topic=time>',
      'such as agent.steps=90d,agent.audit=for-ever, of new topics and of those that exist',
      retentionOption,
    )
    .option('--shorten', 'let --retention shorten what a topic keeps, which deletes records')
    .option('--json', 'print what was done as JSON')
    .action(
      run(async (context, options: ApplyFlags) => {
        const found = options.policy === undefined ? null : await readPolicyFile(context, options.policy)
        if (found === undefined) return exitCodes.failed
        const resultsTopics = found ? ownResultsTopics(found.loaded.policy) : []
        const { kafka, codec, log, config } = await connect(context)
        const applied = await applyTopics(
          { kafka, log, nowMs: Date.now, encodeOrder: (order) => codec.encode('control-order', order) },
          {
            namespace: config.namespace,
            partitions: options.partitions,
            resultsTopics,
            actor: actorOf(context),
            ...(options.retention && { retention: options.retention }),
            shorten: options.shorten ?? false,
            ...(options.replication !== undefined && { replicationFactor: options.replication }),
          },
        )
        const { created, grown, retained, started, lost } = applied
        const warning = auditWarning(options.retention)
        if (warning !== null) context.stderr.write(`${warning}\n`)
        if (options.json) writeJson(context, applied)
        else
          writeLines(context, [
            ...created.map((topic) => `created ${topic}`),
            ...grown.map((topic) => `added partitions to ${topic}`),
            ...retained.map(({ topic, fromMs, toMs }) => `${topic} keeps ${kept(toMs)}, no longer ${kept(fromMs)}`),
            ...lost.map((lane) => `SHUNT_OFFSETS_LOST: ${lane}: run \`shunt lanes recover\``),
            `${plural(topicNames.length + resultsTopics.length, 'topic')}: ${created.length} created, ${grown.length} grown; ` +
              `${plural(started.length, 'lane')} started`,
          ])
        return lost.length > 0 ? exitCodes.failed : exitCodes.ok
      }),
    )
  topics
    .command('list')
    .description('topics with their partitions and records')
    .option('--json', 'print them as JSON')
    .action(
      run(async (context, options: { json?: true }) => {
        const { config, ...deps } = connectionOf(context)
        const listed = await listTopics(deps, config.namespace)
        if (options.json) return writeJson(context, listed)
        writeLines(
          context,
          formatTable(
            [
              { title: 'topic', value: (topic) => topic.name },
              { title: 'partitions', align: 'right', value: (topic) => topic.partitions?.toString() ?? 'missing' },
              { title: 'offsets', align: 'right', value: (topic) => topic.offsets?.toString() ?? '' },
              {
                title: 'kept',
                align: 'right',
                value: ({ retentionMs }) => (retentionMs === null ? '' : kept(retentionMs)),
              },
            ],
            listed,
          ),
        )
      }),
    )
  topics
    .command('acls')
    .description('print the kafka-acls.sh commands that let each role do its work, and no more; changes nothing')
    .option(
      '--principal <role=name>',
      `of one role, such as "classifier=User:CN=shunt"; may be repeated`,
      principal,
      {},
    )
    .option('--role <role>', 'of one role; may be repeated (default: all)', role, [])
    .option(
      '--results-topic <topic>',
      "a tenant's own, which its publishers may read in place of agent.results",
      resultsTopic,
    )
    .option('--command-config <file>', "kafka-acls.sh's own, with what it needs to log in")
    .option('--json', 'print them as JSON')
    .addHelpText('after', `\nRoles: ${roles.join(', ')}. A role without --principal is User:shunt-ROLE.`)
    .action(
      run(async (context, options: AclFlags) => {
        const { config } = connectionOf(context)
        const chosen = options.role.length > 0 ? options.role : roles
        const granted = chosen.map((each) => ({
          role: each,
          principal: options.principal[each] ?? `User:shunt-${each}`,
          acls: aclsOf(each, config.namespace, options),
        }))
        if (options.json) writeJson(context, granted)
        else writeLines(context, aclCommands(granted, { brokers: config.brokers, configFile: options.commandConfig }))
      }),
    )
}

interface AclFlags extends AclOptions {
  principal: Partial<Record<Role, string>>
  role: Role[]
  commandConfig?: string
  json?: true
}

interface ApplyFlags {
  partitions: number
  replication?: number
  policy?: string
  retention?: ReadonlyMap<string, number>
  shorten?: true
  json?: true
}

function kept(retentionMs: number): string {
  return retentionMs < 0 ? 'for ever' : formatDuration(retentionMs)
}

function resultsTopic(text: string): string {
  if (!text.startsWith('agent.results.'))
    throw new InvalidArgumentError('write it as the policy does: agent.results.NAME')
  return text
}

function roleOf(text: string): Role {
  const found = roles.find((each) => each === text)
  if (found === undefined) throw new InvalidArgumentError(`one of ${roles.join(', ')}`)
  return found
}

function role(text: string, before: Role[]): Role[] {
  return [...before, roleOf(text)]
}

function principal(text: string, before: AclFlags['principal']): AclFlags['principal'] {
  const cut = text.indexOf('=')
  const name = text.slice(cut + 1)
  if (cut < 0 || !/^\w+:[^'\p{C}]+$/u.test(name)) throw new InvalidArgumentError('such as publisher=User:agents')
  return { ...before, [roleOf(text.slice(0, cut))]: name }
}
