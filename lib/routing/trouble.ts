const FULL_PPM = 1_000_000

export type TroubleKind = 'toolErrors' | 'repeatedCalls' | 'unknownToolCalls' | 'malformedCalls'

/** A call that went wrong, in one way or several. */
export interface Trouble {
  kinds: readonly TroubleKind[]
  turn: number
  /** Empty where a result names no call. */
  tool: string
}

/** The last turns with a result that is no failure; 0 where there was none. */
export interface Answers {
  byTool: Map<string, number>
  ofOfferedTool: number
  /** Of a call that repeated none. */
  ofNewCall: number
}

/** How much one fresh trouble says about the turns to come. */
const weightPpm: Record<TroubleKind, number> = {
  /** The world's fault as often as the agent's: a flight that is sold out. */
  toolErrors: 300_000,
  /** The agent goes in circles. */
  repeatedCalls: 350_000,
  /** The model invents tools. */
  unknownToolCalls: 600_000,
  /** The model cannot write the call. */
  malformedCalls: 500_000,
}

/** A trouble counts half this many turns later, a third after twice as many. */
const halfAfterTurns = 3

/** Once the agent has found its way out, a trouble counts this part. */
const recoveredPart = 4

/**
 * True where a later turn shows that the agent found its way: the tool that failed has answered, an offered one in
 * place of an invented one, a new call after a repeated one.
 */
export function isRecovered({ kinds, turn, tool }: Trouble, answers: Answers): boolean {
  if (kinds.includes('unknownToolCalls') || tool === '') return answers.ofOfferedTool > turn
  const answeredTurn = answers.byTool.get(tool) ?? 0
  return kinds.every((kind) => (kind === 'repeatedCalls' ? answers.ofNewCall : answeredTurn) > turn)
}

/**
 * The sum over all troubles, at most a full one. What is wrong in several ways counts by the worst, and calls of one
 * tool in one turn count once: they are one mistake, made in parallel.
 */
export function troublePpm(troubles: readonly Trouble[], answers: Answers, turns: number): number {
  const parts = new Map<string, number>()
  for (const trouble of troubles) {
    const weight = Math.max(...trouble.kinds.map((kind) => weightPpm[kind]))
    const faded = Math.floor((weight * halfAfterTurns) / (halfAfterTurns + turns - trouble.turn))
    const part = isRecovered(trouble, answers) ? Math.floor(faded / recoveredPart) : faded
    const key = `${trouble.turn} ${trouble.tool}`
    parts.set(key, Math.max(part, parts.get(key) ?? 0))
  }
  let sum = 0
  for (const part of parts.values()) sum += part
  return Math.min(FULL_PPM, sum)
}
