import { createReadStream, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readSteps } from '#lib/client/read-steps'
import type { ChatRequest } from '#lib/events/chat-request'
import type { AgentStep, StepResult } from '#lib/events/types.generated'
import type { ChatAnswer } from '#lib/models/chat-model'
import { createOpenAiChat } from '#lib/models/openai-chat'
import { parsePolicy } from '#lib/policy/load'
import { readScorerFile } from '#lib/policy/scorer-file'
import { createLogger } from '#lib/telemetry/logger'
import { publishSamples } from '../../../cli/publish-samples.ts'
import { repositoryDir } from '../../../cli/stack/paths.ts'
import { openRunStack, type RunStack } from '../../../cli/stack/run-stack.ts'
import { startInference } from '../../../cli/stack/services.ts'
import type { Infrastructure } from '../../../cli/stack/stack.ts'
import type { Figure } from '../figures.ts'

const samplesDir = join(repositoryDir, 'samples')
export const policyFile = join(samplesDir, 'policy.yaml')
const files = readdirSync(samplesDir)
  .filter((name) => name.endsWith('.jsonl'))
  .map((name) => join(samplesDir, name))
const backendId = 'embedded'

/**
 * What `npm start` does, on a stack of its own, and the rate of the embedded model in it beside the same calls made
 * straight to another one of the same kind, as many at once.
 */
export async function sampleRun(_shared: Infrastructure, dir: string): Promise<Figure[]> {
  const run = await runSamples()
  const embedded = run.results.filter(({ status, backend }) => status === 'completed' && backend === backendId)
  const calls = run.results.flatMap(({ attempts }) => attempts).filter(({ backend }) => backend === backendId)
  const tokens = calls.reduce((sum, call) => sum + call.promptTokens + call.completionTokens, 0)
  const piped = tokens / seconds(calls.map((call) => [call.startedAtMs, call.endedAtMs]))
  const called = run.results.flatMap(({ tenantId, stepId, attempts }) =>
    attempts.filter(({ backend }) => backend === backendId).map(() => `${tenantId}/${stepId}`),
  )
  const alone = await callAlone(called, dir)
  return [
    { name: 'npm start, first result', value: run.firstMs / 1_000, unit: 's', target: { atMost: 30 } },
    {
      name: `npm start, all ${run.results.length} results`,
      value: run.allMs / 1_000,
      unit: 's',
      target: { atMost: 180 },
      note: 'from the start of the stack, with packages and parts there',
    },
    {
      name: 'npm start, steps that the embedded model answered',
      value: (100 * embedded.length) / run.results.length,
      unit: '%',
      target: { atLeast: 50 },
      note: `${embedded.length} of ${run.results.length}`,
    },
    {
      name: 'npm start, token rate against the backend alone',
      value: (100 * piped) / alone,
      unit: '%',
      target: { atLeast: 80 },
      note: `${Math.round(piped)} and ${Math.round(alone)} tokens/s, prompts included, ${calls.length} calls each`,
    },
  ]
}

interface SampleOptions {
  /** Parts that are there already. @default none, and all are started */
  parts?: Partial<Record<string, string>>
  /** Told of the stack while what it wrote is still there. */
  beforeEnd?: (stack: Pick<RunStack, 'namespace'>) => void
}

/** What `npm start` does, without its printing. */
export async function runSamples({ parts = {}, beforeEnd }: SampleOptions = {}): Promise<{
  results: StepResult[]
  firstMs: number
  allMs: number
}> {
  const results: StepResult[] = []
  const startedAtMs = performance.now()
  let firstMs = Number.NaN
  const log = createLogger('bench', 'silent')
  const quiet = { total: () => {}, step: () => {}, at: () => {}, note: () => {}, say: () => {}, end: () => {} }
  // The embedded model is what is measured: parts of the user's own are left out.
  const { SHUNT_MODEL_PATH } = process.env
  const env = { ...parts, ...(SHUNT_MODEL_PATH !== undefined && { SHUNT_MODEL_PATH }) }
  const signal = new AbortController().signal
  await using stack = await openRunStack({ env, policyFile, signal, say: () => {}, log })
  await publishSamples({
    addresses: stack.addresses,
    namespace: stack.namespace,
    files,
    signal: stack.failed,
    progress: quiet,
    log,
    onResult(result) {
      if (results.length === 0) firstMs = performance.now() - startedAtMs
      results.push(result)
    },
  })
  const allMs = performance.now() - startedAtMs
  beforeEnd?.(stack)
  return { results, firstMs, allMs }
}

/** Tokens a second of the same calls without a pipeline, on an embedded model that has seen none of them. */
async function callAlone(called: readonly string[], dir: string): Promise<number> {
  const { policy } = parsePolicy(readFileSync(policyFile, 'utf8'), policyFile, readScorerFile().hash)
  const { model, maxInFlight } = policy.backends.find(({ id }) => id === backendId)!
  const { maxOutputTokens } = policy.models.find(({ id }) => id === model)!
  const steps = await readSamples()
  const inference = await startInference({ dir })
  try {
    const chat = createOpenAiChat({ baseUrl: inference.address })
    const left = [...called]
    const answers: ChatAnswer[] = []
    const spans: [number, number][] = []
    await Promise.all(
      Array.from({ length: maxInFlight }, async () => {
        for (let name = left.shift(); name !== undefined; name = left.shift()) {
          const request = JSON.parse(steps.get(name)!.request) as ChatRequest & { max_tokens?: number }
          const startedAtMs = Date.now()
          const call = { model, maxOutputTokens: request.max_tokens ?? maxOutputTokens }
          answers.push(await chat.complete(request, { ...call, signal: AbortSignal.timeout(60_000) }))
          spans.push([startedAtMs, Date.now()])
        }
      }),
    )
    return answers.reduce((sum, answer) => sum + answer.promptTokens + answer.completionTokens, 0) / seconds(spans)
  } finally {
    await inference.stop()
  }
}

async function readSamples(): Promise<Map<string, AgentStep>> {
  const steps = new Map<string, AgentStep>()
  for (const file of files)
    for await (const line of readSteps(createReadStream(file)))
      if ('step' in line) steps.set(`${line.step.tenantId}/${line.step.stepId}`, line.step)
  return steps
}

/** From the first start to the last end. */
function seconds(spans: readonly (readonly [startedAtMs: number, endedAtMs: number])[]): number {
  return (Math.max(...spans.map(([, end]) => end)) - Math.min(...spans.map(([start]) => start))) / 1_000
}
