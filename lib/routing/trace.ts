import type { ChatMessage, ChatRequest, ChatTool, ChatToolCall } from '#lib/events/chat-request'
import { misfits, readArguments } from './call-arguments.ts'
import { textsOf } from './message-text.ts'
import { isFailedResult } from './tool-result.ts'
import { isRecovered, troublePpm, type Answers, type Trouble, type TroubleKind } from './trouble.ts'

/** What the conversation so far tells of the agent's tool calls. One call may count in several ways. */
export interface TraceReading {
  /** Results that report a failure. */
  toolErrors: number
  /** Of these, the ones that no assistant turn has followed yet: this step comes right after them. */
  freshToolErrors: number
  /** Calls with the same name and arguments as an earlier one, polling included. */
  repeatedCalls: number
  /** Calls of tools that the request does not offer, with no result but a failure. */
  unknownToolCalls: number
  /** Calls whose arguments are no JSON object, or do not fit the tool's schema and led to no result but a failure. */
  malformedCalls: number
  /** Assistant turns since the last trouble, 0 when it was in the last one; null when there was none. */
  turnsSinceTrouble: number | null
  /** Whether the agent has since found its way out of the last trouble; null when there was none. */
  lastTroubleRecovered: boolean | null
  /** Troubled calls that it has not recovered from. */
  unrecoveredTroubles: number
  /** Offered tools that were in trouble in the last assistant turn. */
  troubledTools: readonly string[]
  /** All of it in one figure: each trouble by its weight, less the longer ago it is and when it was recovered from. */
  troublePpm: number
}

/** A call that waits for its result. */
interface OpenCall {
  tool: string
  turn: number
  key: string
  offered: boolean
  malformed: boolean
  misfit: boolean
  repeated: boolean
}

/** What the task is waiting for: the same answer again is no going in circles. */
const pending = /\b(?:pending|queued|running|processing|in[ _-]?progress|not[ _-]ready|waiting|starting)\b/i
const pendingChars = 300

/** Reads all messages, in order, once: the cost grows linearly with them. */
export function readTrace(request: Pick<ChatRequest, 'messages' | 'tools'>): TraceReading {
  const reader = new TraceReader(request.tools)
  for (const message of request.messages) reader.read(message)
  return reader.finish()
}

class TraceReader {
  readonly #tools: ReadonlyMap<string, ChatTool> | undefined
  /** By call id. Some models use an id for several calls, which are answered in their order. */
  readonly #open = new Map<string, OpenCall[]>()
  #openCount = 0
  /** The last result of each call made so far, null before it has come. */
  readonly #results = new Map<string, string | null>()
  readonly #troubles: Trouble[] = []
  readonly #answers: Answers = { byTool: new Map(), ofOfferedTool: 0, ofNewCall: 0 }
  readonly #counts = { toolErrors: 0, freshToolErrors: 0, repeatedCalls: 0, unknownToolCalls: 0, malformedCalls: 0 }
  #turn = 0

  constructor(tools: readonly ChatTool[] | undefined) {
    this.#tools = tools && new Map(tools.map((tool) => [tool.function.name, tool]))
  }

  read(message: ChatMessage): void {
    if (message.role === 'assistant') {
      this.#turn++
      this.#counts.freshToolErrors = 0
      for (const call of message.tool_calls ?? []) this.#readCall(call)
    } else if (message.role === 'tool') this.#readResult(textsOf(message), this.#takeCall(message.tool_call_id))
  }

  finish(): TraceReading {
    for (const calls of this.#open.values()) for (const call of calls) this.#judge(call, call.turn, 'none')
    const turns = this.#turn
    let last = 0
    let unrecovered = 0
    for (const trouble of this.#troubles) {
      last = Math.max(last, trouble.turn)
      if (!isRecovered(trouble, this.#answers)) unrecovered++
    }
    const ofLast = this.#troubles.filter(({ turn }) => turn === last)
    const fresh = last === turns ? ofLast.filter(({ tool }) => this.#tools?.has(tool)).map(({ tool }) => tool) : []
    return {
      ...this.#counts,
      turnsSinceTrouble: ofLast.length > 0 ? turns - last : null,
      lastTroubleRecovered: ofLast.length > 0 ? ofLast.every((one) => isRecovered(one, this.#answers)) : null,
      unrecoveredTroubles: unrecovered,
      troubledTools: fresh.length > 1 ? [...new Set(fresh)] : fresh,
      troublePpm: troublePpm(this.#troubles, this.#answers, turns),
    }
  }

  #readCall({ id, function: { name, arguments: text } }: ChatToolCall): void {
    const { value, key } = readArguments(text)
    const call: OpenCall = {
      tool: name,
      turn: this.#turn,
      key: `${name} ${key}`,
      offered: this.#tools?.has(name) ?? true,
      malformed: value === null,
      misfit: value !== null && misfits(value, this.#tools?.get(name)?.function.parameters),
      repeated: this.#results.has(`${name} ${key}`),
    }
    if (call.repeated) this.#counts.repeatedCalls++
    else this.#results.set(call.key, null)
    const sameId = this.#open.get(id)
    if (sameId) sameId.push(call)
    else this.#open.set(id, [call])
    this.#openCount++
  }

  /** The call that a result answers. One without its call's id can only belong to the single call that waits. */
  #takeCall(id: string): OpenCall | undefined {
    const known = this.#open.has(id) ? id : this.#openCount === 1 ? [...this.#open.keys()][0] : undefined
    const calls = known === undefined ? undefined : this.#open.get(known)
    if (known === undefined || !calls) return undefined
    const call = calls.shift()
    if (calls.length === 0) this.#open.delete(known)
    this.#openCount--
    return call
  }

  #readResult(texts: readonly string[], call: OpenCall | undefined): void {
    const failed = texts.some(isFailedResult)
    if (failed) {
      this.#counts.toolErrors++
      this.#counts.freshToolErrors++
    } else {
      this.#answers.byTool.set(call?.tool ?? '', this.#turn)
      if (call?.offered !== false) this.#answers.ofOfferedTool = this.#turn
      if (call?.repeated !== true) this.#answers.ofNewCall = this.#turn
    }
    if (!call) {
      if (failed) this.#troubles.push({ kinds: ['toolErrors'], turn: this.#turn, tool: '' })
      return
    }
    const result = texts.join('\n')
    const news = result !== this.#results.get(call.key) || pending.test(result.slice(0, pendingChars))
    this.#results.set(call.key, result)
    this.#judge(call, this.#turn, failed ? 'failure' : news ? 'answer' : 'nothing_new')
  }

  /**
   * What was wrong with a call. A tool that is not offered now may have been when it was called, and many take
   * arguments that their schema does not name: where there was an answer, they were none the worse for it.
   */
  #judge(call: OpenCall, turn: number, end: 'answer' | 'nothing_new' | 'failure' | 'none'): void {
    const answered = end === 'answer' || end === 'nothing_new'
    const kinds: TroubleKind[] = []
    if (call.malformed || (call.misfit && !answered)) kinds.push('malformedCalls')
    if (!call.offered && !answered) kinds.push('unknownToolCalls')
    if (end === 'failure') kinds.push('toolErrors')
    // To read again what may have changed, or to wait for it, is no going in circles.
    if (call.repeated && end !== 'answer') kinds.push('repeatedCalls')
    for (const kind of kinds) if (kind === 'malformedCalls' || kind === 'unknownToolCalls') this.#counts[kind]++
    if (kinds.length > 0) this.#troubles.push({ kinds, turn, tool: call.tool })
  }
}
