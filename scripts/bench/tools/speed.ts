import { readFileSync } from 'node:fs'
import { completeStep } from '#lib/client/step-input'
import type { ChatRequest, ChatTool } from '#lib/events/chat-request'
import { parsePolicy } from '#lib/policy/load'
import { readScorerFile } from '#lib/policy/scorer-file'
import { decide } from '#lib/routing/decide'
import { extractFacts } from '#lib/routing/facts'
import { readToolAmbiguity } from '#lib/routing/tool-ambiguity'
import { percentile, type Figure } from '../figures.ts'
import type { Offer } from './offers.ts'
import { noLedger } from '#lib/routing/no-ledger'

const rounds = 12

/** Agents have a list of tools each and offer it at every step: as many lists are read over and over. */
const repeatedLists = 30

/** Times are of the last round: the others warm up. */
export function speedFigures(offers: readonly Offer[]): Figure[] {
  const characters = percentile(
    offers.map(({ tools }) => JSON.stringify(tools).length),
    0.5,
  )
  const note = `${offers.length} offers of 14 tools, ${characters} characters of JSON at the median, one core, after ${rounds - 1} rounds`
  const ambiguityCold = timeCold(offers, readToolAmbiguity)
  const again = offers.slice(0, repeatedLists)
  const ambiguityWarm = timeAll(again, readToolAmbiguity)
  const decideStep = wholeDecision()
  const steps = again.map(decideStep.prepare)
  const wholeWarm = timeAll(steps, decideStep.run)
  const wholeCold = timeCold(offers, (offer) => decideStep.run(decideStep.prepare(offer)), decideStep.prepare)
  return [
    micros('ambiguity, tools never seen, median', percentile(ambiguityCold, 0.5), 200, note),
    micros('ambiguity, tools never seen, p99', percentile(ambiguityCold, 0.99)),
    micros('ambiguity, tools seen before, median', percentile(ambiguityWarm, 0.5), 200),
    micros('features, score and decision, tools never seen, median', percentile(wholeCold, 0.5), 300),
    micros('features, score and decision, tools seen before, median', percentile(wholeWarm, 0.5), 300),
    ...hostileFigures(),
  ]
}

function micros(name: string, value: number, atMost?: number, note?: string): Figure {
  return { name, value, unit: 'µs', ...(atMost !== undefined && { target: { atMost } }), ...(note && { note }) }
}

interface Prepared {
  step: ReturnType<typeof completeStep>
  request: ChatRequest
}

function wholeDecision() {
  const path = new URL('../../../samples/policy.yaml', import.meta.url)
  const { policy } = parsePolicy(readFileSync(path, 'utf8'), 'samples/policy.yaml', readScorerFile().hash)
  const snapshot = noLedger(0)
  return {
    prepare: (request: Offer): Prepared => ({
      step: completeStep({ stepId: 's', taskId: 't', tenantId: 'acme-claims', kind: 'tool_call', request }),
      request,
    }),
    run: ({ step, request }: Prepared) => decide(extractFacts(step, request, [], 0), snapshot, policy),
  }
}

function timeAll<T>(inputs: readonly T[], run: (input: T) => unknown): number[] {
  let times: number[] = []
  for (let round = 0; round < rounds; round++) times = inputs.map((input) => timeOf(() => run(input)))
  return times
}

/** Every tool of every round says something else. What `prepare` takes is taken off. */
function timeCold(
  offers: readonly Offer[],
  run: (offer: Offer) => unknown,
  prepare?: (offer: Offer) => unknown,
): number[] {
  let times: number[] = []
  for (let round = 0; round < rounds; round++)
    times = offers.map((offer) => {
      const fresh = { ...offer, tools: offer.tools.map((tool) => renewed(tool)) }
      const spent = prepare ? timeOf(() => prepare(fresh)) : 0
      return timeOf(() => run(fresh)) - spent
    })
  return times
}

let renewals = 0

function renewed(tool: ChatTool): ChatTool {
  return {
    type: 'function',
    function: { ...tool.function, description: `${tool.function.description ?? ''} ${renewals++}` },
  }
}

function timeOf(run: () => unknown): number {
  const startMs = performance.now()
  run()
  return (performance.now() - startMs) * 1_000
}

/** What a step may hold at most, or nearly: not typical, but it must not stand in others' way. */
function hostileFigures(): Figure[] {
  const words = (count: number) =>
    Array.from(
      { length: count },
      (_, i) => `word${String.fromCharCode(97 + (i % 26), 97 + ((i / 26) % 26), 97 + ((i / 676) % 26))}`,
    ).join(' ')
  const offer = (count: number, text: string): Offer => ({
    messages: [{ role: 'user', content: text }],
    tools: Array.from({ length: count }, (_, i) => ({
      type: 'function',
      function: { name: `tool_${i}`, description: `${i} ${text}` },
    })),
  })
  const median = (input: Offer) =>
    percentile(
      Array.from({ length: 9 }, () => timeOf(() => readToolAmbiguity(input))),
      0.5,
    )
  const once = median(offer(14, words(14_000)))
  const twice = median(offer(14, words(28_000)))
  return [
    { name: '128 tools of 700 characters', value: median(offer(128, words(100))) / 1_000, unit: 'ms' },
    { name: '14 tools of 100 kB', value: once / 1_000, unit: 'ms' },
    { name: '14 tools of 200 kB, over 100 kB', value: twice / once, unit: '×', target: { atMost: 2.5 } },
  ]
}
