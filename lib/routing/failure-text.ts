/** A failure says so in its first or last lines. All patterns run on slices of these lengths: the cost has a bound. */
const headChars = 300
const tailChars = 2_000

/** "Cannot find …" opens an error message of a line or two, but also documents: of longer texts it says nothing. */
const shortChars = 600
const sentenceChars = 160

const colours = new RegExp(`${String.fromCodePoint(27)}\\[[\\d;]{0,12}m`, 'g')

/** `❌ `, `[`, `**`, `> `, `<`: what stands before the first word. */
const decoration = /^[^\p{L}\p{N}]{1,12}/u

/** What kind of error an "… error:" may be. A mean squared error is none of these. */
const kind =
  '(?:an?|the|api|app|application|argument|assertion|auth|authentication|authorization|build|call|client|command|compilation|compile|connection|critical|database|db|execution|exec|fatal|function|http|https|i/o|input|internal|invalid|io|json|mcp|network|operation|os|output|parameter|parse|parser|parsing|permission|protocol|query|remote|request|rpc|runtime|schema|script|server|service|shell|sql|syntax|system|timeout|tool|tool_use|type|uncaught|unexpected|unhandled|unknown|upstream|usage|validation|value)'

/** `Error: …`, `[ERROR] …`, `Internal server error!`, `<tool_use_error>`, `error[E0382]: …`, `Error (404): …` */
const labelled = new RegExp(
  `^(?:${kind}[ _-]){0,4}(?:error|err|exception|failure|fatal|panic)\\s{0,3}(?:[([][\\w .#:/-]{1,40}[)\\]]|[45]\\d\\d|-\\d{1,6})?\\s{0,3}(?:[:!>\\]]|- |\\.?$)`,
  'i',
)

/** `ValueError: …`, `java.lang.IllegalStateException: …`; with a capital, or a book on terror were one. */
const exceptionLine = /^[\w.$]{0,120}(?:Error|Exception|_error|_exception|_ERROR)\b\s{0,3}(?:[:(>\]]|$)/

