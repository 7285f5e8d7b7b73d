/**
 * How tools write of a failure, in English as nearly all do. Every pattern is anchored and every repetition is bounded:
 * they run on slices of at most some hundred characters.
 */

/** A pattern that begins with one of these; upper case or lower. */
function opening(...ways: RegExp[]): RegExp {
  return new RegExp(`^(?:${ways.map((way) => way.source).join('|')})`, 'i')
}

/** What kind of error an "… error:" may be. A mean squared error is none of these. */
const kind =
  '(?:an?|the|api|app|application|argument|assertion|auth|authentication|authorization|build|call|client|command|compilation|compile|connection|critical|database|db|execution|exec|fatal|function|http|https|i/o|input|internal|invalid|invocation|invoke|io|json|mcp|network|operation|os|output|parameter|parse|parser|parsing|permission|protocol|query|remote|request|rpc|runtime|schema|script|server|service|shell|sql|syntax|system|timeout|tool|tool_call|tool_use|type|unexpected|unhandled|unknown|upstream|usage|validation|value)'

/** `Error: …`, `[ERROR] …`, `Internal server error!`, `<tool_use_error>`, `error[E0382]: …`, `Error (404): …` */
export const labelled = new RegExp(
  String.raw`^(?:${kind}[ _-]){0,4}(?:error|err|exception|failure|fatal|panic)\s{0,3}(?:[([][\w .#:/-]{1,40}[)\]]|[45]\d\d|-\d{1,6}|[A-Z]{1,6}\d{1,6})?\s{0,3}(?:[:!>\]]|- |\.?$)`,
  'i',
)

/** `ValueError: …`, `java.lang.IllegalStateException: …`; with a capital, or a book on terror were one. */
export const exceptionLine =
  /^(?:[\w.$]{0,120}(?:Error|Exception|_error|_exception|_ERROR)\b(?: \[\w{1,60}\])?\s{0,3}(?:[:(>\]]|$|[45]\d\d\b)|[\w.]{1,80}\.(?:errors?|exceptions?)\.\w{1,60}:)/

/** Behind a label: there was none, or a measured error. A status code is neither. */
export const saysNone =
  /^[\s=]{0,4}(?![45]\d\d\b)(?:none|null|nil|false|no|ok|n\/a|undefined|\[\s?\]|\{\s?\}|[-+±]?\d{0,15}\.?\d{1,15}(?:e[-+]?\d{1,3})?\s?%?)\s{0,4}(?:$|[,;.|(±])/i

export const crash = opening(
  /traceback \(most recent call last\)/,
  /file "[^"\n]{1,200}", line \d/,
  /exception in thread/,
  /(?:uncaught|unhandled) (?:\(in promise\) )?(?:\w{1,40}(?:error|exception)|error|exception|promise|rejection)\b/,
  /thread '[^'\n]{0,60}' panicked/,
  /segmentation fault/,
  /(?:aborted|killed)(?: \(core dumped\))?$/,
)

const reason =
  /(?:bad request|unauthori[sz]ed|payment required|forbidden|not found|method not allowed|not acceptable|request time-?out|conflict|gone|payload too large|unsupported media type|unprocessable (?:entity|content)|too many requests|internal server error|not implemented|bad gateway|service unavailable|gateway time-?out|(?:client|server) error)/

/** Behind a code: a count of such answers, or what it means. */
const told = /(?! (?:\w{1,20} )?(?:errors|responses|requests|times|items|is|means|stands)\b)/

/** `HTTP/1.1 404 …`, `Status code: 500`, `<Response [503]>`, `404 Not Found`, and a page or document of that title. */
export const httpFailure = opening(
  new RegExp(
    String.raw`(?:https?(?:/[\d.]{1,4})?|(?:https? )?(?:status|response|error)(?: (?:status|code)){0,2})\W{0,4}[45]\d\d\b${told.source}`,
  ),
  new RegExp(String.raw`[45]\d\d\W{1,3}${reason.source}\b${told.source}`),
  /(?:server|api|request|it) (?:returned|responded with|answered)(?: an?)?(?: http)?(?: status)?(?: code)? [45]\d\d\b/,
  /(?:doctype )?html[^]{0,200}?<title>\s{0,5}[45]\d\d\b/,
  /xml [^>]{0,100}>\s{0,5}<(?:error|exception|fault)\b/,
)

