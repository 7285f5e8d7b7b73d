import type { ToolProfile } from './tool-profile.ts'

/** Tools that do another thing with the same object, as create and list, are told apart by the verb. */
const otherActionPart = 0.6

/** Fewer tools than these that begin alike are a chance. */
const serverSize = 4

/** What more than half of the tools begin their names with: their server, which tells none of them from another. */
export function serverPrefix(profiles: readonly ToolProfile[]): string | undefined {
  const users = new Map<string, number>()
  for (const { prefix } of profiles) {
    if (prefix === undefined) continue
    const count = (users.get(prefix) ?? 0) + 1
    if (count >= serverSize && count * 2 > profiles.length) return prefix
    users.set(prefix, count)
  }
  return undefined
}

/**
 * How much two tools say the same of themselves, 0 to 1: the cosine of what their words begin with, so that `calc` is
 * near `calculate`. Not weighed by how many of the offered tools have a word: what all of them say is what makes them twins.
 * `ignored`, their server's name, is left out. Linear in the shorter of the two.
 */
export function likeness(a: ToolProfile, b: ToolProfile, ignored?: string): number {
  const [shorter, longer] = a.roots.size < b.roots.size ? [a, b] : [b, a]
  let product = 0
  for (const [root, weight] of shorter.roots) if (root !== ignored) product += weight * (longer.roots.get(root) ?? 0)
  const cosine = product / (lengthWithout(a, ignored) * lengthWithout(b, ignored) || 1)
  const otherAction = a.actions !== 0 && b.actions !== 0 && (a.actions & b.actions) === 0
  return Math.min(1, otherAction ? cosine * otherActionPart : cosine)
}

function lengthWithout({ roots, rootsLength }: ToolProfile, ignored: string | undefined): number {
  const weight = ignored === undefined ? 0 : (roots.get(ignored) ?? 0)
  // Rounding may leave less than nothing of a tool that says no more than its server's name.
  return weight === 0 ? rootsLength : Math.sqrt(Math.max(0, rootsLength * rootsLength - weight * weight))
}
