import { hash } from 'node:crypto'
import type { ChatCompletion, ChatCompletionMessage } from 'openai/resources/chat'
import type { ChatRequest, ChatTool } from '#lib/events/chat-request'
import type { ChatModel } from './chat-model.ts'
import { schemaInstance } from './schema-instance.ts'

/** What stands for a model's name wherever a stand-in answered. */
export const standInModel = 'stand-in'
const label = '[stand-in: no model was called]'

/**
 * Answers by itself where there is no key, so that the pipeline can be tried; it is no model and says so in the text,
 * in `model` and in `system_fingerprint`. The answer has the form that the request asks for: a call of an offered tool
 * with arguments in the shape of its schema, JSON for response_format, a sentence otherwise. The same request gives the
 * same answer. Tokens are a rough count of four bytes each; nothing is billed.
 */
export function createStandIn(): ChatModel {
  return {
    complete: (request, call) => {
      const message = answer(request)
      const promptTokens = roughTokens(JSON.stringify(request.messages))
      const completionTokens = Math.min(call.maxOutputTokens, roughTokens(JSON.stringify(message)))
      const completion: ChatCompletion = {
        id: `chatcmpl-stand-in-${hash('sha256', JSON.stringify(request)).slice(0, 24)}`,
        object: 'chat.completion',
        // No clock: the same request gives the same bytes.
        created: 0,
        model: standInModel,
        system_fingerprint: standInModel,
        choices: [{ index: 0, finish_reason: message.tool_calls ? 'tool_calls' : 'stop', logprobs: null, message }],
        usage: {
          prompt_tokens: promptTokens,
          completion_tokens: completionTokens,
          total_tokens: promptTokens + completionTokens,
        },
      }
      return Promise.resolve({ completion, promptTokens, completionTokens, standIn: true })
    },
  }
}

function answer(request: ChatRequest): ChatCompletionMessage {
  const tool = toolToCall(request)
  if (tool) {
    const { name, parameters } = tool.function
    const text = JSON.stringify(schemaInstance({ ...parameters, type: 'object' }, label))
    const call = { id: `call_stand_in_${hash('sha256', name).slice(0, 12)}`, type: 'function' as const }
    return {
      role: 'assistant',
      content: label,
      refusal: null,
      tool_calls: [{ ...call, function: { name, arguments: text } }],
    }
  }
  return { role: 'assistant', content: contentFor(request), refusal: null }
}

function contentFor(request: ChatRequest): string {
  const format = request.response_format
  if (format?.type === 'json_object') return JSON.stringify({ note: label })
  if (format?.type === 'json_schema')
    return JSON.stringify(schemaInstance({ ...format.json_schema.schema, type: 'object' }, label))
  return `${label} A frontier model would answer here. Set the provider's API key to have it do so.`
}

/** The tool that must be called, or that the user's words are nearest to when they have just asked for something. */
function toolToCall(request: ChatRequest): ChatTool | undefined {
  const { tools = [], tool_choice: choice = 'auto' } = request
  if (tools.length === 0 || choice === 'none') return undefined
  if (typeof choice === 'object') return tools.find((tool) => tool.function.name === choice.function.name)
  const last = request.messages.at(-1)
  if (choice === 'auto' && last?.role !== 'user') return undefined
  const asked = wordsOf(JSON.stringify(last?.content ?? ''))
  const overlap = (tool: ChatTool) =>
    [...wordsOf(`${tool.function.name} ${tool.function.description ?? ''}`)].filter((word) => asked.has(word)).length
  return tools.reduce((best, tool) => (overlap(tool) > overlap(best) ? tool : best))
}

function wordsOf(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/[a-z]{3,}/g))
}

function roughTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / 4)
}
