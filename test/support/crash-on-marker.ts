// Loaded by NODE_OPTIONS=--import into a service under test: ends the process, as a fault in native code would, when a
// step with the marker is parsed. The product has no hook for it.

const marker = process.env['TEST_CRASH_MARKER'] ?? 'CRASH-THE-PROCESS'
const parse = JSON.parse

JSON.parse = (text: string, ...rest: []) => {
  // The whole record of a JSON step is no prompt yet: only the request, which the handler alone reads, has an effect.
  if (typeof text === 'string' && text.startsWith('{"messages"') && text.includes(marker))
    process.kill(process.pid, 'SIGKILL')
  return parse(text, ...rest) as unknown
}
