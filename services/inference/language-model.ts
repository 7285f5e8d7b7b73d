import { getLlama, LlamaGrammarEvaluationState, LlamaLogLevel } from 'node-llama-cpp'
import type {
  Llama,
  LlamaContextSequence,
  LlamaGrammar,
  LlamaModel,
  SequenceEvaluateOptions,
  Token,
} from 'node-llama-cpp'
import type { Logger } from '#lib/telemetry/logger'
import type { Sampling } from './generation-request.ts'
import type { Segment } from './prompt-format.ts'

export type { Token }

/** One written token. */
export interface Piece {
  /** May be empty: a character can take several tokens. */
  text: string
  logprob?: number
  top?: { text: string; logprob: number }[]
}

export interface GenerateOptions {
  sampling: Sampling
  maxTokens: number
  /** GBNF; undefined for none. */
  grammar: string | undefined
  topLogprobs: number | undefined
}

/** One of the places in which an answer can be written; keeps what it has read for the next prompt that begins so. */
export interface Sequence {
  /** Tokens of the prompt that need no reading again. */
  cachedTokens(prompt: readonly Token[]): number
  /**
   * Writes tokens; returns whether the model ended by itself or maxTokens did. One call at a time on a sequence.
   * Rejects with the signal's reason between two tokens, or between two parts of the prompt.
   */
  generate(prompt: Token[], options: GenerateOptions, signal: AbortSignal): AsyncGenerator<Piece, 'end' | 'length'>
}

export interface LanguageModel {
  /** Prompt and answer together. */
  contextTokens: number
  sequences: readonly Sequence[]
  chatTemplate: { source: string; bos: string; eos: string } | undefined
  tokenize(segments: readonly Segment[]): Token[]
  dispose(): Promise<void>
}

export interface LanguageModelOptions {
  modelPath: string
  sequences: number
  threads: number
  contextTokens: number
}

/** Tokens of a prompt that are read in one go: the time that other sequences wait, and an abort takes. */
const READ_TOKENS = 256
/** OpenAI's figure for "practically never". */
const LEAST_LOGPROB = -9_999
/** Grammars are compiled once for as long as they are in use; a tool set usually serves many steps. */
const GRAMMARS_KEPT = 32

/**
 * Loads a GGUF file onto the CPU. The prebuilt binary is used or nothing: never a compiler, never a download.
 * The full cache is kept for models with sliding-window attention, since a window cannot be reused from its middle.
 */
export async function loadLanguageModel(
  deps: { log: Pick<Logger, 'warn' | 'error'> },
  options: LanguageModelOptions,
): Promise<LanguageModel> {
  const llama = await getLlama({
    build: 'never',
    gpu: false,
    skipDownload: true,
    progressLogs: false,
    maxThreads: options.threads,
    logLevel: LlamaLogLevel.warn,
    logger: (level, message) => deps.log[level === LlamaLogLevel.warn ? 'warn' : 'error']({ llama: message.trim() }),
  })
  const model = await llama.loadModel({ modelPath: options.modelPath })
  const context = await model.createContext({
    sequences: options.sequences,
    contextSize: options.contextTokens,
    batchSize: READ_TOKENS,
    threads: { ideal: options.threads, min: options.threads },
    swaFullCache: true,
  })
  const compile = createGrammarCache(llama)
  const { bos, bosString, eosString, shouldPrependBosToken } = model.tokens
  const source = model.fileInfo.metadata.tokenizer?.chat_template
  return {
    contextTokens: context.contextSize,
    sequences: Array.from({ length: options.sequences }, () => createSequence(model, context.getSequence(), compile)),
    chatTemplate: source === undefined ? undefined : { source, bos: bosString ?? '', eos: eosString ?? '' },
    tokenize: (segments) => {
      const tokens = segments.flatMap(({ text, special }) => model.tokenize(text, special))
      return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens
    },
    dispose: async () => {
      await context.dispose()
      await model.dispose()
      await llama.dispose()
    },
  }
}

