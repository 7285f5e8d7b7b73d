import { z } from 'zod'

/** The form of a Messages request as Anthropic's API checks it, as far as Shunt can send one. */

const textBlock = z.strictObject({ type: z.literal('text'), text: z.string().min(1) })
const imageBlock = z.strictObject({
  type: z.literal('image'),
  source: z.strictObject({
    type: z.literal('base64'),
    media_type: z.enum(['image/png', 'image/jpeg', 'image/gif', 'image/webp']),
    data: z.base64(),
  }),
})
const toolUse = z.strictObject({
  type: z.literal('tool_use'),
  id: z.string().regex(/^[a-zA-Z0-9_-]+$/),
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,200}$/),
  input: z.record(z.string(), z.unknown()),
})
const toolResult = z.strictObject({
  type: z.literal('tool_result'),
  tool_use_id: z.string().regex(/^[a-zA-Z0-9_-]+$/),
  content: z.union([z.string(), z.array(z.union([textBlock, imageBlock]))]).optional(),
  is_error: z.boolean().optional(),
})
const message = z.discriminatedUnion('role', [
  z.strictObject({
    role: z.literal('user'),
    content: z.union([z.string().min(1), z.array(z.union([textBlock, imageBlock, toolResult])).min(1)]),
  }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.union([z.string().min(1), z.array(z.union([textBlock, toolUse])).min(1)]),
  }),
])
const alone = { disable_parallel_tool_use: z.boolean().optional() }

const body = z.strictObject({
  model: z.string().min(1),
  max_tokens: z.int().min(1),
  messages: z.array(message).min(1),
  system: z.union([z.string(), z.array(textBlock).min(1)]).optional(),
  stop_sequences: z.array(z.string().regex(/\S/, 'each stop sequence must contain non-whitespace')).optional(),
  tools: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/),
        description: z.string().optional(),
        input_schema: z.looseObject({ type: z.literal('object') }),
        strict: z.boolean().optional(),
      }),
    )
    .min(1)
    .optional(),
  tool_choice: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('auto'), ...alone }),
      z.strictObject({ type: z.literal('any'), ...alone }),
      z.strictObject({ type: z.literal('tool'), name: z.string(), ...alone }),
      z.strictObject({ type: z.literal('none') }),
    ])
    .optional(),
  output_config: z
    .strictObject({
      format: z.strictObject({ type: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) }),
    })
    .optional(),
  stream: z.literal(false).optional(),
})
export type AnthropicRequest = z.output<typeof body>

/** The request, or Anthropic's words for what is wrong with it. */
export function readAnthropicRequest(value: unknown): AnthropicRequest | { problem: string } {
  const parsed = body.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return { problem: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}` }
  }
  return problemOf(parsed.data) ?? parsed.data
}

function problemOf(request: AnthropicRequest): { problem: string } | undefined {
  if (request.messages[0]?.role !== 'user') return { problem: 'messages: first message must use the "user" role' }
  if (request.tool_choice !== undefined && request.tools === undefined)
    return { problem: 'tool_choice: may only be specified while providing `tools`' }
  const names = request.tools?.map((tool) => tool.name) ?? []
  if (new Set(names).size < names.length) return { problem: 'tools: Tool names must be unique.' }
  return toolTurnProblem(request)
}

/** All results of a turn's calls come first in the very next user message, and none comes without its call. */
function toolTurnProblem(request: AnthropicRequest): { problem: string } | undefined {
  let open: string[] = []
  for (const [index, { content }] of request.messages.entries()) {
    const blocks = typeof content === 'string' ? [] : content
    const results = blocks.flatMap((block) => (block.type === 'tool_result' ? [block.tool_use_id] : []))
    if (results.some((id) => !open.includes(id)))
      return { problem: `messages.${index}: unexpected \`tool_use_id\` found in \`tool_result\` blocks` }
    if (open.some((id) => !results.includes(id)))
      return {
        problem: `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after`,
      }
    if (results.length > 0 && blocks.slice(0, results.length).some((block) => block.type !== 'tool_result'))
      return { problem: `messages.${index}: \`tool_result\` blocks must come first` }
    open = blocks.flatMap((block) => (block.type === 'tool_use' ? [block.id] : []))
    if (new Set(open).size < open.length) return { problem: `messages.${index}: \`tool_use\` ids must be unique` }
  }
  if (open.length === 0) return undefined
  return { problem: 'messages: `tool_use` ids were found without `tool_result` blocks immediately after' }
}
