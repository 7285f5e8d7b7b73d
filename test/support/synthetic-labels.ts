import { seededRandom } from '#lib/calibration/seeded-random'

/** A line of labels: which of two models answered a made-up step right. */
export interface SyntheticLabel {
  id: string
  kind: string
  group: string
  request: { messages: { role: 'user'; content: string }[] }
  outcome: { oss: boolean; frontier: boolean }
}

/** Chances of being right, by what the step is about: the open model fails at proofs, both at riddles. */
const groups = {
  lookup: { oss: 0.95, frontier: 0.95, words: 'Which city is the capital of the country' },
  proof: { oss: 0.1, frontier: 0.9, words: 'Prove by induction that the theorem holds for the integer' },
  riddle: { oss: 0.1, frontier: 0.15, words: 'Guess the riddle about a silent number behind the door' },
} as const

export function syntheticLabels(count: number, seed: number): SyntheticLabel[] {
  const random = seededRandom(seed)
  const names = Object.keys(groups) as (keyof typeof groups)[]
  return Array.from({ length: count }, (_, i) => {
    const group = names[i % names.length]!
    const { oss, frontier, words } = groups[group]
    return {
      id: `s/${i}`,
      kind: 'question',
      group,
      request: { messages: [{ role: 'user', content: `${words} ${Math.floor(random() * 1_000)}?` }] },
      outcome: { oss: random() < oss, frontier: random() < frontier },
    }
  })
}
