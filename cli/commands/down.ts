import type { AddCommand } from '../context.ts'
import { plural, writeJson, writeLines } from '../output.ts'
import { stopLocalStack } from '../stack/local-stack.ts'
import { shuntDir } from '../stack/paths.ts'

export const addDownCommand: AddCommand = (program, run) => {
  program
    .command('down')
    .description('stop what `shunt up` started, the services first, so that they drain; data stays')
    .option('--json', 'print what was stopped as JSON')
    .action(
      run(async (context, flags: { json?: true }) => {
        const ended = await stopLocalStack(shuntDir)
        if (flags.json) writeJson(context, ended)
        else
          writeLines(context, [
            ...ended.map(({ name, process: { pid } }) => `stopped ${name} (pid ${pid})`),
            ...(ended.length === 0 ? ['nothing runs'] : [`${plural(ended.length, 'process', 'processes')} stopped`]),
          ])
      }),
    )
}
