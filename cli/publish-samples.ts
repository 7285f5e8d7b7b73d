import { createReadStream } from 'node:fs'
import { createClient } from '#lib/client/create-client'
import { createEarlierResults } from '#lib/client/earlier-results'
import { publishLines, type PublishReport } from '#lib/client/publish-lines'
import { readSteps, type StepLine } from '#lib/client/read-steps'
import { createCodec } from '#lib/events/codec'
import type { StepResult } from '#lib/events/types.generated'
import { createKafkaFactory } from '#lib/stream/kafka'
import type { Logger } from '#lib/telemetry/logger'
import { printable } from './output.ts'
import type { Progress } from './progress.ts'
import type { StackAddresses } from './stack/stack.ts'

export interface PublishSamplesOptions {
  addresses: StackAddresses
  namespace: string
  files: readonly string[]
  signal: AbortSignal
  progress: Progress
  log: Logger
  onResult: (result: StepResult) => void
}

/** Gives up when nothing came for so long. */
const IDLE_TIMEOUT_MS = 180_000

/** Publishes the steps of all files and awaits each one's result. */
export async function publishSamples(options: PublishSamplesOptions): Promise<PublishReport> {
  const { addresses, namespace, files, signal, progress, log, onResult } = options
  const codec = await createCodec({ registryUrl: addresses.registryUrl, namespace, log })
  const deps = {
    kafka: createKafkaFactory({ log }, { brokers: addresses.brokers, security: addresses.kafkaSecurity }),
    codec,
    log,
  }
  await using open = new AsyncDisposableStack()
  const client = open.adopt(await createClient(deps, { namespace }), (opened) => opened.close())
  const earlier = open.adopt(await createEarlierResults(deps, { namespace }), (opened) => opened.close())
  let published = 0
  return await publishLines({ client, earlier }, readAll(files), {
    signal,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    onBadLine: (line, { code, message }) => progress.say(printable(`line ${line}: ${code}: ${message}`)),
    onPublished: () => progress.total((published += 1)),
    onFailed: ({ stepId }, error) => progress.say(printable(`step ${stepId}: not published: ${String(error)}`)),
    onEnd: (result) => {
      progress.step()
      onResult(result)
    },
    onSecond: ({ stepId }, first, second) =>
      progress.say(printable(`step ${stepId}: a second result at ${second}, the first is at ${first}`)),
  })
}

async function* readAll(files: readonly string[]): AsyncGenerator<StepLine> {
  for (const file of files) yield* readSteps(createReadStream(file))
}
