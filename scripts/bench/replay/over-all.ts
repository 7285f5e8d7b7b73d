import type { Figure } from '../figures.ts'

/** Keys of parts whose values a reader wants as one: no decision differs, and no command takes more memory. */
const differences = ['verifyDifferences', 'underLoadDifferences']
const memories = ['verifyMaxRssMb', 'featuresMaxRssMb', 'diffMaxRssMb', 'diffScoresMaxRssMb']

/** Figures over all parts that were measured; none of what was not. */
export function overAll(figures: readonly Figure[]): Figure[] {
  const of = (keys: readonly string[]): Figure[] => figures.filter(({ key }) => key !== undefined && keys.includes(key))
  const [differing, resident] = [of(differences), of(memories)]
  const listed = (some: readonly Figure[]): string =>
    some.map(({ key, value }) => `${key} ${Math.round(value)}`).join(', ')
  return [
    ...(differing.length > 0
      ? [
          {
            name: 'decisions that did not come out byte for byte, of all that were made again',
            key: 'differences',
            value: differing.reduce((sum, { value }) => sum + value, 0),
            unit: 'decisions',
            target: { atMost: 0 },
            note: listed(differing),
          },
        ]
      : []),
    ...(resident.length > 0
      ? [
          {
            name: 'memory of verify and diff, the highest',
            key: 'maxRssMb',
            value: Math.max(...resident.map(({ value }) => value)),
            unit: 'MB',
            target: { atMost: 300 },
            note: listed(resident),
          },
        ]
      : []),
  ]
}
