import { execFile } from 'node:child_process'
import { join } from 'node:path'

export const shuntMain = join(import.meta.dirname, '..', '..', 'cli', 'main.ts')

export interface Ended {
  code: number
  stdout: string
  stderr: string
}

/** Runs `shunt ARGS` as a process of its own. */
export function runShunt(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
  input: string | Buffer = '',
): Promise<Ended & { bytes: Buffer }> {
  const { promise, resolve } = Promise.withResolvers<Ended & { bytes: Buffer }>()
  const child = execFile(
    process.execPath,
    [shuntMain, ...args],
    { env: { ...process.env, ...env }, encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 },
    (error, stdout, stderr) =>
      resolve({
        code: error ? Number(error.code) : 0,
        stdout: stdout.toString(),
        stderr: stderr.toString(),
        bytes: stdout,
      }),
  )
  child.stdin?.end(input)
  return promise
}
