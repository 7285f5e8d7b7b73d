import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isFailedResult } from '#lib/routing/tool-result'

const failures: Record<string, string[]> = {
  'labelled texts': [
    'Error: flight HAT030 not available on date 2024-05-13',
    'error',
    'ERROR',
    '[ERROR] disk full',
    '**Error:** bad date',
    '❌ Error: bad date',
    '\u001B[31mError: no such branch\u001B[0m',
    'Error (404): no such page',
    'Error [ERR_MODULE_NOT_FOUND]: Cannot find package',
    'Error - no rows',
    'Internal server error.',
    'Input validation error: "date" is a required property',
    'fatal: not a git repository',
    'panic: runtime error: index out of range',
    '<tool_use_error>File has not been read yet</tool_use_error>',
    '<error>no such user</error>',
    'MCP error -32602: Invalid arguments for tool search',
    'Error executing tool get_weather: unknown city',
    'Error while calling the API',
    'An unexpected error occurred.',
    'Error: 500',
  ],
  exceptions: [
    'ValueError: invalid literal',
    'KeyError',
    'java.lang.NullPointerException: x is null',
    'Uncaught TypeError: x is not a function',
    'Exception in thread "main" java.lang.Error',
    'Traceback (most recent call last):\n  File "x.py", line 1\nKeyError: 3',
    'loading data\nepoch 1\nTraceback (most recent call last):\n  File "x.py", line 1, in <module>\n    f()\nValueError: bad',
    "file:///x.js:3\nthrow new Error('x')\n      ^\n\n    at foo (x.js:1:2)\n\nNode.js v24.0.0",
  ],
  'HTTP codes': [
    'HTTP 503 Service Unavailable',
    'HTTP/1.1 404 Not Found',
    'Status code: 502',
    '<Response [404]>',
    '404 Not Found',
    '429 Too Many Requests: slow down',
    'Request failed with status code 500',
    '<html><head><title>404 Not Found</title></head><body>nginx</body></html>',
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>',
  ],
  'shells and compilers': [
    'Exit code: 1',
    'Exit code 127\nsh: foo: not found',
    '3 passed, 2 failed\nexit status 1',
    'Command failed with exit code 2: npm test',
    "Command '['ls']' returned non-zero exit status 2.",
    'Process exited with code 137',
    '<returncode>1</returncode>\n<output>x</output>',
    'bash: foo: command not found',
    'cat: a.txt: No such file or directory',
    "ls: cannot open directory '/root': Permission denied",
    'curl: (6) Could not resolve host: x.example',
    'npm ERR! code ENOENT',
    'gcc -c x.c\nmake: *** [x.o] Error 1',
    "main.c:3:5: error: expected ';' before '}'",
    "src/a.ts(3,5): error TS2322: Type 'string' is not assignable",
    'Segmentation fault (core dumped)',
  ],
  sentences: [
    'Permission denied: /etc/shadow',
    'Could not connect to host',
    'Timed out after 30 s',
    'Failed to fetch the page',
    'Unknown tool: fly',
    "Tool 'fly' not found",
    'Reservation ZZZ999 not found',
    'Invalid date format',
    'Missing required parameter: city',
    'Tool execution failed: boom',
    'Rate limit exceeded, try again in 20 s',
    'Connection refused',
    'Unauthorized',
    'Observation: Error: no such city',
  ],
  'JSON objects': [
    '{"error":"not found"}',
    '{"error":{"code":404}}',
    '{"error":true,"message":"x"}',
    '{"Error":"x"}',
    '{"error_message":"x"}',
    '{"errorMessage":"x","errorType":"TypeError"}',
    '{"status":"failed"}',
    '{"status":"error","data":null}',
    '{"status":"failed","reason":"no seats"}',
    '{"status":422,"detail":"x"}',
    '{"status":"404","title":"Not Found"}',
    '{"statusCode":500,"body":"x"}',
    '{"success":false}',
    '{"success":false,"flight":"HAT1"}',
    '  {"ok": false}',
    '{"code":404,"message":"no user"}',
    '{"code":"INVALID_ARGUMENT","message":"bad date"}',
    '{"code":-32601,"message":"Method not found"}',
    '{"message":"Internal server error"}',
    '{"detail":"Not found."}',
    '{"detail":[{"loc":["body","date"],"msg":"field required","type":"missing"}]}',
    '{"errors":[{"message":"no such field"}],"data":null}',
    '{"name":"ValidationError","message":"bad","stack":"…"}',
    '{"exit_code":1,"stdout":"3 passed","stderr":""}',
    '{"returncode":-9,"output":""}',
    '{"stdout":"","stderr":"Traceback (most recent call last):\\n  File"}',
    '{"type":"error","message":"overloaded"}',
  ],
  'MCP results': [
    '{"isError":true,"content":[{"type":"text","text":"bad"}]}',
    '{"content":[{"type":"text","text":"Error: bad"}],"isError":false}',
    '[{"type":"text","text":"Error executing tool x: bad"}]',
    '{"jsonrpc":"2.0","id":3,"result":{"content":[],"isError":true}}',
    `{"content":[{"type":"text","text":"${'x'.repeat(70_000)}"}],"isError":true}`,
  ],
  'quoted and wrapped results': [
    '"Error: no such city"',
    "'Error: no such city'",
    String.raw`"{\"error\":\"not found\"}"`,
    '{"result":"Error: no such city"}',
    '{"result":{"error":"no such city"}}',
    String.raw`{"output":"{\"success\":false}"}`,
    '[{"error":"no such city"},{"error":"no such day"}]',
    '["Error: no such city"]',
    '```json\n{"error":"x"}\n```',
    "{'error': 'not found', 'retry': False}",
    "{'success': False, 'reason': None}",
    '{"error":"cut off in the mid',
  ],
}

