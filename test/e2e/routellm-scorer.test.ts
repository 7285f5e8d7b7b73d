import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createHttpFetch } from '#lib/models/http-fetch'
import { createHttpScorer, type ScorerQuestion } from '#lib/scoring/http-scorer'
import { startPart, type Part } from '../../cli/stack/part.ts'
import { repositoryDir, stackDir } from '../../cli/stack/paths.ts'
import { findPip } from '../../cli/stack/tools.ts'

const script = join(repositoryDir, 'samples', 'python', 'routellm_scorer.py')
const dir = mkdtempSync(join(tmpdir(), 'shunt-routellm-test-'))
const python = findPip() ?? 'python3'

/**
 * In place of the real package, which fetches models and asks OpenAI: the same calls, and a win rate that tells which
 * prompt came. Nobody may ask it twice at once.
 */
const fakeController = `
import threading

class Router:
    def __init__(self):
        self.asked = threading.Lock()

    def calculate_strong_win_rate(self, prompt):
        if not self.asked.acquire(blocking=False):
            raise RuntimeError("two at once")
        try:
            if prompt == "break":
                raise RuntimeError("no embedding")
            return len(prompt) / 100
        finally:
            self.asked.release()

class Controller:
    def __init__(self, routers, strong_model, weak_model):
        self.routers = {name: Router() for name in routers}
`

let server: Part
let url = ''

beforeAll(async () => {
  mkdirSync(join(dir, 'routellm'))
  writeFileSync(join(dir, 'routellm', '__init__.py'), '')
  writeFileSync(join(dir, 'routellm', 'controller.py'), fakeController)
  const logFile = join(dir, 'routellm.log')
  server = await startPart({
    // With a record of its own, so that it ends with the run even where this test cannot end it.
    name: 'inference',
    id: 'routellm-scorer',
    runDir: stackDir(inject('runDirectory')).run,
    command: python,
    args: [script, '--router', 'mf', '--port', '0'],
    cwd: dir,
    env: { ...process.env, PYTHONPATH: dir },
    address: '',
    logFile,
    probe: async () => {
      url = /^mf answers at (http:\/\/127\.0\.0\.1:\d+\/score)$/m.exec(readFileSync(logFile, 'utf8'))?.[1] ?? ''
      return url !== ''
    },
  })
})
afterAll(async () => {
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const scorer = () =>
  createHttpScorer({ fetch: createHttpFetch() }, { url, apiKey: null, timeoutMs: 10_000, maxInFlight: 16 })
const ask = (messages: ScorerQuestion['messages']) =>
  scorer().ask({ stepId: 's', kind: 'tool_call', messages, tools: [] })
const post = (body: string, to = url) => fetch(to, { method: 'POST', body })

test('the win rate of the user’s last message is the gain, and no chance is claimed', async () => {
  expect(
    await ask([
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'an earlier question, which no router reads' },
      { role: 'assistant', content: 'yes' },
      { role: 'user', content: 'x'.repeat(25) },
      { role: 'assistant', content: null, tool_calls: [] },
      { role: 'tool', tool_call_id: 'c', content: 'a result, which is the last message' },
    ]),
  ).toEqual({ pSuccessPpm: null, gainPpm: 250_000 })
  const parts = [
    { type: 'text' as const, text: 'x'.repeat(4) },
    { type: 'image_url' as const, image_url: { url: 'data:,' } },
    { type: 'text' as const, text: 'é'.repeat(5) },
  ]
  expect(await ask([{ role: 'user', content: parts }])).toEqual({ pSuccessPpm: null, gainPpm: 100_000 })
})

test('many steps at once get each its own answer', async () => {
  const one = scorer()
  const lengths = Array.from({ length: 60 }, (_, index) => index + 1)
  const answers = await Promise.all(
    lengths.map((length) =>
      one.ask({ stepId: 's', kind: 'unknown', messages: [{ role: 'user', content: 'x'.repeat(length) }], tools: [] }),
    ),
  )
  expect(answers).toEqual(lengths.map((length) => ({ pSuccessPpm: null, gainPpm: length * 10_000 })))
})

test.each([
  ['no JSON', '{'],
  ['a list', '[]'],
  ['nested too deep', '['.repeat(100_000)],
  ['without messages', '{"stepId":"s"}'],
  ['messages that are none', '{"messages":["hi"]}'],
  ['no message of the user', '{"messages":[{"role":"system","content":"hi"}]}'],
  ['a user who says nothing', '{"messages":[{"role":"user","content":" "}]}'],
  ['content of another kind', '{"messages":[{"role":"user","content":7}]}'],
  ['a part without text', '{"messages":[{"role":"user","content":[{"type":"text"}]}]}'],
])('a question that is refused, with the reason: %s', async (_, body) => {
  const answer = await post(body)
  expect(answer.status).toBe(400)
  expect(await answer.json()).toEqual({ error: expect.any(String) })
})

test('a refusal falls back and is not held against the scorer; a router that fails is', async () => {
  const one = scorer()
  const asked = (content: string) =>
    one.ask({ stepId: 's', kind: 'unknown', messages: [{ role: 'user', content }], tools: [] })
  for (let i = 0; i < 6; i++) expect(await asked(' ')).toEqual({ fallback: 'refused' })
  expect(await asked('xx')).toEqual({ pSuccessPpm: null, gainPpm: 20_000 })
  // A win rate out of range is a failure too.
  for (const content of ['break', 'x'.repeat(101), 'break', 'break', 'break'])
    expect(await asked(content)).toEqual({ fallback: 'refused' })
  expect(await asked('xx')).toEqual({ fallback: 'breaker_open' })
})

test('other paths and methods are told so, and the connection serves on', async () => {
  expect((await post('{}', url.replace('/score', '/'))).status).toBe(404)
  expect((await fetch(url)).status).toBe(501)
  expect(await ask([{ role: 'user', content: 'x' }])).toMatchObject({ gainPpm: 10_000 })
})

test('without RouteLLM it says what to install', () => {
  const { status, stderr } = spawnSync(python, ['-S', '-E', script, '--router', 'bert'], { encoding: 'utf8' })
  expect([status, stderr]).toEqual([1, expect.stringMatching(/^routellm is not installed here: pip install "routellm/)])
})
