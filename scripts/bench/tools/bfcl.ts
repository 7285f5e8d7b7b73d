import type { ChatRequest, ChatTool } from '#lib/events/chat-request'
import { readDataLines } from '../data-file.ts'

/** A single-turn item of the Berkeley Function-Calling Leaderboard, v1. */
export interface BfclItem {
  id: string
  group: string
  request: ChatRequest & { tools: ChatTool[] }
  /** Names of the offered tools that the answer key calls; empty where the set has no key or nothing fits. */
  right: ReadonlySet<string>
}

export function readBfcl(): BfclItem[] {
  return readDataLines<Omit<BfclItem, 'right'> & { truth?: Truth }>('bfcl-v1.jsonl.gz').map(
    ({ id, group, request, truth }) => ({ id, group, request, right: rightTools(truth, request.tools) }),
  )
}

/** An object from name to arguments, where a second call of a tool has `_2` or ` 2` after its name; or calls as code. */
type Truth = Record<string, unknown> | string[]

/** Three names of the key are of no offered tool: they are left out. */
function rightTools(truth: Truth | undefined, tools: readonly ChatTool[]): Set<string> {
  const offered = new Set(tools.map((tool) => tool.function.name))
  const called = Array.isArray(truth) ? truth.map((call) => call.slice(0, call.indexOf('('))) : Object.keys(truth ?? {})
  return new Set(
    called.map((name) => (offered.has(name) ? name : name.replace(/[ _]\d+$/, ''))).filter((name) => offered.has(name)),
  )
}
