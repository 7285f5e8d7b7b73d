// Loaded by NODE_OPTIONS=--import into a service under test: ends the process, as a fault in native code would, when a
// step with the marker is parsed, or, with TEST_CRASH_AT=answer, a model's answer. The product has no hook for it.

// The whole record of a JSON step is no prompt yet: only the request, which the handler alone reads, has an effect.
const start = process.env['TEST_CRASH_AT'] === 'answer' ? '{"id"' : '{"messages"'
const marker = process.env['TEST_CRASH_MARKER'] ?? 'CRASH-THE-PROCESS'
const parse = JSON.parse

JSON.parse = (text: string, ...rest: []) => {
  if (typeof text === 'string' && text.startsWith(start) && text.includes(marker)) process.kill(process.pid, 'SIGKILL')
  return parse(text, ...rest) as unknown
}