const answers: Record<string, string[]> = {
  'empty answers': ['', ' ', '[]', '{}', 'null', 'None', '""', '0', 'No results found.', 'No flights found', '-114.0'],
  'counts of errors': [
    '0 errors found',
    'No errors.',
    'No error',
    'errors: []',
    'error: none',
    'Error: null',
    'failed: 0, passed: 12',
    'Failed: 3, passed: 12',
    'Errors: 3',
    'error: 3, warnings: 4',
    'Mean squared error: 0.12',
    'error: 0.034',
    'Standard error: 2 %',
    'HTTP 500 errors: 12 in the last hour',
    'The error rate fell to 2 %.',
    'Exit code: 0',
    'Process finished with exit code 0',
    'Timeout: 30',
  ],
  'texts about errors': [
    'Error handling in Go is explicit: functions return an error beside their result.',
    '# Errors\n\nAll endpoints answer 404 where nothing is found.',
    'ValueError is raised when the argument has the right type but a wrong value.',
    `Cannot find your way around Rome? ${'This guide helps. '.repeat(60)}`,
    'Forbidden Planet (1956), directed by Fred M. Wilcox',
    'Terror: a history of the French revolution',
    'Exceptions to the rule: children under two fly free.',
    'Refunds of a cancelled flight take five days. Basic economy is not allowed to change.',
    'Invoice 500 was sent.',
    '404 seats are left',
    `The docs quote this:\nTraceback (most recent call last):\n  File "x.py"\nKeyError: 3\nIt means that the key is missing.`,
  ],
  logs: [
    '2024-05-01 12:00:01 ERROR db down\n2024-05-01 12:00:02 INFO db up',
    'ERROR: db down\nINFO: db up\nINFO: ready',
    'ERROR: db down\n2024-05-01 INFO up',
    '[ERROR] x\n[WARN] y\n[INFO] z',
    'app.log:10: error: db down',
  ],
  'JSON data': [
    '{"error":null,"data":[1]}',
    '{"error":""}',
    '{"error":"none","rows":3}',
    '{"error":false}',
    '{"error":0.02,"model":"linear"}',
    '{"errors":[],"status":"ok"}',
    '{"errors":3,"passed":9}',
    '{"errors":[{"line":3,"rule":"semi"}],"warnings":[]}',
    '{"errors":[{"message":"one field"}],"data":{"user":{"id":1}}}',
    '{"status":200}',
    '{"status":"active","error":""}',
    '{"status":"cancelled","reservation_id":"4WQ150"}',
    '{"status":"delayed"}',
    '{"payment_id":"p1","amount":30,"status":"failed"}',
    '{"id":7,"status":"failed","name":"nightly"}',
    '[{"job":1,"status":"failed"},{"job":2,"status":"failed"}]',
    '[{"level":"error","message":"db down"},{"level":"info","message":"up"}]',
    '{"reservation_id":"4WQ150","flights":[{"number":"HAT170"}]}',
    '{"success":true,"message":"Error log cleared"}',
    '{"code":"SFO","name":"San Francisco"}',
    '{"message":"Booked."}',
    '{"name":"Ada","message":"hi"}',
    '{"path":"notes.md","content":"Error: a novel"}',
    '{"isError":false,"content":[{"type":"text","text":"21 °C"}]}',
    '[{"type":"text","text":"Sunny, 0 errors"}]',
    '["error","warning"]',
    '{"exit_code":0,"stderr":"warning: x"}',
    "{'error': None, 'rows': [1]}",
    '{"result":[]}',
  ],
}

