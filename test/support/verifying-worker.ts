import type { ChildProcess } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'
import { createSchemaProcess, schemaProcessDefaults } from '#lib/verification/schema-process'

// Has its verifying process run into a check that does not end, prints that one's pid, and waits to be killed.
let child: ChildProcess | undefined
subscribe('child_process', (message) => (child = (message as { process: ChildProcess }).process))
const schemas = createSchemaProcess(
  { log: console, nowMs: Date.now },
  { ...schemaProcessDefaults, limitMs: 600_000, startLimitMs: 600_000 },
)
await schemas.check({ type: 'object' }, '{}')
void schemas.check({ pattern: '^(a+)+$' }, JSON.stringify(`${'a'.repeat(60)}!`))
console.log(child?.pid)
