import type { ChatRequest, ChatResponseFormat, ChatTool } from './chat-request.ts'
import {
  keepKnown,
  malformed,
  nameAt,
  objectAt,
  optionalFields,
  stripOrRefuse,
  unsupported,
  type FieldRule,
} from './request-check.ts'

/** More than any provider takes. */
const maxTools = 128

const toolFields = new Set(['type', 'function'])
const functionFields = new Set(['name', 'description', 'parameters', 'strict'])
const optionalOfFunction = { description: 'string', parameters: 'object', strict: 'boolean' } as const

/** Function tools alone; hosted and custom ones are stripped or refused. undefined where none is left. */
export function checkTools(value: unknown, rule: FieldRule): ChatTool[] | undefined {
  if (!Array.isArray(value)) throw malformed('tools', 'must be an array')
  if (value.length > maxTools) throw malformed('tools', `must be ${maxTools} at most`)
  const names = new Set<string>()
  const tools: ChatTool[] = []
  for (let i = 0; i < value.length; i++) {
    const path = `tools[${i}]`
    const tool = objectAt(value[i], path)
    if (tool['type'] !== 'function') {
      stripOrRefuse(rule, path, 'is not a tool of type function: hosted and custom tools are not supported')
      continue
    }
    keepKnown(rule, tool, toolFields, path)
    const at = `${path}.function`
    const definition = objectAt(tool['function'], at)
    keepKnown(rule, definition, functionFields, at)
    const name = nameAt(definition['name'], `${at}.name`)
    if (names.has(name))
      throw malformed(`${at}.name`, `${name} is the name of an earlier tool: a call could not tell them apart`)
    names.add(name)
    optionalFields(definition, at, optionalOfFunction)
    tools.push(tool as unknown as ChatTool)
  }
  return tools.length > 0 ? tools : undefined
}

const choiceFields = new Set(['type', 'function'])
const chosenFields = new Set(['name'])

/** undefined where there are no tools and none is demanded. */
export function checkToolChoice(
  value: unknown,
  rule: FieldRule,
  tools: readonly ChatTool[] | undefined,
): ChatRequest['tool_choice'] | undefined {
  if (value === 'none' || value === 'auto') return tools && value
  if (value === 'required') {
    if (!tools) throw malformed('tool_choice', 'is required, but no tool is offered')
    return value
  }
  const choice = objectAt(value, 'tool_choice')
  // To strip a narrower choice would offer the model more than the caller meant to.
  if (choice['type'] !== 'function')
    throw unsupported('tool_choice', 'must be none, auto, required or {type: function, function: {name}}')
  keepKnown(rule, choice, choiceFields, 'tool_choice')
  const chosen = objectAt(choice['function'], 'tool_choice.function')
  keepKnown(rule, chosen, chosenFields, 'tool_choice.function')
  const name = nameAt(chosen['name'], 'tool_choice.function.name')
  if (!tools?.some((tool) => tool.function.name === name))
    throw malformed('tool_choice.function.name', `${name} is no tool of the request`)
  return { type: 'function', function: { name } }
}

const plainFormatFields = new Set(['type'])
const schemaFormatFields = new Set(['type', 'json_schema'])
const jsonSchemaFields = new Set(['name', 'description', 'schema', 'strict'])
const optionalOfSchema = { description: 'string', schema: 'object', strict: 'boolean' } as const

export function checkResponseFormat(value: unknown, rule: FieldRule): ChatResponseFormat {
  const format = objectAt(value, 'response_format')
  switch (format['type']) {
    case 'text':
    case 'json_object':
      keepKnown(rule, format, plainFormatFields, 'response_format')
      break
    case 'json_schema': {
      keepKnown(rule, format, schemaFormatFields, 'response_format')
      const schema = objectAt(format['json_schema'], 'response_format.json_schema')
      keepKnown(rule, schema, jsonSchemaFields, 'response_format.json_schema')
      nameAt(schema['name'], 'response_format.json_schema.name')
      optionalFields(schema, 'response_format.json_schema', optionalOfSchema)
      break
    }
    default:
      throw unsupported('response_format.type', 'must be text, json_object or json_schema')
  }
  return format as unknown as ChatResponseFormat
}
