import {
  complaint,
  crash,
  errorLine,
  exceptionLine,
  exitCode,
  httpFailure,
  labelled,
  logLine,
  program,
  programEnd,
  saysNone,
  sentence,
} from './failure-patterns.ts'

/** A failure says so in its first or last lines. All patterns run on slices of these lengths: the cost has a bound. */
const headChars = 300
const tailChars = 2_000

/** "Cannot find …" opens an error message of a line or two, but also documents: of longer texts it says nothing. */
const shortChars = 600
const sentenceChars = 160

const colours = new RegExp(`${String.fromCodePoint(27)}\\[[\\d;]{0,12}m`, 'g')

/** `❌ `, `[`, `**`, `> `, `<`, and an apology: what stands before the first word that tells. */
const decoration = /^[^\p{L}\p{N}]{0,12}(?:(?:sorry|oops)\b\W{1,3})?/iu

/** True where a text of no JSON form opens, or ends, as the report of a failure does. */
export function isFailureText(text: string): boolean {
  const head = text.trimStart().slice(0, headChars).replace(colours, '').replace(decoration, '')
  const end = head.indexOf('\n')
  const firstLine = (end < 0 ? head : head.slice(0, end)).trimEnd()
  if (opensAsFailure(firstLine, head)) return !isLog(text)
  if (text.length <= shortChars && complaint.test(firstLine)) return !isLog(text)
  const tail = text.slice(-tailChars).replace(colours, '').trimEnd()
  return (text.length <= sentenceChars && sentence.test(tail.trimStart())) || endsAsFailure(tail)
}

/** As an exception's class is written. */
export function isExceptionName(text: string): boolean {
  return text.length <= 130 && exceptionLine.test(text)
}

function opensAsFailure(line: string, head: string): boolean {
  const label = exceptionLine.exec(line) ?? labelled.exec(line)
  if (label) return !saysNone.test(line.slice(label[0].length))
  return crash.test(line) || httpFailure.test(head) || exitCode.test(line) || program.test(head)
}

function endsAsFailure(tail: string): boolean {
  const lastLine = tail.slice(tail.lastIndexOf('\n') + 1)
  const bare = lastLine.slice(0, headChars).replace(decoration, '')
  if (exitCode.test(bare) || crash.test(bare) || programEnd.test(bare)) return true
  // Output, then the traceback that ended it. One in the midst of a text is quoted.
  return tail.includes('Traceback (most recent call last):') && exceptionLine.test(bare)
}

/** What a tool shows of another's errors is its answer. */
function isLog(text: string): boolean {
  let logLines = 0
  let errorLines = 0
  for (const line of text.slice(0, tailChars).split('\n', 12)) {
    if (logLine.test(line)) logLines++
    else if (errorLine.test(line)) errorLines++
  }
  return logLines >= 2 || (logLines === 1 && errorLines >= 1)
}
