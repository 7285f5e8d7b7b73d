import { randomInt } from 'node:crypto'
import { z } from 'zod'
import { badRequest, modelNotFound } from './api-error.ts'
import type { GenerationRequest, Tool, Turn } from './generation-request.ts'
import type { JsonSchema } from './json-grammar.ts'

const textPart = z.looseObject({
  type: z.literal('text', 'only text parts: this model reads no images, audio or files'),
  text: z.string(),
})
const content = z.union([z.string(), z.array(textPart).min(1)])
const toolName = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'letters, digits, _ and -, at most 64')
const jsonSchema = z.record(z.string(), z.unknown())
const namedTool = z.object({ type: z.literal('function'), function: z.object({ name: toolName }) })

const message = z.discriminatedUnion('role', [
  z.looseObject({ role: z.enum(['system', 'developer', 'user']), content }),
  z.looseObject({ role: z.literal('tool'), content, tool_call_id: z.string() }),
  z.looseObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    tool_calls: z
      .array(z.looseObject({ function: z.looseObject({ name: z.string(), arguments: z.string() }) }))
      .nullish(),
  }),
])

const tool = z.looseObject({
  type: z.literal('function', 'only function tools'),
  function: z.looseObject({ name: toolName, description: z.string().nullish(), parameters: jsonSchema.nullish() }),
})

const responseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({ type: z.literal('json_schema'), json_schema: z.looseObject({ name: z.string(), schema: jsonSchema }) }),
])

const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  namedTool,
  z.object({
    type: z.literal('allowed_tools'),
    allowed_tools: z.object({ mode: z.enum(['auto', 'required']), tools: z.array(namedTool).min(1) }),
  }),
])

/** Fields of OpenAI's that change nothing about an answer here. */
const withoutEffect = Object.fromEntries(
  [
    'metadata',
    'parallel_tool_calls',
    'prompt_cache_key',
    'reasoning_effort',
    'safety_identifier',
    'service_tier',
    'store',
    'user',
    'verbosity',
  ].map((name) => [name, z.unknown().optional()]),
)

const body = z.strictObject({
  ...withoutEffect,
  model: z.string(),
  messages: z.array(message).min(1),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: toolChoice.nullish(),
  response_format: responseFormat.nullish(),
  max_tokens: z.number().int().min(1).nullish(),
  max_completion_tokens: z.number().int().min(1).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  seed: z.number().int().nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(4)]).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  n: z.literal(1, 'must be 1: send a request for each answer').nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
})
type Body = z.output<typeof body>

/**
 * Throws an ApiError in OpenAI's form. A field that this server does not know is refused, not ignored: an answer must
 * not look as if it had been heeded. A temperature that is not given is 0, not OpenAI's 1: a small model drifts at 1.
 */
export function parseRequest(value: unknown, modelName: string): GenerationRequest {
  const parsed = body.safeParse(value)
  if (!parsed.success) throw refuse(parsed.error)
  const request = parsed.data
  if (request.model !== modelName) throw modelNotFound(request.model)
  if (request.top_logprobs != null && request.logprobs !== true)
    throw badRequest('top_logprobs needs logprobs: true', 'top_logprobs')
  const limit = request.max_completion_tokens ?? request.max_tokens
  return {
    turns: request.messages.map((one) => readTurn(one)),
    ...readTools(request),
    answerSchema: readAnswerSchema(request),
    maxTokens: limit ?? undefined,
    sampling: {
      temperature: request.temperature ?? 0,
      topP: request.top_p ?? 1,
      seed: request.seed == null ? randomInt(2 ** 32) : request.seed >>> 0,
      frequencyPenalty: request.frequency_penalty ?? 0,
      presencePenalty: request.presence_penalty ?? 0,
    },
    topLogprobs: request.logprobs === true ? (request.top_logprobs ?? 0) : undefined,
    stop: [request.stop ?? []].flat(),
    stream: request.stream ?? false,
    streamUsage: request.stream_options?.include_usage ?? false,
  }
}

function readTurn(one: Body['messages'][number]): Turn {
  const text = readText(one.content)
  if (one.role === 'developer') return { role: 'system', text }
  if (one.role !== 'assistant') return { role: one.role, text }
  return { role: 'assistant', text, calls: (one.tool_calls ?? []).map((call) => call.function) }
}

function readText(value: Body['messages'][number]['content']): string {
  if (typeof value === 'string') return value
  return (value ?? []).map((part) => part.text).join('\n')
}

function readTools(request: Body): Pick<GenerationRequest, 'tools' | 'toolChoice'> {
  const tools: Tool[] = (request.tools ?? []).map(({ function: { name, description, parameters } }) => ({
    name,
    description: description ?? '',
    // Arguments are an object, whatever else a schema would take.
    parameters: { ...parameters, type: 'object' },
  }))
  const choice = request.tool_choice ?? (tools.length === 0 ? 'none' : 'auto')
  if (choice === 'none') return { tools, toolChoice: { mode: 'none' } }
  if (tools.length === 0) throw badRequest('tool_choice needs tools', 'tool_choice')
  if (typeof choice === 'string') return { tools, toolChoice: { mode: choice } }
  const names = (choice.type === 'function' ? [choice] : choice.allowed_tools.tools).map((one) => one.function.name)
  const allowed = tools.filter((one) => names.includes(one.name))
  if (allowed.length < new Set(names).size)
    throw badRequest('tool_choice names a tool that is not among tools', 'tool_choice')
  if (choice.type === 'allowed_tools') return { tools: allowed, toolChoice: { mode: choice.allowed_tools.mode } }
  return { tools, toolChoice: { mode: 'required', name: choice.function.name } }
}

function readAnswerSchema(request: Body): JsonSchema | undefined {
  const format = request.response_format
  if (format == null || format.type === 'text') return undefined
  return format.type === 'json_object' ? { type: 'object' } : format.json_schema.schema
}

/** Path and rule of the first problem; the value itself may be a prompt and is not repeated. */
function refuse(error: z.ZodError): Error {
  let issue = error.issues[0]
  const path: PropertyKey[] = []
  // Of a union the branch that came furthest tells most.
  while (issue !== undefined) {
    path.push(...issue.path)
    if (issue.code !== 'invalid_union') break
    const branches = issue.errors.map((branch) => branch[0]).filter((one) => one !== undefined)
    if (branches.length === 0) break
    issue = branches.reduce((best, one) => (one.path.length > best.path.length ? one : best))
  }
  if (issue?.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys
    const param = [...path, key].join('.')
    return badRequest(`Unrecognized request argument supplied: ${param}`, param, 'unknown_parameter')
  }
  const param = path.join('.')
  const missing = issue?.code === 'invalid_type' && issue.message.endsWith('received undefined')
  if (missing) return badRequest(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter')
  return badRequest(`Invalid value for '${param}': ${issue?.message ?? 'not valid'}`, param, 'invalid_value')
}
