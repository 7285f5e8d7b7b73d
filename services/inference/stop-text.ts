export interface StopText {
  /** Text that may be told now; `ended` when a stop text was met, which is not told. */
  push(text: string): { text: string; ended: boolean }
  /** What was held back, once the model has ended. */
  finish(): string
}

/** Cuts a text that comes in pieces at the first stop text, and takes blank space off both of its ends. */
export function createStopText(stop: readonly string[]): StopText {
  let held = ''
  let started = false
  return {
    push: (text) => {
      held += text
      if (!started) held = held.trimStart()
      if (held === '') return { text: '', ended: false }
      started = true
      const at = firstStop(held, stop)
      const length = at < 0 ? tellableLength(held, stop) : held.slice(0, at).trimEnd().length
      const told = held.slice(0, length)
      held = at < 0 ? held.slice(length) : ''
      return { text: told, ended: at >= 0 }
    },
    finish: () => {
      const told = held.trimEnd()
      held = ''
      return told
    },
  }
}

function firstStop(text: string, stop: readonly string[]): number {
  const places = stop.map((one) => text.indexOf(one)).filter((at) => at >= 0)
  return places.length === 0 ? -1 : Math.min(...places)
}

/** Up to where a stop text may begin, or the text may end in blank space. */
function tellableLength(text: string, stop: readonly string[]): number {
  const longest = Math.max(0, ...stop.map((one) => one.length))
  for (let at = Math.max(0, text.length - longest); at < text.length; at++)
    if (stop.some((one) => one.startsWith(text.slice(at)))) return text.slice(0, at).trimEnd().length
  return text.trimEnd().length
}
