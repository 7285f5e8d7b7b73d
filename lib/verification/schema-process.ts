import { fork, type ChildProcess } from 'node:child_process'
import { hash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { ShuntError } from '#lib/errors'
import type { Logger } from '#lib/telemetry/logger'
import type { SchemaVerdict } from './schema-checker.ts'
import type { CheckTask, ProcessMessage } from './schema-process-main.ts'
import { createStrikes } from './strikes.ts'

/** `exhausted`: the check used up its time or memory, this time or the time before. */
export type ProcessVerdict = SchemaVerdict | { kind: 'exhausted'; why: string }

export interface SchemaProcess {
  /** `json` is a JSON text. Rejects only once closed: SHUNT_HANDLER_FAILED, retryable. */
  check(schema: object, json: string): Promise<ProcessVerdict>
  /** Ends the process; what is under way is rejected. */
  close(): Promise<void>
}

export interface SchemaProcessDeps {
  log: Pick<Logger, 'warn'>
  nowMs: () => number
}

export interface SchemaProcessOptions {
  /** Compiling and checking, ms. A second try has four times as much: a busy machine is no hostile schema. @default 200 */
  limitMs: number
  /** For the process to start, with ajv and its meta-schemas, ms. @default 30_000 */
  startLimitMs: number
  /** Heap of the process, compiled schemas above all. @default 192 MB */
  maxHeapMb: number
  /** A longer schema is not compiled; providers take less. @default 131_072 characters */
  maxSchemaChars: number
  /** How long a schema that took too much twice is not tried again, ms. @default 10 minutes */
  forgiveAfterMs: number
}

export const schemaProcessDefaults: SchemaProcessOptions = {
  limitMs: 200,
  startLimitMs: 30_000,
  maxHeapMb: 192,
  maxSchemaChars: 131_072,
  forgiveAfterMs: 600_000,
}

interface Pending extends CheckTask {
  settle: (verdict: ProcessVerdict) => void
  fail: (error: Error) => void
}

const secondTryFactor = 4
const main = fileURLToPath(new URL('schema-process-main.ts', import.meta.url))

/**
 * Holds JSON against tenants' schemas in a process of its own, so that no schema and no regular expression stalls or
 * ends this one. Started at the first check, and again after it had to be killed.
 *
 * Why no thread? Its limit of memory is asked between two instructions of JavaScript: V8 ends the whole process where one
 * alone takes too much, and a schema that compiles to enough code does that (test/lib/verification/schema-process).
 *
 * How is a check that does not end told from those behind it? They are answered in order, so that the first without an
 * answer is the one that runs. Once it has been that for `limitMs` the process is killed and the others are given to a
 * new one. It is tried once more, after them; then its schema is known for what it is and not run again for a while. So
 * a hostile schema holds others up for five times `limitMs`, once.
 */
export function createSchemaProcess(
  deps: SchemaProcessDeps,
  options: SchemaProcessOptions = schemaProcessDefaults,
): SchemaProcess {
  /** In the order in which the process has them. */
  let pending: Pending[] = []
  let child: ChildProcess | undefined
  let isReady = false
  let isClosed = false
  let timer: NodeJS.Timeout | undefined
  const strikes = createStrikes(deps, { forgiveAfterMs: options.forgiveAfterMs })

  function start(): ChildProcess {
    isReady = false
    const started = fork(main, {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // Should a schema add code of its own after all, it finds no secret, writes no file and starts no process.
      env: {},
      execArgv: [
        `--max-old-space-size=${options.maxHeapMb}`,
        '--stack-size=2000',
        '--permission',
        '--allow-fs-read=*',
        '--allow-worker',
      ],
    })
    started.on('message', (message: ProcessMessage) => {
      if (started === child) receive(message)
    })
    // Both may come, in any order; sending to a process that has just died gives an error too.
    for (const event of ['error', 'exit'])
      started.on(event, () => {
        if (started === child) replace(isReady ? 'memory' : 'start')
      })
    return started
  }

  function receive(message: ProcessMessage): void {
    if (message === 'ready') isReady = true
    else pending.shift()?.settle(message)
    watchFirst()
  }

  /** Gives the task that runs its time. */
  function watchFirst(): void {
    clearTimeout(timer)
    const [first] = pending
    holdOpen(first !== undefined)
    if (first === undefined) return
    const limitMs = options.limitMs * (strikes.count(first.key) > 0 ? secondTryFactor : 1)
    const late = () => {
      // An answer that has come in meanwhile is read first: this process may have been the late one.
      setImmediate(() => {
        if (pending[0] === first) replace(isReady ? 'time' : 'start')
      })
    }
    timer = setTimeout(late, isReady ? limitMs : options.startLimitMs)
  }

  /** An idle process keeps its parent from nothing. */
  function holdOpen(isBusy: boolean): void {
    const what = isBusy ? 'ref' : 'unref'
    child?.[what]()
    child?.channel?.[what]()
  }

  function replace(ranOutOf: 'time' | 'memory' | 'start'): void {
    const [first] = pending
    child?.kill('SIGKILL')
    child = undefined
    deps.log.warn({ ranOutOf, schema: first?.key }, 'the process that holds answers against schemas was ended')
    if (ranOutOf === 'start') settleAll(pending, 'the verifying process does not start')
    else if (first) strike(first.key, ranOutOf)
    if (pending.length > 0) run(pending)
  }

  function strike(key: string, ranOutOf: 'time' | 'memory'): void {
    const same = pending.filter((task) => task.key === key)
    if (strikes.add(key) > 1) return settleAll(same, `the check used up its ${ranOutOf}`)
    pending = [...pending.filter((task) => task.key !== key), ...same]
  }

  function settleAll(tasks: readonly Pending[], why: string): void {
    pending = pending.filter((task) => !tasks.includes(task))
    for (const { settle } of tasks) settle({ kind: 'exhausted', why })
    watchFirst()
  }

  function run(tasks: readonly Pending[]): void {
    child ??= start()
    for (const { key, schemaText, json } of tasks) child.send({ key, schemaText, json } satisfies CheckTask, () => {})
    if (pending[0] === tasks[0]) watchFirst()
  }

  return {
    check(schema, json) {
      if (isClosed) return Promise.reject(closedError())
      const schemaText = JSON.stringify(schema)
      if (schemaText.length > options.maxSchemaChars)
        return Promise.resolve({ kind: 'unusable', why: `longer than ${options.maxSchemaChars} characters` })
      const key = hash('sha256', schemaText)
      if (strikes.count(key) > 1) return Promise.resolve({ kind: 'exhausted', why: 'its schema took too much before' })
      return new Promise((settle, fail) => {
        const task = { key, schemaText, json, settle, fail }
        pending.push(task)
        run([task])
      })
    },
    async close() {
      isClosed = true
      clearTimeout(timer)
      for (const { fail } of pending) fail(closedError())
      pending = []
      const ending = child
      child = undefined
      if (!ending || ending.exitCode !== null || ending.signalCode !== null) return
      await new Promise((resolve) => {
        ending.once('exit', resolve)
        ending.ref()
        ending.kill('SIGKILL')
      })
    },
  }
}

function closedError(): ShuntError {
  return new ShuntError('SHUNT_HANDLER_FAILED', 'the process stops while an answer is verified', { retryable: true })
}
