import { readFileSync } from 'node:fs'
import type { ChatMessage } from '#lib/events/chat-request'
import { readTrace } from '#lib/routing/trace'
import { readConversations, type Conversation } from './conversations.ts'
import { percentile, printFigure, type Figure } from './figures.ts'

/** A turn that was judged by reading it; see test/labels/README.md. */
interface TurnLabel {
  conversation: string
  message: number
  afterToolError: boolean
}

/** How well trace reading finds the turns right after a tool error, against labels made by hand, and what it costs. */
export async function benchTrace(): Promise<Figure[]> {
  const conversations = readConversations()
  console.log('\ntrace')
  const figures = [...agreement(conversations), readingTime(conversations), hostileTime()]
  for (const figure of figures) printFigure(figure)
  return figures
}

function readLabels(): TurnLabel[] {
  const file = new URL('../../test/labels/tau-airline-errors.jsonl', import.meta.url)
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as TurnLabel)
}

function agreement(conversations: readonly Conversation[]): Figure[] {
  const messagesOf = new Map(conversations.map(({ id, messages }) => [id, messages]))
  const labels = readLabels()
  let found = 0
  let alarms = 0
  for (const { conversation, message, afterToolError } of labels) {
    const messages = messagesOf.get(conversation)?.slice(0, message)
    if (messages?.length !== message) throw new Error(`there is no ${conversation} with a message ${message}`)
    const read = readTrace({ messages }).freshToolErrors > 0
    if (read) alarms++
    if (read && afterToolError) found++
    if (read !== afterToolError)
      console.log(`  ${conversation} message ${message}: ${read ? 'a false alarm' : 'an error missed'}`)
  }
  const errors = labels.filter(({ afterToolError }) => afterToolError).length
  const target = { atLeast: 0.95 }
  return [
    {
      name: 'turns right after a tool error, precision',
      value: found / alarms,
      unit: '',
      target,
      note: `${found} of ${alarms} turns that were read so, among ${labels.length} labelled`,
    },
    {
      name: 'turns right after a tool error, recall',
      value: found / errors,
      unit: '',
      target,
      note: `${found} of ${errors} turns that are labelled so`,
    },
  ]
}

function readingTime(conversations: readonly Conversation[]): Figure {
  const usPerKb: number[] = []
  for (let round = 0; round < 5; round++)
    for (const { messages } of conversations) {
      const kb = JSON.stringify(messages).length / 1_000
      const ms = timed(() => readTrace({ messages }))
      // The first round warms up.
      if (round > 0) usPerKb.push((ms * 1_000) / kb)
    }
  const note = `${conversations.length} whole conversations; p99 ${percentile(usPerKb, 0.99).toFixed(2)}`
  return { name: 'reading, median a kB of messages', value: percentile(usPerKb, 0.5), unit: 'µs', note }
}

/** Texts that would make a careless pattern or a recursion run away. */
const hostileUnits = [
  'error ',
  'with exit ',
  'command x ',
  '\n',
  '"',
  "'",
  '[',
  '{"result":',
  '[{"error":"x"},',
  ' ',
  'a',
]

/** 1 MB of results in one step: in one of them, in results that are just short enough to parse, and in many. */
function hostileTime(): Figure {
  const times = hostileUnits.flatMap((unit) =>
    [1_000_000, 65_000, 600, 160].map((chars) => {
      const message: ChatMessage = { role: 'tool', tool_call_id: 'x', content: unit.repeat(chars / unit.length) }
      const messages = Array.from({ length: Math.floor(1_000_000 / chars) }, () => message)
      return timed(() => readTrace({ messages }))
    }),
  )
  const note = `the worst of ${times.length}`
  return {
    name: 'reading, a step with 1 MB of hostile results',
    value: Math.max(...times),
    unit: 'ms',
    target: { atMost: 200 },
    note,
  }
}

function timed(run: () => unknown): number {
  const startMs = performance.now()
  run()
  return performance.now() - startMs
}
