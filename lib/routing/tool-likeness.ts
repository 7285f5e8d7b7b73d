import type { ToolProfile } from './tool-profile.ts'

/** Tools that do another thing with the same object, as create and list, are told apart by the verb. */
const otherActionPart = 0.6

/**
 * How much two tools say the same of themselves, 0 to 1: the cosine of what their words begin with, so that `calc` is
 * near `calculate`. Not weighed by how many of the offered tools have a word: what all of them say is what makes them twins.
 * Linear in the shorter of the two.
 */
export function likeness(a: ToolProfile, b: ToolProfile): number {
  const [shorter, longer] = a.roots.size < b.roots.size ? [a, b] : [b, a]
  let product = 0
  for (const [root, weight] of shorter.roots) product += weight * (longer.roots.get(root) ?? 0)
  const cosine = product / (a.rootsLength * b.rootsLength || 1)
  const otherAction = a.actions !== 0 && b.actions !== 0 && (a.actions & b.actions) === 0
  return Math.min(1, otherAction ? cosine * otherActionPart : cosine)
}
