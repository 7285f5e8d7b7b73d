import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

export interface InferenceMetrics {
  registry: Registry
  requests: Counter<'status'>
  promptTokens: Counter
  cachedTokens: Counter
  completionTokens: Counter
  firstTokenSeconds: Histogram
  requestSeconds: Histogram
}

/** `counts` is read at each scrape. */
export function createInferenceMetrics(counts: () => { busy: number; waiting: number }): InferenceMetrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const gauge = (name: string, help: string, read: () => number): Gauge =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  gauge('shunt_inference_busy_sequences', 'Sequences that write an answer', () => counts().busy)
  gauge('shunt_inference_waiting_requests', 'Requests that wait for a sequence', () => counts().waiting)
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers })
  const buckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
  return {
    registry,
    requests: new Counter({
      name: 'shunt_inference_requests_total',
      help: 'Chat completions by HTTP status; 499: the client left',
      labelNames: ['status'],
      registers,
    }),
    promptTokens: counter('shunt_inference_prompt_tokens_total', 'Tokens of prompts'),
    cachedTokens: counter('shunt_inference_cached_tokens_total', 'Tokens of prompts that needed no reading again'),
    completionTokens: counter('shunt_inference_completion_tokens_total', 'Tokens written'),
    firstTokenSeconds: new Histogram({
      name: 'shunt_inference_first_token_seconds',
      help: 'Request to the first token that was told, the wait for a sequence included',
      buckets,
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'shunt_inference_request_seconds',
      help: 'Request to the end of its answer',
      buckets,
      registers,
    }),
  }
}
