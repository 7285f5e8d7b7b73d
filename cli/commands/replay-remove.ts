import { ShuntError } from '#lib/errors'
import { replayNamespace } from '#lib/events/namespace'
import { connectionOf, connectRedis, type AddCommand } from '../context.ts'
import { writeJson, writeLines } from '../output.ts'
import { demandIdle, isThere } from '../replay/plan-replay.ts'
import { lockReplay } from '../replay/replay-lock.ts'
import { removeReplay } from '../replay/remove-replay.ts'

export const addReplayRemoveCommand: AddCommand = (replay, run) => {
  replay
    .command('remove')
    .description('remove the namespace of a replay that does not run: topics, groups, Redis keys and schemas')
    .requiredOption('--id <id>', 'of the replay')
    .option('--json', 'print what was removed as JSON')
    .action(
      run(async (context, { id, json }: { id: string; json?: true }) => {
        const connection = connectionOf(context)
        const namespace = replayNamespace(connection.config.namespace, id)
        using redis = connectRedis(connection.config.redisUrl)
        await using _lock = await lockReplay(redis.client, namespace)
        const there = await isThere(connection, namespace)
        await demandIdle(connection, namespace)
        // What a removal that was interrupted left goes too.
        await removeReplay(connection, namespace)
        if (!there) throw new ShuntError('SHUNT_REPLAY_REFUSED', `${namespace} is not there: check --id`)
        if (json) writeJson(context, { id, namespace })
        else writeLines(context, [`${namespace} is removed`])
      }),
    )
}
