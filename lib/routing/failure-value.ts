import { isExceptionName, isFailureText } from './failure-text.ts'

/** Reads what a result wraps, which may again be JSON in a text. It bounds the depth. */
export type InnerReader = (inner: unknown) => boolean

type Fields = Map<string, unknown>

/** Keys that tell about a failure or a call, lower case and without `_` and `-`. Any other holds the answer's data. */
const tellingKeys = new Set(
  'message msg reason detail details type code errorcode errors warnings hint suggestion help instance requestid traceid correlationid timestamp time stack stacktrace cause retryafter retryable status statuscode success ok tool toolname toolcallid meta iserror state outcome stdout stderr exitcode jsonrpc'.split(
    ' ',
  ),
)

/** Keys around a result that came from elsewhere. */
const wrapperKeys = [
  'result',
  'output',
  'content',
  'response',
  'data',
  'body',
  'text',
  'value',
  'toolresult',
  'structuredcontent',
  'metadata',
]

const presentKeys = [
  'error',
  'exception',
  'fault',
  'errormessage',
  'errormsg',
  'errmsg',
  'errordescription',
  'faultstring',
  'traceback',
]
const successKeys = ['success', 'issuccess', 'succeeded', 'ok']
const exitKeys = ['exitcode', 'exitstatus', 'returncode']
const httpKeys = ['statuscode', 'httpstatus', 'httpstatuscode', 'httpcode', 'cod']

const failureWord =
  /^(?:error|errored|err|fail|failed|failure|denied|forbidden|timeout|timed[_ ]out|exception|not[_ ]found|request[_ ]denied|invalid[_ ]request|unauthori[sz]ed|internal[_ ]error)$/i
const failureCode = /error|invalid|not_?found|denied|unauthori[sz]ed|forbidden|exception|fail|time_?out/i
const noneWord = /^\s*(?:|none|null|nil|false|no|no errors?|ok|success|n\/a|undefined|0)\s*$/i

/**
 * True where a JSON value reports a failure: MCP's `isError` and its content parts, an `error`, a failing status, HTTP
 * or exit code. A record whose own status is `failed` is data: then a `status` counts only beside nothing but an
 * explanation. A list is one where all of it is.
 */
export function isFailureValue(value: unknown, readInner: InnerReader): boolean {
  if (Array.isArray(value)) return value.length > 0 && value.every((item) => isFailureItem(item, readInner))
  return typeof value === 'object' && value !== null && isFailureObject(fieldsOf(value), readInner)
}

function isFailureItem(item: unknown, readInner: InnerReader): boolean {
  // A word may be a tag or a key; a failure has more to say.
  if (typeof item === 'string') return item.includes(' ') && isFailureText(item)
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return false
  const fields = fieldsOf(item)
  const text = fields.get('text')
  if (fields.get('type') === 'text' && typeof text === 'string') return readInner(text)
  return !holdsData(fields) && isFailureObject(fields, readInner)
}

function isFailureObject(fields: Fields, readInner: InnerReader): boolean {
  if (isTrue(fields.get('iserror')) || isTrue(fields.get('haserror'))) return true
  if (successKeys.some((key) => isFalse(fields.get(key)))) return true
  if (presentKeys.some((key) => isPresent(fields.get(key), fields))) return true
  if (fields.has('message') && (isException(fields.get('name')) || isException(fields.get('type')))) return true
  if (exitKeys.some((key) => isExitCode(fields.get(key)))) return true
  if (httpKeys.some((key) => isHttpFailure(fields.get(key)))) return true
  const status = fields.get('status')
  if (isHttpFailure(status) || (typeof status === 'string' && /^error(?:ed)?$/i.test(status))) return true
  const errors = fields.get('errors')
  if (typeof errors !== 'number' && isFilled(errors) && !fields.has('warnings') && !isFilled(fields.get('data')))
    return true
  return !holdsData(fields) && explainsFailure(fields, readInner)
}

/** Of an object that holds nothing but an explanation and what it wraps. */
function explainsFailure(fields: Fields, readInner: InnerReader): boolean {
  for (const key of ['status', 'state', 'outcome', 'result', 'type']) {
    const word = fields.get(key)
    if (typeof word === 'string' && failureWord.test(word)) return true
  }
  const message = fields.get('message') ?? fields.get('msg')
  const detail = fields.get('detail')
  if (typeof message === 'string' && (isFailureCode(fields.get('code')) || isFailureText(message))) return true
  // Django's and FastAPI's errors have this one member.
  if (typeof detail === 'string' ? fields.size === 1 || isFailureText(detail) : isFieldErrors(detail)) return true
  const [stdout, stderr] = [fields.get('stdout'), fields.get('stderr')]
  if (typeof stderr === 'string' && !isFilled(stdout) && isFailureText(stderr)) return true
  return wrapperKeys.some((key) => readInner(fields.get(key)))
}

function fieldsOf(value: object): Fields {
  return new Map(Object.entries(value).map(([key, member]) => [key.toLowerCase().replaceAll(/[_-]/g, ''), member]))
}

function holdsData(fields: Fields): boolean {
  for (const [key, value] of fields) {
    if (!isFilled(value) || tellingKeys.has(key) || wrapperKeys.includes(key) || presentKeys.includes(key)) continue
    if (key !== 'id' || !fields.has('jsonrpc')) return true
  }
  return false
}

/** `"error": null`, `""`, `"none"`, `false` and `[]` say that there was none; a number may be a measured one. */
function isPresent(value: unknown, fields: Fields): boolean {
  if (typeof value === 'string') return !noneWord.test(value.slice(0, 40))
  if (typeof value === 'number') return value !== 0 && Number.isInteger(value) && fields.has('message')
  return isFilled(value)
}

function isFilled(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return typeof value === 'number' || Boolean(value)
}

/** FastAPI's and others': a list of what is wrong, each with the place and a message. */
function isFieldErrors(detail: unknown): boolean {
  const first: unknown = Array.isArray(detail) ? detail[0] : undefined
  return typeof first === 'object' && first !== null && 'loc' in first && 'msg' in first
}

const isException = (value: unknown): boolean => typeof value === 'string' && isExceptionName(value)
const isTrue = (value: unknown): boolean => value === true || value === 'true'
const isFalse = (value: unknown): boolean => value === false || value === 'false'

function numberOf(value: unknown): number {
  if (typeof value === 'string' && /^-?\d{1,10}$/.test(value)) return Number(value)
  return typeof value === 'number' ? value : Number.NaN
}

function isExitCode(value: unknown): boolean {
  const code = numberOf(value)
  return Number.isInteger(code) && code !== 0
}

function isHttpFailure(value: unknown): boolean {
  const code = numberOf(value)
  return code >= 400 && code < 600
}

/** An HTTP status, JSON-RPC's negative numbers, or a name that says so. */
function isFailureCode(value: unknown): boolean {
  return isHttpFailure(value) || numberOf(value) < 0 || (typeof value === 'string' && failureCode.test(value))
}
