import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ChatRequest } from '#lib/events/chat-request'
import type { AgentStep } from '#lib/events/types.generated'
import { completeStep } from '#lib/client/step-input'
import { parsePolicy } from '#lib/policy/load'
import { readScorerFile, readTrainedScorer } from '#lib/policy/scorer-file'
import { decide } from '#lib/routing/decide'
import { extractFacts } from '#lib/routing/facts'
import { percentile, printFigure, type Figure } from './figures.ts'
import { servers } from './tools/servers.ts'
import { noLedger } from '#lib/routing/no-ledger'

const rounds = 8
const stepsOfASize = 1_000
const kilobyte = 1_024

/** Features, score by the trained scorer that ships, and decision: on one core, without Kafka. */
export async function benchDecide(): Promise<Figure[]> {
  const policyFile = fileURLToPath(new URL('../../samples/policy.yaml', import.meta.url))
  const shipped = readScorerFile()
  const { policy } = parsePolicy(readFileSync(policyFile, 'utf8'), policyFile, shipped.hash)
  const { scorer } = readTrainedScorer(shipped.bytes, shipped.hash)
  const snapshot = noLedger(0)
  const text = prose()
  const time = (sizeBytes: number, tools?: ChatRequest['tools']) => {
    const steps = Array.from({ length: stepsOfASize }, (_, i) => makeStep(text, i, sizeBytes, tools))
    let times: number[] = []
    for (let round = 0; round < rounds; round++)
      times = steps.map(({ step, request }) => {
        const startMs = performance.now()
        decide(extractFacts(step, request, [], 0, scorer), snapshot, policy)
        return (performance.now() - startMs) * 1_000
      })
    return times
  }
  const one = time(kilobyte)
  const two = time(2 * kilobyte)
  const sixteen = time(16 * kilobyte)
  const sixtyFour = time(64 * kilobyte)
  const offered = Object.values(servers)[0]!.tools
  const tools = time(kilobyte, offered)
  const median = percentile(one, 0.5)
  const figures: Figure[] = [
    {
      name: 'a step of 1 kB, median',
      value: median,
      unit: 'µs',
      target: { atMost: 50 },
      note: `${Math.round(1e6 / median).toLocaleString('en-US')}/s on one core, beside RouteLLM's 155 requests/s on an L4 GPU and 50 ms of the field's learned signals`,
    },
    { name: 'a step of 2 kB, median', value: percentile(two, 0.5), unit: 'µs', target: { atMost: 100 } },
    { name: 'a step of 2 kB, p99', value: percentile(two, 0.99), unit: 'µs', target: { atMost: 300 } },
    {
      name: `a step of 1 kB with ${offered.length} tools, median`,
      value: percentile(tools, 0.5),
      unit: 'µs',
      target: { atMost: 300 },
    },
    {
      name: '64 kB over 16 kB',
      value: percentile(sixtyFour, 0.5) / percentile(sixteen, 0.5),
      unit: '×',
      target: { atMost: 5 },
      note: 'four times the text',
    },
  ]
  for (const figure of figures) printFigure(figure)
  return Promise.resolve(figures)
}

/** The texts of the sample steps, one after the other. */
function prose(): string {
  const texts: string[] = []
  for (const name of ['claims-agent', 'classification', 'summarisation']) {
    const file = readFileSync(new URL(`../../samples/${name}.jsonl`, import.meta.url), 'utf8')
    for (const line of file.trim().split('\n')) {
      const { request, body } = JSON.parse(line) as { request?: ChatRequest; body?: ChatRequest }
      for (const { content } of (request ?? body)!.messages) if (typeof content === 'string') texts.push(content)
    }
  }
  return texts.join(' ')
}

function makeStep(
  text: string,
  index: number,
  sizeBytes: number,
  tools?: ChatRequest['tools'],
): { step: AgentStep; request: ChatRequest } {
  const from = (index * 997) % text.length
  const content = text.repeat(2 + Math.ceil(sizeBytes / text.length)).slice(from, from + sizeBytes)
  const request: ChatRequest = { messages: [{ role: 'user', content }], ...(tools && { tools }) }
  const step = completeStep({ stepId: `s${index}`, taskId: 't', tenantId: 'acme-claims', kind: 'unknown', request })
  return { step, request }
}
