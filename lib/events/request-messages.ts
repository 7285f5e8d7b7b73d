import type { ChatMessage } from './chat-request.ts'
import {
  keepKnown,
  malformed,
  objectAt,
  optionalFields,
  stringAt,
  unsupported,
  type FieldRule,
  type JsonObject,
} from './request-check.ts'

const instructionFields = new Set(['role', 'content', 'name'])
const assistantFields = new Set(['role', 'content', 'refusal', 'tool_calls', 'name'])
const toolFields = new Set(['role', 'content', 'tool_call_id'])
const callFields = new Set(['id', 'type', 'function'])
const calledFields = new Set(['name', 'arguments'])

/** The messages, checked and rid of what is not known. Throws as validateRequest. */
export function checkMessages(value: unknown, rule: FieldRule): ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0)
    throw malformed('messages', 'must be an array of at least one message')
  for (let i = 0; i < value.length; i++) checkMessage(value[i], rule, `messages[${i}]`)
  return value as ChatMessage[]
}

function checkMessage(value: unknown, rule: FieldRule, path: string): void {
  const message = objectAt(value, path)
  switch (message['role']) {
    case 'system':
    case 'developer':
      keepKnown(rule, message, instructionFields, path)
      optionalFields(message, path, { name: 'string' })
      return checkContent(message['content'], rule, `${path}.content`, ['text'])
    case 'user':
      keepKnown(rule, message, instructionFields, path)
      optionalFields(message, path, { name: 'string' })
      return checkContent(message['content'], rule, `${path}.content`, ['text', 'image_url'])
    case 'assistant':
      return checkAssistant(message, rule, path)
    case 'tool':
      keepKnown(rule, message, toolFields, path)
      if (typeof message['tool_call_id'] !== 'string' || message['tool_call_id'] === '')
        throw malformed(`${path}.tool_call_id`, 'must name the call that the message answers')
      return checkContent(message['content'], rule, `${path}.content`, ['text'])
    case 'function':
      throw unsupported(`${path}.role`, 'function is deprecated: use the role tool with tool_call_id')
    default:
      throw malformed(`${path}.role`, 'must be system, developer, user, assistant or tool')
  }
}

function checkAssistant(message: JsonObject, rule: FieldRule, path: string): void {
  keepKnown(rule, message, assistantFields, path)
  optionalFields(message, path, { name: 'string', refusal: 'string' })
  const { content, tool_calls: calls } = message
  if (calls === null || (Array.isArray(calls) && calls.length === 0)) delete message['tool_calls']
  else if (calls !== undefined) checkCalls(calls, rule, `${path}.tool_calls`)
  if (content !== undefined && content !== null)
    return checkContent(content, rule, `${path}.content`, ['text', 'refusal'])
  if (message['tool_calls'] === undefined && message['refusal'] === undefined)
    throw malformed(path, 'must have content, tool_calls or refusal')
}

function checkCalls(value: unknown, rule: FieldRule, path: string): void {
  if (!Array.isArray(value)) throw malformed(path, 'must be an array')
  for (let i = 0; i < value.length; i++) {
    const at = `${path}[${i}]`
    const call = objectAt(value[i], at)
    if (call['type'] !== 'function') throw unsupported(`${at}.type`, 'must be function')
    keepKnown(rule, call, callFields, at)
    if (typeof call['id'] !== 'string' || call['id'] === '')
      throw malformed(`${at}.id`, 'must be a string of at least one character')
    const called = objectAt(call['function'], `${at}.function`)
    keepKnown(rule, called, calledFields, `${at}.function`)
    // A model may have called what was never offered, with arguments that are no JSON: that is for the router to read.
    if (stringAt(called['name'], `${at}.function.name`) === '')
      throw malformed(`${at}.function.name`, 'must not be empty')
    stringAt(called['arguments'], `${at}.function.arguments`)
  }
}

type PartType = 'text' | 'refusal' | 'image_url'

const partFields: Record<PartType, ReadonlySet<string>> = {
  text: new Set(['type', 'text']),
  refusal: new Set(['type', 'refusal']),
  image_url: new Set(['type', 'image_url']),
}
const imageFields = new Set(['url', 'detail'])
const imageDetails: readonly unknown[] = ['auto', 'low', 'high']
const imageUrl = /^data:image\/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]/

function checkContent(content: unknown, rule: FieldRule, path: string, allowed: readonly PartType[]): void {
  if (typeof content === 'string') return
  if (!Array.isArray(content) || content.length === 0) throw malformed(path, 'must be a string or an array of parts')
  for (let i = 0; i < content.length; i++) {
    const at = `${path}[${i}]`
    const part = objectAt(content[i], at)
    const type = allowed.find((type) => type === part['type'])
    if (type === undefined) throw unsupported(`${at}.type`, `must be ${allowed.join(' or ')} in a message of this role`)
    keepKnown(rule, part, partFields[type], at)
    if (type === 'image_url') checkImage(part['image_url'], rule, `${at}.image_url`)
    else stringAt(part[type], `${at}.${type}`)
  }
}

function checkImage(value: unknown, rule: FieldRule, path: string): void {
  const image = objectAt(value, path)
  keepKnown(rule, image, imageFields, path)
  if (!imageUrl.test(stringAt(image['url'], `${path}.url`)))
    throw unsupported(
      `${path}.url`,
      'must be a data URL (data:image/png;base64,… or jpeg, webp, gif): nothing is fetched',
    )
  if (image['detail'] === null) delete image['detail']
  else if (image['detail'] !== undefined && !imageDetails.includes(image['detail']))
    throw malformed(`${path}.detail`, 'must be auto, low or high')
}
