import { ShuntError } from '#lib/errors'
import { installStack } from '../cli/stack/install.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort())

try {
  await installStack({
    env: process.env,
    signal: stop.signal,
    say: (line) => process.stderr.write(`bootstrap: ${line}\n`),
  })
} catch (error) {
  if (!stop.signal.aborted && !(error instanceof ShuntError)) throw error
  if (error instanceof ShuntError) process.stderr.write(`bootstrap: ${error.message}\n`)
  process.exitCode = 1
}
