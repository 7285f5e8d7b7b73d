import { Worker } from 'node:worker_threads'
import { createSchemaChecker, type SchemaVerdict } from './schema-checker.ts'

export interface CheckTask {
  key: string
  schemaText: string
  json: string
}

/** `ready` first, then one verdict a task, in the order of the tasks. */
export type ProcessMessage = 'ready' | SchemaVerdict

// The process that schema-process.ts starts. A check may never end, so that it must be ended from outside: by its parent,
// or where that has died too, by a thread that is not held up. Who the parent is the thread is told: it may begin late, when
// that has died already.
const watchParent = `setInterval(() => process.ppid === ${process.ppid} || process.kill(process.pid, "SIGKILL"), 1_000)`
// oxlint-disable-next-line no-new
new Worker(watchParent, { eval: true }).unref()

const checker = createSchemaChecker()
// The meta-schemas are compiled at their first use, which is no fault of the schema that comes first.
for (const draft of ['draft/2020-12/schema', 'draft-07/schema#'])
  checker.check(draft, JSON.stringify({ $schema: `https://json-schema.org/${draft}` }), '{}')

const tell = (message: ProcessMessage) => process.send!(message)
process.on('message', ({ key, schemaText, json }: CheckTask) => tell(checker.check(key, schemaText, json)))
process.on('disconnect', () => process.exit())
// A terminal and systemd send these to the whole group, while the parent still drains its steps.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {})
tell('ready')
