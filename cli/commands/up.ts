import { pino } from 'pino'
import { join } from 'node:path'
import { localStackStatus, startLocalStack } from '../stack/local-stack.ts'
import { repositoryDir, shuntDir } from '../stack/paths.ts'
import { prepareStack } from '../stack/prepare.ts'
import type { AddCommand } from '../context.ts'
import { wholeNumber } from '../options.ts'
import { writeJson, writeLines } from '../output.ts'
import { formatParts } from './status.ts'

const samplePolicy = join(repositoryDir, 'samples', 'policy.yaml')

interface UpFlags {
  policy: string
  partitions?: number
  json?: true
}

export const addUpCommand: AddCommand = (program, run) => {
  program
    .command('up')
    .description('start the local stack and its services, and leave them running')
    .option('--policy <file>', 'put in force where no policy is', samplePolicy)
    .option('--partitions <count>', 'least number of partitions of a topic', wholeNumber(1, 1_000))
    .option('--json', 'print what runs as JSON')
    .addHelpText(
      'after',
      '\nKAFKA_BROKERS, SCHEMA_REGISTRY_URL, REDIS_URL and SHUNT_BACKEND_URL replace the local parts. Safe to repeat.',
    )
    .action(
      run(async (context, flags: UpFlags) => {
        const say = (line: string): void => void context.stderr.write(`${line}\n`)
        await startLocalStack({
          dir: shuntDir,
          env: context.env,
          signal: context.signal,
          say,
          prepare: async (addresses) => {
            const activated = await prepareStack(addresses, {
              namespace: context.env['SHUNT_NAMESPACE'] ?? '',
              policyFile: flags.policy,
              log: pino({ level: 'silent' }),
              ...(flags.partitions !== undefined && { partitions: flags.partitions }),
            })
            if (activated) say(`put ${flags.policy} in force`)
          },
        })
        const parts = await localStackStatus(shuntDir)
        if (flags.json) writeJson(context, parts)
        else writeLines(context, formatParts(parts))
      }),
    )
}
