import { createLogger } from '#lib/telemetry/logger'
import type { AnswerDeps } from './answer.ts'
import { createTemplateFormat } from './chat-template.ts'
import { loadLanguageModel } from './language-model.ts'
import { createInferenceMetrics } from './metrics.ts'
import { readInferenceOptions } from './options.ts'
import { completionFormat } from './prompt-format.ts'
import { createServer } from './server.ts'
import { createSlots } from './slots.ts'

const options = readInferenceOptions(process.env)
const log = createLogger('inference', options.logLevel)
const stop = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort(name))
stop.signal.addEventListener('abort', () => setTimeout(() => process.exit(1), options.shutdownForceMs).unref())

let engine: AnswerDeps | undefined
const metrics = createInferenceMetrics(() => engine?.slots.counts() ?? { busy: 0, waiting: 0 })
const server = createServer({ engine: () => engine, metrics, log, nowMs: Date.now }, options)
// Listening before the model is there, so that /health can say that it is loading.
const url = await server.listen({ host: options.httpHost, port: options.httpPort })
log.info({ url, model: options.modelName }, 'loading the model')
const startedAtMs = Date.now()
const model = await loadLanguageModel({ log }, options)
const slots = createSlots({ nowMs: Date.now }, model.sequences, options)
const { chatTemplate } = model
engine = {
  model,
  slots,
  format: chatTemplate ? createTemplateFormat(chatTemplate.source, chatTemplate) : completionFormat,
}
log.info({ url, loadMs: Date.now() - startedAtMs, chatTemplate: chatTemplate !== undefined }, 'ready')

if (!stop.signal.aborted) await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }))
// Answers under way are finished; what takes longer than the grace period is cut off by the exit.
setTimeout(() => process.exit(1), options.shutdownGraceMs).unref()
await server.close()
await model.dispose()
log.info('stopped')