for (const [name, texts] of Object.entries(failures))
  describe(`failures: ${name}`, () => {
    test.each(texts.map((text) => [text.slice(0, 80), text]))('%s', (_, text) =>
      expect(isFailedResult(text)).toBe(true),
    )
  })

for (const [name, texts] of Object.entries(answers))
  describe(`answers: ${name}`, () => {
    test.each(texts.map((text) => [text.slice(0, 80), text]))('%s', (_, text) =>
      expect(isFailedResult(text)).toBe(false),
    )
  })

describe('hostile results', () => {
  const size = 500_000
  const repeated = (unit: string): string => unit.repeat(Math.ceil(size / unit.length))
  const units = [
    ' ',
    '\n',
    'a',
    'a ',
    'error ',
    'tool_use_error',
    'internal ',
    '"',
    String.raw`\"`,
    "'",
    '[',
    '{"result":',
    '{"a":',
    '[[',
    '```',
    'output: ',
    'exit ',
    'with exit ',
    'command x ',
    'x.y:1:',
    '1',
    '\u001B[31m',
    '<html>',
    'Traceback (most recent call last):\n',
    '[{"error":"x"},',
    'Error: ',
    '\u{1F4A5}',
  ]
  // Nothing that backtracks would come to an end within the test's time-out; what it costs is told by the bench.
  test.each(units)('%j over and over comes to an end, as a whole and cut off', (unit) => {
    const ends = ['', '!', '"', '}', '\nx'].map((end) => repeated(unit) + end)
    const cut = [50, 159, 299, 599, 4_096, 65_536].map((length) => repeated(unit).slice(0, length))
    for (const text of [...ends, ...cut]) expect(isFailedResult(text)).toBeTypeOf('boolean')
  })

  test('a result nested beyond any depth is read without end of stack', () => {
    const nested = (depth: number): string => `${'{"result":'.repeat(depth)}{"error":"x"}${'}'.repeat(depth)}`
    expect(isFailedResult(nested(2))).toBe(true)
    expect(isFailedResult(nested(5_900))).toBe(false)
    expect(isFailedResult(`${'['.repeat(30_000)}${']'.repeat(30_000)}`)).toBe(false)
  })

  test('no text and no JSON value makes it throw', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => void isFailedResult(text)))
    fc.assert(fc.property(fc.json({ maxDepth: 6 }), (text) => void isFailedResult(text)))
  })

  test('an answer stays one however it is wrapped, and so does a failure', () => {
    const wraps: ((text: string) => string)[] = [
      (text) => JSON.stringify(text),
      (text) => JSON.stringify({ result: text }),
      (text) => JSON.stringify([{ type: 'text', text }]),
      (text) => JSON.stringify({ content: [{ type: 'text', text }], isError: false }),
      (text) => `\n${text}\n`,
      (text) => `\`\`\`\n${text}\n\`\`\``,
    ]
    const short = (tables: Record<string, string[]>) =>
      Object.values(tables)
        .flat()
        .filter((text) => text.length < 1_000 && !text.startsWith('```'))
    for (const wrap of wraps) {
      for (const text of short(failures)) expect([text, isFailedResult(wrap(text))]).toEqual([text, true])
      for (const text of short(answers)) expect([text, isFailedResult(wrap(text))]).toEqual([text, false])
    }
  })
})
