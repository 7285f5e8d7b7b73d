import { z } from 'zod'

/** The form of a chat-completions request as OpenAI's API checks it, as far as Shunt can send one. */

const textPart = z.strictObject({ type: z.literal('text'), text: z.string() })
const refusalPart = z.strictObject({ type: z.literal('refusal'), refusal: z.string() })
const imagePart = z.strictObject({
  type: z.literal('image_url'),
  image_url: z.strictObject({
    url: z.string().regex(/^(https?:|data:image\/(png|jpeg|gif|webp);base64,)/),
    detail: z.enum(['auto', 'low', 'high']).optional(),
  }),
})
const texts = z.union([z.string(), z.array(textPart).min(1)])
const toolCall = z.strictObject({
  id: z.string().min(1),
  type: z.literal('function'),
  function: z.strictObject({ name: z.string().min(1), arguments: z.string() }),
})
const message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: texts, name: z.string().optional() }),
  z.strictObject({ role: z.literal('developer'), content: texts, name: z.string().optional() }),
  z.strictObject({
    role: z.literal('user'),
    content: z.union([z.string(), z.array(z.union([textPart, imagePart])).min(1)]),
    name: z.string().optional(),
  }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.union([z.string(), z.array(z.union([textPart, refusalPart])).min(1)]).nullish(),
    refusal: z.string().nullish(),
    tool_calls: z.array(toolCall).min(1).optional(),
    name: z.string().optional(),
  }),
  z.strictObject({ role: z.literal('tool'), content: texts, tool_call_id: z.string().min(1) }),
])

const tool = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/),
    description: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
    strict: z.boolean().nullish(),
  }),
})

const responseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/),
      description: z.string().optional(),
      schema: z.record(z.string(), z.unknown()).optional(),
      strict: z.boolean().nullish(),
    }),
  }),
])

const body = z.strictObject({
  model: z.string().min(1),
  messages: z.array(message).min(1),
  tools: z.array(tool).min(1).max(128).optional(),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: z.string() }) }),
    ])
    .optional(),
  parallel_tool_calls: z.boolean().optional(),
  response_format: responseFormat.optional(),
  max_tokens: z.int().min(1).optional(),
  max_completion_tokens: z.int().min(1).optional(),
  temperature: z.number().min(0).max(2).optional(),
  top_p: z.number().min(0).max(1).optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  stop: z.union([z.string(), z.array(z.string()).min(1).max(4)]).optional(),
  seed: z.int().optional(),
  logprobs: z.boolean().optional(),
  top_logprobs: z.int().min(0).max(20).optional(),
  reasoning_effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).optional(),
  stream: z.literal(false).optional(),
  n: z.literal(1).optional(),
})
export type OpenAiRequest = z.output<typeof body>

/** The request, or OpenAI's words for what is wrong with it. */
export function readOpenAiRequest(value: unknown): OpenAiRequest | { problem: string } {
  const parsed = body.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return { problem: `Invalid value at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? ''}` }
  }
  return problemOf(parsed.data) ?? parsed.data
}

function problemOf(request: OpenAiRequest): { problem: string } | undefined {
  if (request.max_tokens !== undefined && request.max_completion_tokens !== undefined)
    return { problem: "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported." }
  if (request.tools === undefined && request.tool_choice !== undefined)
    return { problem: "'tool_choice' is only allowed when 'tools' are specified." }
  if (request.top_logprobs !== undefined && request.logprobs !== true)
    return { problem: "'top_logprobs' is only allowed when 'logprobs' is true." }
  return toolTurnProblem(request)
}

/** Each call is answered by a tool message right after, and no tool message comes without its call. */
function toolTurnProblem(request: OpenAiRequest): { problem: string } | undefined {
  let open = new Set<string>()
  for (const message of request.messages) {
    if (message.role === 'tool') {
      if (!open.delete(message.tool_call_id))
        return {
          problem:
            "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
        }
      continue
    }
    if (open.size > 0) break
    if (message.role === 'assistant') {
      if (message.tool_calls === undefined && message.content == null && message.refusal == null)
        return { problem: "Invalid value for 'content': expected a string, got null." }
      open = new Set(message.tool_calls?.map((call) => call.id))
    }
  }
  if (open.size === 0) return undefined
  return {
    problem: "An assistant message with 'tool_calls' must be followed by tool messages for each 'tool_call_id'.",
  }
}
