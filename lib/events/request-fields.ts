import { ShuntError } from '#lib/errors'
import type { Policy } from '#lib/policy/schema'
import { reasoningEfforts, type ChatRequest } from './chat-request.ts'
import { isObject, named } from './from-json.ts'
import { parseJson } from './parse-json.ts'
import { malformed, stripOrRefuse, unsupported, type FieldRule, type JsonObject } from './request-check.ts'
import { checkMessages } from './request-messages.ts'
import { checkResponseFormat, checkToolChoice, checkTools } from './request-tools.ts'

export interface ValidRequest {
  request: ChatRequest
  /** Paths of fields that were taken out, as the policy allows. */
  stripped: string[]
}

/**
 * The step's request, parsed and held against the allow-list: what comes out is all that a model is ever sent.
 * Throws SHUNT_EVENT_INVALID where it does not have OpenAI's form, SHUNT_REQUEST_UNSUPPORTED where it asks for what
 * Shunt does not do; the message has the path of the field and never its value.
 */
export function validateRequest(text: string, policy: Pick<Policy, 'request'>): ValidRequest {
  const body = parseJson(text, 'request')
  if (!isObject(body)) throw new ShuntError('SHUNT_EVENT_INVALID', 'request must be a JSON object')
  const rule: FieldRule = { unsupportedFields: policy.request.unsupportedFields, stripped: [] }
  const request: JsonObject = {}
  for (const key of Object.keys(body)) {
    const value = body[key]
    // null is the default, in OpenAI's reading.
    if (value === null) continue
    const check = checks.get(key)
    if (check) request[key] = check(value, rule)
    else if (!saysNothing(key, value)) stripOrRefuse(rule, named(key), `is not supported${hints.get(key) ?? ''}`)
  }
  request['messages'] ??= checkMessages(undefined, rule)
  checkTogether(request, rule)
  return { request: request as unknown as ChatRequest, stripped: rule.stripped }
}

type Check = (value: unknown, rule: FieldRule) => unknown

/** The allow-list. test/lib/events/request-fields has a fixture of each. */
const checks = new Map<string, Check>([
  ['model', text('model', 1, 128)],
  ['messages', checkMessages],
  ['tools', checkTools],
  // Read beside the tools, in checkTogether.
  ['tool_choice', (value) => value],
  ['parallel_tool_calls', flag('parallel_tool_calls')],
  ['response_format', checkResponseFormat],
  ['max_tokens', whole('max_tokens', 1, 2 ** 31 - 1)],
  ['max_completion_tokens', whole('max_completion_tokens', 1, 2 ** 31 - 1)],
  ['temperature', between('temperature', 0, 2)],
  ['top_p', between('top_p', 0, 1)],
  ['presence_penalty', between('presence_penalty', -2, 2)],
  ['frequency_penalty', between('frequency_penalty', -2, 2)],
  ['stop', checkStop],
  ['seed', whole('seed', -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)],
  ['logprobs', flag('logprobs')],
  ['top_logprobs', whole('top_logprobs', 0, 20)],
  ['reasoning_effort', oneOf('reasoning_effort', reasoningEfforts)],
])

/** Names of the fields that a request may have, beside those that say nothing. */
export const requestFields: readonly string[] = [...checks.keys()]

const hints = new Map([
  ['functions', ': use tools'],
  ['function_call', ': use tool_choice'],
  ['logit_bias', ': token ids mean other tokens in each model'],
  ['metadata', ': use the metadata of the step'],
  ['stream', ': a step has one result'],
])

/** Fields that OpenAI's clients send with the value that Shunt has anyway. Any other n would need n answers. */
function saysNothing(key: string, value: unknown): boolean {
  if (key === 'n' && value !== 1) throw unsupported('n', 'must be 1: publish a step for each answer')
  return key === 'n' || ((key === 'stream' || key === 'store') && value === false)
}

/** What only shows when all fields are there. */
function checkTogether(request: JsonObject, rule: FieldRule): void {
  const tools = request['tools'] as ChatRequest['tools']
  if (!tools) {
    delete request['tools']
    delete request['parallel_tool_calls']
  }
  if ('tool_choice' in request) {
    const choice = checkToolChoice(request['tool_choice'], rule, tools)
    if (choice === undefined) delete request['tool_choice']
    else request['tool_choice'] = choice
  }
  if ('top_logprobs' in request && request['logprobs'] !== true) throw malformed('top_logprobs', 'needs logprobs: true')
}

function text(path: string, minLength: number, maxLength: number): Check {
  return (value) => {
    if (typeof value === 'string' && value.length >= minLength && value.length <= maxLength) return value
    throw malformed(path, `must be a string of ${minLength} to ${maxLength} characters`)
  }
}

function flag(path: string): Check {
  return (value) => {
    if (typeof value === 'boolean') return value
    throw malformed(path, 'must be true or false')
  }
}

function between(path: string, min: number, max: number): Check {
  return (value) => {
    if (typeof value === 'number' && value >= min && value <= max) return value
    throw malformed(path, `must be a number from ${min} to ${max}`)
  }
}

function whole(path: string, min: number, max: number): Check {
  return (value) => {
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value
    throw malformed(path, `must be a whole number from ${min} to ${max}`)
  }
}

function oneOf(path: string, values: readonly unknown[]): Check {
  return (value) => {
    if (values.includes(value)) return value
    throw malformed(path, `must be one of ${values.join(', ')}`)
  }
}

function checkStop(value: unknown): unknown {
  const stops: unknown[] = Array.isArray(value) ? value : [value]
  if (stops.length === 0 || stops.length > 4 || stops.some((stop) => typeof stop !== 'string' || stop === ''))
    throw malformed('stop', 'must be a string or 1 to 4 of them, none empty')
  return value
}
