import { hash } from 'node:crypto'
import { ShuntError } from '#lib/errors'
import type { Logger } from '#lib/telemetry/logger'
import { createCheckingChild, type PendingCheck, type RanOutOf } from './checking-child.ts'
import type { SchemaVerdict } from './schema-checker.ts'
import { createStrikes } from './strikes.ts'

/** `exhausted`: the check used up its time or memory, this time or the time before. */
export type ProcessVerdict = SchemaVerdict | { kind: 'exhausted'; why: string }

export interface SchemaProcess {
  /** `json` is a JSON text. Rejects only once closed: SHUNT_HANDLER_FAILED, retryable. */
  check(schema: object, json: string): Promise<ProcessVerdict>
  /** Ends the processes; what is under way is rejected. */
  close(): Promise<void>
}

export interface SchemaProcessDeps {
  log: Pick<Logger, 'warn'>
  nowMs: () => number
}

export interface SchemaProcessOptions {
  /** Compiling and checking, ms. @default 200 */
  limitMs: number
  /** For the process to start, with ajv and its meta-schemas, ms. @default 30_000 */
  startLimitMs: number
  /** Heap of a process, compiled schemas above all. @default 192 MB */
  maxHeapMb: number
  /** A longer schema is not compiled; providers take less. @default 131_072 characters */
  maxSchemaChars: number
  /** How long a schema that took too much is a suspect, ms. @default 10 minutes */
  forgiveAfterMs: number
}

export const schemaProcessDefaults: SchemaProcessOptions = {
  limitMs: 200,
  startLimitMs: 30_000,
  maxHeapMb: 192,
  maxSchemaChars: 131_072,
  forgiveAfterMs: 600_000,
}

/** A busy machine is no hostile schema. */
const secondTryFactor = 4

interface Waiting extends PendingCheck {
  settle: (verdict: ProcessVerdict) => void
  fail: (error: Error) => void
}

/**
 * Holds JSON against tenants' schemas in a process of its own, so that no schema and no regular expression stalls or
 * ends this one.
 *
 * Why no thread? Its limit of memory is asked between two instructions of JavaScript: V8 ends the whole process where one
 * alone takes too much, and a schema that compiles to enough code does that.
 *
 * A schema that took too much is a suspect: it is tried again in a second process, where it holds nobody up, with four
 * times the time; if that was too little too, it is not run again for a while. So others wait for `limitMs` and the start
 * of a process, once for each hostile schema.
 */
export function createSchemaProcess(
  deps: SchemaProcessDeps,
  options: SchemaProcessOptions = schemaProcessDefaults,
): SchemaProcess {
  const { limitMs, startLimitMs, maxHeapMb } = options
  const strikes = createStrikes(deps, { forgiveAfterMs: options.forgiveAfterMs })
  const waiting = new Set<Waiting>()
  let isClosed = false

  const usual = createCheckingChild({
    limitMs,
    startLimitMs,
    maxHeapMb,
    endsWhenIdle: false,
    onLost(lost, ranOutOf) {
      if (ranOutOf === 'start') return giveUp(lost, ranOutOf)
      strike(lost, ranOutOf)
      for (const check of lost) suspects.run(check)
    },
  })
  const suspects = createCheckingChild({
    limitMs: secondTryFactor * limitMs,
    startLimitMs,
    maxHeapMb,
    endsWhenIdle: true,
    onLost(lost, ranOutOf) {
      if (ranOutOf !== 'start') strike(lost, ranOutOf)
      giveUp(lost, ranOutOf)
    },
  })

  function strike([first]: readonly PendingCheck[], ranOutOf: RanOutOf): void {
    deps.log.warn({ ranOutOf, schema: first?.key }, 'holding an answer against its schema took too much')
    if (first) strikes.add(first.key)
  }

  function giveUp(lost: readonly PendingCheck[], ranOutOf: RanOutOf): void {
    if (ranOutOf === 'start') deps.log.warn('the process that holds answers against schemas does not start')
    const why = ranOutOf === 'start' ? 'the verifying process does not start' : `the check used up its ${ranOutOf}`
    for (const check of lost) (check as Waiting).settle({ kind: 'exhausted', why })
  }

  return {
    check(schema, json) {
      if (isClosed) return Promise.reject(closedError())
      const schemaText = JSON.stringify(schema)
      if (schemaText.length > options.maxSchemaChars)
        return Promise.resolve({ kind: 'unusable', why: `longer than ${options.maxSchemaChars} characters` })
      const key = hash('sha256', schemaText)
      const struck = strikes.count(key)
      if (struck > 1) return Promise.resolve({ kind: 'exhausted', why: 'its schema took too much before' })
      return new Promise((resolve, fail) => {
        const settle = (verdict: ProcessVerdict) => {
          waiting.delete(check)
          resolve(verdict)
        }
        const check: Waiting = { key, schemaText, json, settle, fail }
        waiting.add(check)
        ;(struck === 0 ? usual : suspects).run(check)
      })
    },
    async close() {
      isClosed = true
      for (const { fail } of waiting) fail(closedError())
      waiting.clear()
      await Promise.all([usual.close(), suspects.close()])
    },
  }
}

function closedError(): ShuntError {
  return new ShuntError('SHUNT_HANDLER_FAILED', 'the process stops while an answer is verified', { retryable: true })
}
