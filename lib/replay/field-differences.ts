/** A field that is not the same on both sides; `undefined` where one side lacks it. */
export interface FieldDifference {
  /** `terms[2].ppm`. */
  path: string
  recorded: unknown
  remade: unknown
}

/** Beyond these a difference is not made any clearer. */
const mostFields = 32

/** Where two plain values differ, leaf by leaf, in the order of their fields. */
export function fieldDifferences(recorded: unknown, remade: unknown, path = ''): FieldDifference[] {
  const found: FieldDifference[] = []
  compare(recorded, remade, path, found)
  return found
}

function compare(recorded: unknown, remade: unknown, path: string, found: FieldDifference[]): void {
  if (found.length >= mostFields || Object.is(recorded, remade)) return
  if (Array.isArray(recorded) && Array.isArray(remade)) {
    for (let i = 0; i < Math.max(recorded.length, remade.length); i++)
      compare(recorded[i], remade[i], `${path}[${i}]`, found)
  } else if (isPlain(recorded) && isPlain(remade)) {
    for (const name of new Set([...Object.keys(recorded), ...Object.keys(remade)]))
      compare(recorded[name], remade[name], path === '' ? name : `${path}.${name}`, found)
  } else found.push({ path, recorded, remade })
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
