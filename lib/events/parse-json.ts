import { ShuntError } from '#lib/errors'

/** Throws SHUNT_EVENT_INVALID with the place. V8's own message quotes the text around it, which may be a prompt. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const position = /at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1]
    throw new ShuntError('SHUNT_EVENT_INVALID', `not JSON${position === undefined ? '' : ` at character ${position}`}`)
  }
}
