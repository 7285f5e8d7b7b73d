import type { ChatCompletion } from 'openai/resources/chat'
import type { ChatRequest } from '#lib/events/chat-request'

/** Names of offered tools that an answer calls, each once. Whatever a backend sends is taken; what it invents is not. */
export function offeredToolsCalled(request: Pick<ChatRequest, 'tools'>, completion: ChatCompletion): string[] {
  const calls: unknown = completion?.choices?.[0]?.message?.tool_calls
  if (!Array.isArray(calls)) return []
  const offered = new Set(request.tools?.map((tool) => tool.function.name))
  const called = new Set<string>()
  for (const call of calls as { function?: { name?: unknown } }[]) {
    const name = call?.function?.name
    if (typeof name === 'string' && offered.has(name)) called.add(name)
  }
  return [...called]
}
