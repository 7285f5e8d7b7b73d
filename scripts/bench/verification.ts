import { setTimeout as sleep } from 'node:timers/promises'
import type { ChatCompletion } from 'openai/resources/chat'
import { createSchemaProcess } from '#lib/verification/schema-process'
import { createVerifier, type Verifier } from '#lib/verification/verifier'
import type { AnswerableRequest } from '#lib/verification/verification'
import { percentile, printFigure, type Figure } from './figures.ts'

const answers = 3_000
const newSchemas = 300
/** Under way in one replica of a pool by default. */
const inFlight = 512

/** What verification costs an answer: one at a time, under load, with a schema never seen, and beside a hostile one. */
export async function benchVerification(): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack()
  const schemas = stack.adopt(createSchemaProcess({ log: { warn() {} }, nowMs: Date.now }), (each) => each.close())
  const verifier = createVerifier(schemas)
  const figures: Figure[] = []
  const add = (figure: Figure) => {
    figures.push(figure)
    printFigure(figure)
  }

  const startMs = await timed(verifier, call(), good)
  add({ name: 'first answer, with the start of the process', value: startMs, unit: 'ms' })
  await times(verifier, answers, () => call())
  const plain = await times(verifier, answers, () => ({}))
  add({ name: 'plain text, median', value: 1_000 * percentile(plain, 0.5), unit: 'µs' })
  const small = await times(verifier, answers, () => call())
  const note = `${answers} answers one after another`
  add({ name: 'tool call, median', value: percentile(small, 0.5), unit: 'ms', target: { atMost: 1 }, note })
  add({ name: 'tool call, p99', value: percentile(small, 0.99), unit: 'ms' })
  const first = await times(verifier, newSchemas, (i) => call(`schema ${i}`))
  add({ name: 'tool call with a new schema, median', value: percentile(first, 0.5), unit: 'ms' })
  add({ name: 'tool call with a new schema, p99', value: percentile(first, 0.99), unit: 'ms' })

  const { perSecond, cpuUs } = await underLoad(verifier)
  add({ name: 'tool calls, a second', value: perSecond, unit: '/s', note: `${inFlight} at a time` })
  add({ name: 'CPU of the pool for a tool call', value: cpuUs, unit: 'µs', note: 'beside that of the process' })

  const { stallMs, slowestMs } = await besideHostile(verifier)
  add({ name: 'loop stalled beside a hostile schema, at most', value: stallMs, unit: 'ms', target: { atMost: 50 } })
  add({
    name: 'slowest other answer meanwhile',
    value: slowestMs,
    unit: 'ms',
    note: 'the time limit of the hostile one, and the start of a process',
  })
  return figures
}

const good = toolCall('{"policyId":"HH-55812","cause":"water","amount":150}')

function call(description = 'Open a new claim on a policy.', amount: object = { type: 'number' }): AnswerableRequest {
  const cause = { type: 'string', enum: ['water', 'fire', 'theft', 'storm', 'other'] }
  const properties = { policyId: { type: 'string', description }, cause, amount }
  const parameters = { type: 'object', properties, required: ['policyId', 'cause'], additionalProperties: false }
  return { tools: [{ type: 'function', function: { name: 'open_claim', parameters } }] }
}

function toolCall(text: string): ChatCompletion {
  const toolCalls = [{ type: 'function', function: { name: 'open_claim', arguments: text } }]
  return { choices: [{ finish_reason: 'tool_calls', message: { content: null, tool_calls: toolCalls } }] } as never
}

const text = { choices: [{ finish_reason: 'stop', message: { content: 'water' } }] } as unknown as ChatCompletion

async function timed(verifier: Verifier, request: AnswerableRequest, completion: ChatCompletion): Promise<number> {
  const startedAt = performance.now()
  const { verdict } = await verifier.verify(request, completion)
  if (verdict !== 'ok') throw new Error(`the answer of the bench is ${verdict}`)
  return performance.now() - startedAt
}

async function times(
  verifier: Verifier,
  count: number,
  requestOf: (i: number) => AnswerableRequest,
): Promise<number[]> {
  const taken: number[] = []
  for (let i = 0; i < count; i++) {
    const request = requestOf(i)
    taken.push(await timed(verifier, request, request.tools ? good : text))
  }
  return taken
}

async function underLoad(verifier: Verifier): Promise<{ perSecond: number; cpuUs: number }> {
  const rounds = 40
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  for (let round = 0; round < rounds; round++)
    await Promise.all(Array.from({ length: inFlight }, () => timed(verifier, call(), good)))
  const { user, system } = process.cpuUsage(cpu)
  const count = rounds * inFlight
  return { perSecond: (1_000 * count) / (performance.now() - startedAt), cpuUs: (user + system) / count }
}

/** Small answers every 2 ms while one with a pattern of exponential time is given up. */
async function besideHostile(verifier: Verifier): Promise<{ stallMs: number; slowestMs: number }> {
  const hostile = verifier.verify(
    call('Hostile.', { type: 'string', pattern: '^(a+)+$' }),
    toolCall(JSON.stringify({ policyId: 'x', cause: 'water', amount: `${'a'.repeat(60)}!` })),
  )
  const over = new AbortController()
  void hostile.then(() => over.abort())
  let stallMs = 0
  const others: Promise<number>[] = []
  while (!over.signal.aborted) {
    const before = performance.now()
    await sleep(2)
    stallMs = Math.max(stallMs, performance.now() - before - 2)
    others.push(timed(verifier, call(), good))
  }
  return { stallMs, slowestMs: Math.max(...(await Promise.all(others))) }
}