/** Behind a label: there was none, or a measured error. A status code is neither. */
const saysNone =
  /^[\s=]{0,4}(?![45]\d\d\b)(?:none|null|nil|false|no|ok|n\/a|undefined|\[\s?\]|\{\s?\}|[-+±]?\d{0,15}\.?\d{1,15}(?:e[-+]?\d{1,3})?\s?%?)\s{0,4}(?:$|[,;.|(±])/i

const crash =
  /^(?:traceback \(most recent call last\)|exception in thread|(?:uncaught|unhandled) (?:\w{1,40}(?:error|exception)|error|exception|promise|rejection)\b|thread '[^'\n]{0,60}' panicked|segmentation fault|(?:aborted|killed)(?: \(core dumped\))?$)/i

const reason =
  '(?:bad request|unauthori[sz]ed|payment required|forbidden|not found|method not allowed|not acceptable|request time-?out|conflict|gone|payload too large|unsupported media type|unprocessable (?:entity|content)|too many requests|internal server error|not implemented|bad gateway|service unavailable|gateway time-?out|(?:client|server) error)'

/** `HTTP/1.1 404 …`, `Status code: 500`, `<Response [503]>`, `404 Not Found`, and a page or document of that title. */
const httpFailure = new RegExp(
  `^(?:(?:https?(?:/[\\d.]{1,4})?|(?:https? )?(?:status|response|error)(?: (?:status|code)){0,2})\\W{0,4}[45]\\d\\d\\b(?! \\w{0,20} ?(?:errors|responses|requests|times|items)\\b)|[45]\\d\\d\\W{1,3}${reason}\\b|(?:doctype )?html[^]{0,200}?<title>\\s{0,5}[45]\\d\\d\\b|xml [^>]{0,100}>\\s{0,5}<(?:error|exception|fault)\\b)`,
  'i',
)

/** `Exit code: 1`, `Command failed with exit code 127`, `exit status 2`, `<returncode>1`. */
const exitCode =
  /^(?:(?:the )?(?:command|process|script|program|shell|subprocess|tool|task|execution|job)\b[^\n]{0,100}? )?(?:has )?(?:exit(?:ed)?|return(?:ed)?|terminated|finished|failed|completed)(?:[ _-]?(?:with|an?|non-zero|error|exit|return)){0,4}[ _]?(?:code|status)\W{0,4}-?[1-9]\d{0,9}\b/i

/** What single programs write before a failure. */
const program =
  /^(?:curl: \(\d{1,3}\)|npm (?:err!|error)|mcp error\b|E: unable to|[^\s:(]{1,150}\.(?!log\b|txt\b|md\b)[a-z]{1,5}(?::\d{1,6}(?::\d{1,5})?:|\(\d{1,6},\d{1,5}\):) (?:fatal )?error\b)/i

/** And after one. */
const programEnd = /^(?:make(?:\[\d{1,3}\])?: \*\*\*|node\.js v\d\d\.[\d.]{1,9}$)/i

const stop = '(?=\\s{0,3}(?:$|[:.,!;–—-])(?!\\s?\\d))'

/** Openings of a short message. */
const complaint = new RegExp(
  `^(?:(?:failed|failure|denied|forbidden|unauthori[sz]ed|time-?out|timed out|unsupported|rejected)${stop}|(?:failed to|could(?:n't| not)|cannot|can ?not|can't|(?:is |was )?(?:unable|not able) to|permission denied|access (?:is |was )?denied|no such|not found|not (?:authori[sz]ed|supported|allowed|permitted|implemented)\\b|no (?:tool|function|command|method|endpoint|route)s? (?:named|called|found|with)|(?:unknown|unrecogni[sz]ed|unsupported|invalid|illegal|malformed|missing|bad)\\b|time-?out (?:after|exceeded|expired|while|waiting|error|of)|timed out|connection (?:refused|reset|timed out|failed|closed|aborted)|(?:api )?rate limit(?: has been| was)? (?:exceeded|reached|hit)|too many requests|quota exceeded|insufficient (?:\\w{1,20} )?(?:funds|balance|permissions?|privileges?|credits?|quota|scope)|something went wrong|service unavailable|there was an? (?:\\w{1,20} ){0,3}(?:error|problem)|(?:an?|the) (?:\\w{1,20} ){0,3}(?:error|exception) (?:has |was )?(?:occurr?ed|happened|raised|thrown)|(?:${kind} ){0,4}(?:error|exception) (?:while|when|during|occurr?ed|calling|connecting|creating|deleting|executing|fetching|finding|getting|invoking|loading|opening|parsing|performing|processing|querying|reading|retrieving|running|searching|sending|updating|writing|in (?:tool|function|line|command)|code \\d|at line|on line|\\d)|(?:[\\w.'\`"-]{1,60} ){0,3}(?:request|operation|command|execution|call|tool|validation|query|build|job|transaction|login|upload|download|connection|authentication|assertion|function)(?: [\\w.'\`"-]{1,60})? (?:has )?(?:failed|timed out|was (?:rejected|denied|refused|aborted))|(?:status|result)\\W{1,3}error\\b|(?:success|ok)\\W{1,3}false\\b|[^.\\n]{0,60}\\bstatus(?: code)?\\W{0,3}[45]\\d\\d\\b))(?!\\s{0,3}[:=]\\s{0,3}(?:\\d|none\\b|\\[\\]))`,
  'i',
)

/** How a message of one sentence ends: `User 12 not found`, `sh: 1: foo: not found`. "No flights found" is an answer. */
const sentenceEnd =
  /^(?!(?:no|0|zero) )[^\n]{1,120}(?:\bnot found|\b(?:does|do)(?:n't| not) exist|no such file or directory|permission denied|access denied|is not (?:an? valid [\w ]{1,40}|an? recogni[sz]ed [\w ]{1,40}|defined)|is an? required (?:property|argument|parameter|field)|timed out|connection refused)[\s.!"'`)\]]{0,4}$/i

/** Lines of a log: what a tool shows of another's errors is its answer. */
const logLine = /^\W{0,3}(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|(?:trace|debug|info|notice|warn(?:ing)?)\b)/i
const errorLine = /^\W{0,3}(?:error|err|fatal|critical)\b/i

/** True where a text of no JSON form opens, or ends, as the report of a failure does. */
export function isFailureText(text: string): boolean {
  const head = text.trimStart().slice(0, headChars).replace(colours, '').replace(decoration, '')
  const firstLine = lineAt(head, 0)
  const short = text.length <= shortChars
  if (opensAsFailure(firstLine, head)) return !isLog(text)
  if (short && complaint.test(firstLine)) return !isLog(text)
  const tail = text.slice(-tailChars).replace(colours, '').trimEnd()
  if (text.length <= sentenceChars && sentenceEnd.test(tail.trimStart())) return true
  return endsAsFailure(tail)
}

/** As an exception's class is written. */
export function isExceptionName(text: string): boolean {
  return text.length <= 130 && exceptionLine.test(text)
}

function opensAsFailure(line: string, head: string): boolean {
  const label = exceptionLine.exec(line) ?? labelled.exec(line)
  if (label) return !saysNone.test(line.slice(label[0].length))
  return crash.test(line) || httpFailure.test(head) || exitCode.test(line) || program.test(line)
}

function endsAsFailure(tail: string): boolean {
  const lastLine = tail.slice(tail.lastIndexOf('\n') + 1)
  const bare = lastLine.slice(0, headChars).replace(decoration, '')
  if (exitCode.test(bare) || crash.test(bare) || programEnd.test(bare)) return true
  // Output, then the traceback that ended it. One in the midst of a text is quoted.
  const traceback = tail.lastIndexOf('Traceback (most recent call last):')
  return traceback >= 0 && exceptionLine.test(bare)
}

function isLog(text: string): boolean {
  const lines = text.slice(0, tailChars).split('\n', 12)
  let logLines = 0
  let errorLines = 0
  for (const line of lines) {
    if (logLine.test(line)) logLines++
    else if (errorLine.test(line)) errorLines++
  }
  return logLines >= 2 || (logLines === 1 && errorLines >= 1)
}

function lineAt(text: string, from: number): string {
  const end = text.indexOf('\n', from)
  return (end < 0 ? text.slice(from) : text.slice(from, end)).trimEnd()
}
