import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { SchemaVerdict } from './schema-checker.ts'
import type { CheckTask, ProcessMessage } from './schema-process-main.ts'

export interface PendingCheck extends CheckTask {
  settle: (verdict: SchemaVerdict) => void
}

/** What a process had too little of. */
export type RanOutOf = 'time' | 'memory' | 'start'

export interface CheckingChildOptions {
  /** For one check, ms. */
  limitMs: number
  /** For the process to start, with ajv and its meta-schemas, ms. */
  startLimitMs: number
  maxHeapMb: number
  /** Ends with its last check, and is started anew for the next. */
  endsWhenIdle: boolean
  /** Checks that are given back unanswered: the one that took too much with all of its schema; all where none was begun. */
  onLost: (lost: readonly PendingCheck[], ranOutOf: RanOutOf) => void
}

export interface CheckingChild {
  run(check: PendingCheck): void
  /** Ends the process; what it had is forgotten. */
  close(): Promise<void>
}

const main = fileURLToPath(new URL('schema-process-main.ts', import.meta.url))

/**
 * A process that checks one thing after the other, started at the first and again after it had to be killed.
 *
 * How is a check that does not end told from those behind it? They are answered in order, so that the first without an
 * answer is the one that runs. Once it has been that for `limitMs` the process is killed and a new one has the others.
 */
export function createCheckingChild(options: CheckingChildOptions): CheckingChild {
  /** In the order in which the process has them. */
  let pending: PendingCheck[] = []
  let child: ChildProcess | undefined
  let isReady = false
  let timer: NodeJS.Timeout | undefined

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
    // Both may come, in any order.
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

  /** Gives the check that runs its time. */
  function watchFirst(): void {
    clearTimeout(timer)
    const [first] = pending
    if (first === undefined) return rest()
    holdOpen('ref')
    const late = () => {
      // An answer that has come in meanwhile is read first: this process may have been the late one.
      setImmediate(() => {
        if (pending[0] === first) replace(isReady ? 'time' : 'start')
      })
    }
    timer = setTimeout(late, isReady ? options.limitMs : options.startLimitMs)
  }

  function rest(): void {
    if (options.endsWhenIdle) end()
    else holdOpen('unref')
  }

  /** An idle process keeps its parent from nothing. */
  function holdOpen(what: 'ref' | 'unref'): void {
    child?.[what]()
    child?.channel?.[what]()
  }

  function end(): ChildProcess | undefined {
    const ending = child
    child = undefined
    ending?.kill('SIGKILL')
    return ending
  }

  function replace(ranOutOf: RanOutOf): void {
    end()
    const key = pending[0]?.key
    const lost = pending.filter((check) => ranOutOf === 'start' || check.key === key)
    pending = pending.filter((check) => !lost.includes(check))
    for (const check of pending) send(check)
    watchFirst()
    options.onLost(lost, ranOutOf)
  }

  function send({ key, schemaText, json }: CheckTask): void {
    child ??= start()
    // What goes to a process that has just died is sent again to the next.
    child.send({ key, schemaText, json }, () => {})
  }

  return {
    run(check) {
      pending.push(check)
      send(check)
      if (pending.length === 1) watchFirst()
    },
    async close() {
      clearTimeout(timer)
      pending = []
      const ending = end()
      if (!ending || ending.exitCode !== null || ending.signalCode !== null) return
      ending.ref()
      await new Promise((resolve) => ending.once('exit', resolve))
    },
  }
}
