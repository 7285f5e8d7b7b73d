import { parseArgs } from 'node:util'
import { startAnthropicSimulator } from './anthropic-server.ts'
import { startOpenAiSimulator } from './openai-server.ts'

/** A simulator as a process of its own, for benchmarks. Prints {"url": …} once it listens; ends by SIGTERM. */
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    'latency-ms': { type: 'string', default: '200' },
    slots: { type: 'string', default: '256' },
    'slow-marker': { type: 'string' },
    'slow-ms': { type: 'string', default: '10000' },
    key: { type: 'string', default: 'test-key' },
  },
})
const options = {
  port: Number(values.port),
  latencyMs: Number(values['latency-ms']),
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