function createSequence(
  model: LlamaModel,
  sequence: LlamaContextSequence,
  compile: (grammar: string) => Promise<LlamaGrammar>,
): Sequence {
  const reusable = (prompt: readonly Token[]): number =>
    // The last token is always read: its outcome is where the answer begins.
    Math.min(sequence.compareContextTokens([...prompt]).firstDifferentIndex, prompt.length - 1)

  async function* generate(
    prompt: Token[],
    options: GenerateOptions,
    signal: AbortSignal,
  ): AsyncGenerator<Piece, 'end' | 'length'> {
    const written: Token[] = []
    const evaluation = evaluateOptions(options, written)
    if (options.grammar !== undefined)
      evaluation.grammarEvaluationState = new LlamaGrammarEvaluationState({
        model,
        grammar: await compile(options.grammar),
      })
    await sequence.adaptStateToTokens(prompt.slice(0, reusable(prompt)), false)
    let unread = prompt.slice(sequence.nextTokenIndex)
    while (unread.length > READ_TOKENS) {
      signal.throwIfAborted()
      await sequence.evaluateWithoutGeneratingNewTokens(unread.slice(0, READ_TOKENS))
      unread = unread.slice(READ_TOKENS)
    }
    signal.throwIfAborted()
    const metadata = {
      confidence: options.topLogprobs !== undefined,
      probabilities: (options.topLogprobs ?? 0) > 0,
    } as const
    const toText = createDetokenizer(model, prompt)
    for await (const output of sequence.evaluateWithMetadata(unread, metadata, evaluation)) {
      signal.throwIfAborted()
      written.push(output.token)
      yield readPiece(model, toText(output.token), output, options.topLogprobs)
      if (written.length === options.maxTokens) return 'length'
    }
    return 'end'
  }

  return { cachedTokens: reusable, generate }
}

function evaluateOptions({ sampling, maxTokens }: GenerateOptions, written: readonly Token[]): SequenceEvaluateOptions {
  const { temperature, topP, seed, frequencyPenalty, presencePenalty } = sampling
  const options: SequenceEvaluateOptions = { temperature, topP, seed }
  if (frequencyPenalty !== 0 || presencePenalty !== 0)
    options.repeatPenalty = {
      punishTokens: () => [...written],
      maxPunishTokens: maxTokens,
      penalty: 1,
      frequencyPenalty,
      presencePenalty,
    }
  return options
}

type Output = { token: Token; confidence?: number; probabilities?: Map<Token, number> }

/**
 * Log-probabilities are of the distribution that the token was drawn from: the whole vocabulary at temperature 0,
 * after temperature and top_p otherwise; where a grammar had to step in, of what it allowed.
 */
function readPiece(model: LlamaModel, text: string, output: Output, topLogprobs: number | undefined): Piece {
  if (topLogprobs === undefined || output.confidence === undefined) return { text }
  const top: NonNullable<Piece['top']> = []
  // Most likely first; the vocabulary is long, so it is not copied.
  for (const [token, probability] of output.probabilities ?? []) {
    if (top.length === topLogprobs) break
    top.push({ text: model.detokenize([token]), logprob: toLogprob(probability) })
  }
  return { text, logprob: toLogprob(output.confidence), top }
}

function toLogprob(probability: number): number {
  return Math.max(LEAST_LOGPROB, Math.log(probability))
}

/** Text of each further token; a character that is spread over tokens comes with the last of them. */
function createDetokenizer(model: LlamaModel, prompt: readonly Token[]): (token: Token) => string {
  let before: readonly Token[] = prompt.slice(-4)
  let pending: Token[] = []
  return (token) => {
    pending.push(token)
    const text = model.detokenize(pending, false, before)
    if (text.endsWith('\uFFFD') && pending.length < 4) return ''
    before = pending
    pending = []
    return text
  }
}

function createGrammarCache(llama: Llama): (grammar: string) => Promise<LlamaGrammar> {
  const compiled = new Map<string, Promise<LlamaGrammar>>()
  return (grammar) => {
    const known = compiled.get(grammar) ?? llama.createGrammar({ grammar })
    // Put last again: the first is the one used longest ago.
    compiled.delete(grammar)
    compiled.set(grammar, known)
    const [oldest] = compiled.keys()
    if (compiled.size > GRAMMARS_KEPT && oldest !== undefined) compiled.delete(oldest)
    return known
  }
}
