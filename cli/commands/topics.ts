import { topicNames } from '#lib/events/topics'
import { listTopics } from '#lib/client/list-topics'
import { applyTopics } from '#lib/stream/apply-topics'
import { actorOf, connect, connectionOf, type AddCommand } from '../context.ts'
import { wholeNumber } from '../options.ts'
import { formatDuration, formatTable, plural, writeJson, writeLines } from '../output.ts'
import { exitCodes } from '../report-error.ts'

export const addTopicsCommand: AddCommand = (program, run) => {
  const topics = program.command('topics').description('topics in Kafka')
  topics
    .command('apply')
    .description('create topics and partitions, and the first offset of each lane; safe to repeat')
    .option('--partitions <count>', 'least number of partitions', wholeNumber(1, 1_000), 4)
    .option('--replication <factor>', "replicas (default: the broker's own)", wholeNumber(1, 9))
    .option('--json', 'print what was done as JSON')
    .action(
      run(async (context, options: { partitions: number; replication?: number; json?: true }) => {
        const { kafka, codec, log, config } = await connect(context)
        const applied = await applyTopics(
          { kafka, log, nowMs: Date.now, encodeOrder: (order) => codec.encode('control-order', order) },
          {
            namespace: config.namespace,
            partitions: options.partitions,
            actor: actorOf(context),
            ...(options.replication !== undefined && { replicationFactor: options.replication }),
          },
        )
        const { created, grown, started, lost } = applied
        if (options.json) writeJson(context, applied)
        else
          writeLines(context, [
            ...created.map((topic) => `created ${topic}`),
            ...grown.map((topic) => `added partitions to ${topic}`),
            ...lost.map((lane) => `SHUNT_OFFSETS_LOST: ${lane}: run \`shunt lanes recover\``),
            `${plural(topicNames.length, 'topic')}: ${created.length} created, ${grown.length} grown; ` +
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
                value: ({ retentionMs }) => (retentionMs < 0 ? 'for ever' : formatDuration(retentionMs)),
              },
            ],
            listed,
          ),
        )
      }),
    )
}
