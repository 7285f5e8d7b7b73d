import type { AnswerDeps } from '../../../services/inference/answer.ts'
import type { GenerateOptions, Piece, Sequence, Token } from '../../../services/inference/language-model.ts'
import { completionFormat } from '../../../services/inference/prompt-format.ts'
import { createSlots } from '../../../services/inference/slots.ts'

/** What a scripted sequence writes, and how it ends; `gate` holds it before each piece. */
export interface Script {
  pieces: (Piece | Error)[]
  end?: 'end' | 'length'
  gate?: (signal: AbortSignal) => Promise<void>
}

export interface ScriptedEngine extends AnswerDeps {
  /** Options of each generation, in order. */
  asked: GenerateOptions[]
}

/** An engine whose sequences write what a test says; a token is a character of the prompt. For unit tests alone. */
export function scriptedEngine(
  script: Script,
  options: { sequences?: number; maxWaiting?: number } = {},
): ScriptedEngine {
  const asked: GenerateOptions[] = []
  const sequence = (): Sequence => ({
    cachedTokens: () => 0,
    async *generate(_prompt: Token[], generateOptions: GenerateOptions, signal: AbortSignal) {
      asked.push(generateOptions)
      for (const piece of script.pieces) {
        await script.gate?.(signal)
        signal.throwIfAborted()
        if (piece instanceof Error) throw piece
        yield piece
      }
      return script.end ?? 'end'
    },
  })
  const { sequences = 1, maxWaiting = 0 } = options
  return {
    asked,
    format: completionFormat,
    slots: createSlots({ nowMs: Date.now }, Array.from({ length: sequences }, sequence), { maxWaiting }),
    model: {
      contextTokens: 1_000,
      tokenize: (segments) => segments.flatMap(({ text }) => text.split('').map((one) => one.charCodeAt(0) as Token)),
    },
  }
}

export const words = (...texts: string[]): Piece[] => texts.map((text) => ({ text }))
