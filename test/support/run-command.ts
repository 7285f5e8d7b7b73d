import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Command } from 'commander'
import type { AddCommand, CliContext, RunAction } from '../../cli/context.ts'

/** Runs `shunt ARGS` in this process, with these commands alone, and returns its exit code and what it wrote. */
export async function runCommand(
  commands: readonly AddCommand[],
  args: readonly string[],
  stdin = '',
  env: CliContext['env'] = {},
): Promise<{ code: number; out: string; err: string }> {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const context = {
    env,
    stdin: Readable.from([Buffer.from(stdin)]) as unknown as CliContext['stdin'],
    stdout,
    stderr,
    signal: new AbortController().signal,
  }
  let code = 0
  const run: RunAction =
    (action) =>
    async (...given) => {
      code = (await action(context, ...given)) ?? 0
    }
  const program = new Command().exitOverride()
  for (const add of commands) add(program, run)
  const [out, err] = [text(stdout), text(stderr)]
  await program.parseAsync(['node', 'shunt', ...args])
  stdout.end()
  stderr.end()
  return { code, out: await out, err: await err }
}
