/** Metadata key under which a step names the closed set that its answer must come from. */
export const labelsKey = 'shunt.labels'

const maxLabels = 256

/**
 * The labels that a step's metadata name: a JSON array of strings, or names between commas. null where there is no such
 * entry; undefined where there is one and it names no labels.
 */
export function readLabelSet(metadata: Readonly<Record<string, string>>): string[] | null | undefined {
  const text = metadata[labelsKey]
  if (text === undefined) return null
  const labels = text.trimStart().startsWith('[') ? parseList(text) : text.split(',')
  const named = labels?.map((label) => label.trim())
  if (!named || named.length === 0 || named.length > maxLabels || named.includes('')) return undefined
  return named
}

function parseList(text: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : undefined
  } catch {
    return undefined
  }
}

/** White space around it and the case of letters do not count; anything else beside the label does. */
export function isLabel(answer: string, labels: readonly string[]): boolean {
  const form = (text: string) => text.trim().normalize('NFC').toLowerCase()
  const given = form(answer)
  return labels.some((label) => form(label) === given)
}