/** `Exit code: 1`, `Command failed with exit code 127`, `exit status 2`, `<returncode>1`. */
export const exitCode =
  /^(?:(?:the )?(?:command|process|script|program|shell|subprocess|tool|task|execution|job)\b[^\n]{0,100}? )?(?:has )?(?:exit(?:ed)?|return(?:ed)?|terminated|finished|failed|completed)(?:[ _-]?(?:with|an?|non-zero|error|exit|return)){0,4}[ _]?(?:code|status)\W{0,4}-?[1-9]\d{0,9}\b/i

/** What single programs write first: curl, npm, apt, browsers, system calls, argument parsers, compilers, validators. */
export const program = opening(
  /curl: \(\d{1,3}\)/,
  /npm (?:err!|error)/,
  /e: unable to/,
  /mcp error\b/,
  /(?:net::)?err_[a-z_]{3,50}\b/,
  /e(?:acces|addrinuse|ai_again|connrefused|connreset|exist|isdir|noent|nospc|notdir|notempty|notfound|perm|pipe|timedout)\b/,
  /(?:usage: [^]{0,200}?\n)?(?!\S{0,100}\.(?:log|txt|md)\b)(?!(?:feat|fix|docs)\b)[\w./-]{1,60}: (?:fatal )?error: /,
  /[^\s:(]{1,150}\.(?!log\b|txt\b|md\b)[a-z]{1,5}(?::\d{1,6}(?::\d{1,5})?:|\(\d{1,6},\d{1,5}\):) (?:fatal )?error\b/,
  /[1-9]\d{0,4} validation errors?\b/,
)

/** And last. */
export const programEnd = opening(/make(?:\[\d{1,3}\])?: \*\*\*/, /node\.js v\d\d\.[\d.]{1,9}$/)

/** What a call names and what may be wrong with it. */
const thing =
  /(?:api|arguments?|address|amount|argv|attribute|character|code|column|command|credentials?|data|date|directory|email|endpoint|expression|fields?|file(?:name)?|flag|format|function|header|host(?:name)?|ids?|identifier|index|input|json|key|length|literal|method|model|module|name|number|operation|operator|option|order|parameters?|params?|password|path|payload|payment|properties|property|query|range|reference|regex|request|reservation|resource|response|schema|session|signature|sql|state|status|statement|string|syntax|table|time(?:stamp)?|token|tool|type|uri|url|user(?:name)?|uuid|values?|variable|version|zip|xml)\b/

/** The end of a clause, and no count behind it. */
const stop = /(?=\s{0,3}(?:$|[:.,!;–—-])(?!\s?\d))/

const action =
  /(?:assertion|authentication|booking|build|call|command|connection|download|execution|function|job|login|operation|payment|query|request|tool|transaction|upload|validation)/

/** How a short message complains. */
const complaints = opening(
  new RegExp(
    `(?:failed|failure|invalid|denied|forbidden|unauthori[sz]ed|time-?out|timed out|unsupported|rejected)${stop.source}`,
  ),
  new RegExp(
    String.raw`(?:bad|duplicate|illegal|invalid|malformed|missing|unknown|unrecogni[sz]ed|unsupported) (?:\S{1,40} ){0,3}${thing.source}`,
  ),
  /(?:could(?:n't| not)|cannot|can ?not|can't|failed to|(?:is |was )?(?:unable|not able) to) /,
  /missing required /,
  /(?:permission|access) (?:is |was )?denied/,
  /no such (?:\S{1,40} ){0,3}[^\s?]{1,60}(?:[:.!]|$)/,
  /not (?:found|authori[sz]ed|supported|allowed|permitted|implemented)(?=\s{0,3}(?:$|[:.!]))/,
  /no (?:tool|function|command|method|endpoint|route)s? (?:named|called|found|with)/,
  /(?:there is )?no \w{1,40} (?:found |exists )?(?:with|for) (?:the |an? |this )?(?:\w{1,20} )?(?:id|name|key|code|number)\b/,
  /[a-z][\w.-]{0,30}: (?:line \d{1,6}: )?(?:cannot|can't|could not|command not found|failed to|illegal|invalid|no such|permission denied|unable to|unrecogni[sz]ed)\b/,
  new RegExp(`(?:division by zero|maximum recursion depth exceeded|out of memory|stack overflow)${stop.source}`),
  /time-?out (?:after|exceeded|expired|while|waiting|error|of)|timed out/,
  /(?:[\w ]{1,40} )?connection\b[^\n]{0,60}? (?:refused|reset|timed out|failed|closed|aborted)\b/,
  /(?:api )?rate limit(?: has been| was)? (?:exceeded|reached|hit)|too many requests|quota exceeded/,
  /insufficient (?:\w{1,20} )?(?:funds|balance|permissions?|privileges?|credits?|quota|scope)/,
  /something went wrong|service unavailable|syntax error|no replacement was performed/,
  /there was an? (?:\w{1,20} ){0,3}(?:error|problem)/,
  /(?:an?|the) (?:\w{1,20} ){0,3}(?:error|exception) (?:has |was )?(?:occurr?ed|happened|raised|thrown)/,
  new RegExp(
    String.raw`(?:${kind} ){0,4}(?:error|exception) (?:while|when|during|occurr?ed|calling|connecting|creating|deleting|executing|fetching|finding|from|getting|invoking|loading|opening|parsing|performing|processing|querying|reading|response|retrieving|running|searching|sending|updating|writing|in (?:tool|function|line|command)|code \d|at line|on line|\d)`,
  ),
  /(?:[^\s:]{1,40} ){0,4}(?:encountered|returned|got|received|raised|threw|caught|failed with)\b[^\n:]{0,40} (?:error|exception):/,
  new RegExp(
    String.raw`(?:[\w.'\x60"-]{1,60} ){0,3}${action.source}(?: [\w.'\x60"-]{1,60}){0,2} (?:has )?(?:failed|timed out|was (?:rejected|denied|refused|aborted)${stop.source})`,
  ),
  /(?:status|result)\W{1,3}error\b|(?:success|ok)\W{1,3}false\b/,
  /[^.\n]{0,60}\bstatus(?: code)?\W{0,3}[45]\d\d\b/,
)

/** None where a count or a "none" follows: `Failed: 0, passed: 12`. */
export const complaint = new RegExp(String.raw`${complaints.source}(?!\s{0,3}[:=]\s{0,3}(?:\d|none\b|\[\]))`, 'i')

/**
 * Messages of one sentence that tell by their end: `User 12 not found`, `sh: 1: foo: not found`. "No flights found" is an
 * answer.
 */
export const sentence =
  /^(?!(?:no|0|zero) )[^\n]{1,120}(?:(?:(?<!\b404 )\bnot found(?: in [\w./'"-]{1,40})?|\b(?:does|do)(?:n't| not) exist|no such file or directory|permission denied|access denied|: (?:is|not) a directory|is not defined|is an? required (?:property|argument|parameter|field)|timed out|connection refused)[\s.!"'`)\]]{0,4}$|is not an? (?:valid|recogni[sz]ed) \w)/i

/** Lines of a log, which other lines of it may be called errors beside. */
export const logLine = /^\W{0,3}(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|(?:trace|debug|info|notice|warn(?:ing)?)\b)/i
export const errorLine = /^\W{0,3}(?:error|err|fatal|critical)\b/i
