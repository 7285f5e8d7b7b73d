import { parseArgs } from 'node:util'
import { startAnthropicSimulator } from './anthropic-server.ts'
import { startOpenAiSimulator } from './openai-server.ts'

/** A simulator as a process of its own, for benchmarks. Prints {"url": …} once it listens; ends by SIGTERM. */
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    'latency-ms': { type: 'string', default: '200' },
    'latency-sigma': { type: 'string', default: '0' },
    'jitter-ms': { type: 'string', default: '0' },
    'answer-share-ppm': { type: 'string' },
    'window-ms': { type: 'string', default: '60000' },
    requests: { type: 'string' },
    tokens: { type: 'string' },
    'input-price': { type: 'string', default: '0' },
    'output-price': { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    'rate-limited-ppm': { type: 'string', default: '0' },
    'server-error-ppm': { type: 'string', default: '0' },
    'slow-ppm': { type: 'string', default: '0' },
    'cut-off-ppm': { type: 'string', default: '0' },
    'malformed-ppm': { type: 'string', default: '0' },
    slots: { type: 'string', default: '256' },
    'slow-marker': { type: 'string' },
    'slow-ms': { type: 'string', default: '10000' },
    key: { type: 'string', default: 'test-key' },
  },
})
const numberOf = (text: string | undefined) => (text === undefined ? undefined : Number(text))
const options = {
  port: Number(values.port),
  latencyMs: Number(values['latency-ms']),
  latencySigma: Number(values['latency-sigma']),
  jitterMs: Number(values['jitter-ms']),
  seed: Number(values.seed),
  rateLimitedPpm: Number(values['rate-limited-ppm']),
  serverErrorPpm: Number(values['server-error-ppm']),
  slowPpm: Number(values['slow-ppm']),
  cutOffPpm: Number(values['cut-off-ppm']),
  malformedPpm: Number(values['malformed-ppm']),
  account: {
    windowMs: Number(values['window-ms']),
    requests: numberOf(values.requests),
    tokens: numberOf(values.tokens),
    inputMicroUsdPerMTok: Number(values['input-price']),
    outputMicroUsdPerMTok: Number(values['output-price']),
  },
  ...(values['answer-share-ppm'] !== undefined && { answerSharePpm: Number(values['answer-share-ppm']) }),
  slots: Number(values.slots),
  slowMs: Number(values['slow-ms']),
  ...(values['slow-marker'] !== undefined && { slowMarker: values['slow-marker'] }),
  apiKey: values.key,
  keepArrivals: false,
}
const simulator = await (positionals[0] === 'anthropic'
  ? startAnthropicSimulator(options)
  : startOpenAiSimulator(options))
console.log(JSON.stringify({ url: simulator.url }))
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void simulator.stop())
