import { availableParallelism } from 'node:os'
import { ShuntError } from '#lib/errors'

export interface InferenceOptions {
  /** GGUF file. */
  modelPath: string
  /** What /v1/models calls it and requests must name. @default gemma-3-270m */
  modelName: string
  httpHost: string
  /** 0 picks a free one. @default 8090 */
  httpPort: number
  /** Answers written at the same time, each with its own part of the key-value cache. @default 4 */
  sequences: number
  /**
   * Threads of the matrix arithmetic, which spin while they wait for each other. Never left to llama.cpp, and one core is
   * left to the other processes: on two cores two threads wrote 44 tokens a second and one wrote 29 (four sequences,
   * reading included), but with both cores busy two wrote 4. Set it to the number of cores on a machine of its own.
   * @default the cores this process may use less one, at least one
   */
  threads: number
  /** Prompt and answer of one sequence together; 18 kB of memory each with Gemma 3 270M. @default 2048 */
  contextTokens: number
  /** Requests that wait for a sequence before 429 is answered. @default 64 */
  maxWaiting: number
  /** Larger bodies are answered with 413. @default 1 MiB */
  maxBodyBytes: number
  logLevel: string
  /** SIGTERM to the end of the drain. */
  shutdownGraceMs: number
  /** SIGTERM to a hard exit. */
  shutdownForceMs: number
}

type Env = Readonly<Record<string, string | undefined>>

/**
 * Its own reading of the environment, for it has no Kafka, registry or Redis to be told of.
 * Throws SHUNT_CONFIG_INVALID.
 */
export function readInferenceOptions(env: Env): InferenceOptions {
  const modelPath = env['SHUNT_MODEL_PATH']
  if (!modelPath) throw new ShuntError('SHUNT_CONFIG_INVALID', 'SHUNT_MODEL_PATH is not set: name a GGUF file')
  const shutdownGraceMs = whole(env, 'SHUNT_SHUTDOWN_GRACE_MS', 20_000, 0)
  return {
    modelPath,
    modelName: env['SHUNT_MODEL_NAME'] ?? 'gemma-3-270m',
    httpHost: env['SHUNT_HTTP_HOST'] ?? '127.0.0.1',
    httpPort: whole(env, 'SHUNT_HTTP_PORT', 8090, 0),
    sequences: whole(env, 'SHUNT_INFERENCE_SEQUENCES', 4, 1),
    threads: whole(env, 'SHUNT_INFERENCE_THREADS', Math.max(1, availableParallelism() - 1), 1),
    contextTokens: whole(env, 'SHUNT_INFERENCE_CONTEXT_TOKENS', 2_048, 256),
    maxWaiting: whole(env, 'SHUNT_INFERENCE_MAX_WAITING', 64, 0),
    maxBodyBytes: whole(env, 'SHUNT_INFERENCE_MAX_BODY_BYTES', 1_048_576, 1_024),
    logLevel: env['SHUNT_LOG_LEVEL'] ?? 'info',
    shutdownGraceMs,
    shutdownForceMs: shutdownGraceMs + 5_000,
  }
}

function whole(env: Env, name: string, fallback: number, min: number): number {
  const text = env[name]
  if (text === undefined) return fallback
  if (!/^\d{1,9}$/.test(text) || Number(text) < min)
    throw new ShuntError('SHUNT_CONFIG_INVALID', `${name}=${text}: not a whole number from ${min}`)
  return Number(text)
}
