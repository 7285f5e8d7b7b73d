import type { ChatRequest, ChatToolCall } from '#lib/events/chat-request'
import { canonicalJson } from '#lib/policy/canonical-json'
import { textsOf } from './message-text.ts'
import { isFailedResult } from './tool-result.ts'

const FULL_PPM = 1_000_000

/** What the conversation so far tells of the agent's tool calls. */
export interface TraceReading {
  /** Results that report a failure. */
  toolErrors: number
  /** Calls with the same name and arguments as an earlier one. */
  repeatedCalls: number
  /** Calls of tools that the request does not offer. */
  unknownToolCalls: number
  /** Calls whose arguments are no JSON object. */
  malformedCalls: number
  /** Assistant turns since the last trouble, 0 when it was in the last one; null when there was none. */
  turnsSinceTrouble: number | null
  /** All of it in one figure: each trouble by its weight, less the longer ago it is and when it was recovered from. */
  troublePpm: number
}

type TroubleKind = 'toolErrors' | 'repeatedCalls' | 'unknownToolCalls' | 'malformedCalls'

/** How much one fresh trouble says about the turns to come. */
const weightPpm: Record<TroubleKind, number> = {
  /** The world's fault as often as the agent's: a flight that is sold out. */
  toolErrors: 300_000,
  /** The agent goes in circles; polling looks alike. */
  repeatedCalls: 350_000,
  /** The model invents tools. */
  unknownToolCalls: 600_000,
  /** The model cannot write the call. */
  malformedCalls: 500_000,
}

/** A trouble counts half this many turns later, a third after twice as many. */
const halfAfterTurns = 3

/** A failed tool that has since answered: the agent found its way. */
const recoveredPart = 4

interface Trouble {
  kind: TroubleKind
  turn: number
  tool: string
}

/** A call that waits for its result. */
interface OpenCall {
  tool: string
  turn: number
  /** What is wrong with the call itself; its result then counts for nothing more. */
  trouble: TroubleKind | null
}

/**
 * Reads all messages, in order, once. A tool that is not offered now may have been when it was called: only where its
 * result is a failure, or missing, was it an invention.
 */
export function readTrace(request: Pick<ChatRequest, 'messages' | 'tools'>): TraceReading {
  const offered = request.tools && new Set(request.tools.map((tool) => tool.function.name))
  const troubles: Trouble[] = []
  const openCalls = new Map<string, OpenCall>()
  const seenCalls = new Set<string>()
  const lastAnswerTurn = new Map<string, number>()
  let turn = 0
  for (const message of request.messages) {
    if (message.role === 'assistant') {
      turn++
      for (const call of message.tool_calls ?? []) {
        const tool = call.function.name
        const trouble = troubleOf(call, offered, seenCalls)
        if (trouble !== null && trouble !== 'unknownToolCalls') troubles.push({ kind: trouble, turn, tool })
        openCalls.set(call.id, { tool, turn, trouble })
      }
    } else if (message.role === 'tool') {
      const call = openCalls.get(message.tool_call_id)
      openCalls.delete(message.tool_call_id)
      const tool = call?.tool ?? ''
      if (!textsOf(message).some(isFailedResult)) lastAnswerTurn.set(tool, turn)
      else if (call?.trouble === 'unknownToolCalls') troubles.push({ kind: 'unknownToolCalls', turn: call.turn, tool })
      else if (!call?.trouble) troubles.push({ kind: 'toolErrors', turn, tool })
    }
  }
  for (const { tool, turn, trouble } of openCalls.values())
    if (trouble === 'unknownToolCalls') troubles.push({ kind: trouble, turn, tool })
  return summarise(troubles, lastAnswerTurn, turn)
}

/** The worst that is wrong with a call; null when nothing is. Remembers the call. */
function troubleOf(
  call: ChatToolCall,
  offered: ReadonlySet<string> | undefined,
  seenCalls: Set<string>,
): TroubleKind | null {
  const args = parseArguments(call.function.arguments)
  const key = `${call.function.name} ${args ?? call.function.arguments}`
  const repeated = seenCalls.has(key)
  seenCalls.add(key)
  if (args === null) return 'malformedCalls'
  if (repeated) return 'repeatedCalls'
  return offered && !offered.has(call.function.name) ? 'unknownToolCalls' : null
}

/** The arguments in one spelling, so that order and white space do not hide a repetition; null when no JSON object. */
function parseArguments(text: string): string | null {
  // Many models write nothing for a call without arguments.
  if (text.trim() === '') return '{}'
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? canonicalJson(value) : null
  } catch {
    return null
  }
}

function summarise(
  troubles: readonly Trouble[],
  lastAnswerTurn: ReadonlyMap<string, number>,
  turns: number,
): TraceReading {
  const reading: TraceReading = {
    toolErrors: 0,
    repeatedCalls: 0,
    unknownToolCalls: 0,
    malformedCalls: 0,
    turnsSinceTrouble: null,
    troublePpm: 0,
  }
  let sum = 0
  for (const { kind, turn, tool } of troubles) {
    reading[kind]++
    const since = turns - turn
    reading.turnsSinceTrouble = Math.min(since, reading.turnsSinceTrouble ?? since)
    const faded = Math.floor((weightPpm[kind] * halfAfterTurns) / (halfAfterTurns + since))
    sum += (lastAnswerTurn.get(tool) ?? 0) > turn ? Math.floor(faded / recoveredPart) : faded
  }
  reading.troublePpm = Math.min(FULL_PPM, sum)
  return reading
}
