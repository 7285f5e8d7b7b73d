import type { ScorerHeader } from '#lib/routing/scorer-model'
import { minLabelsPerKind } from '#lib/routing/scorer-model'

export interface CardFacts {
  header: ScorerHeader
  hash: string
  /** Files the labels came from. */
  source: string
  /** Lines of figures, in words. */
  figures: readonly string[]
}

/** What a scorer is, for those who are to trust it, in Markdown (Mitchell et al. 2019, arXiv:1810.03993). */
export function modelCard({ header, hash, source, figures }: CardFacts): string {
  const { labels, kinds, documents, seed } = header
  const table = Object.entries(kinds)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([kind, count]) =>
        `| ${kind} | ${count} |${count < minLabelsPerKind ? ' too few: judged by hand-set weights |' : ' |'}`,
    )
  return `# Scorer ${hash.slice(0, 12)}

P(the OSS answer is right) and what escalation gains, P(the frontier answer is right) less P(the OSS answer is right).
It speaks for the two models whose answers were labelled, and for steps like those; for other models calibrate another.

| | |
| --- | --- |
| sha256 | \`${hash}\` |
| labels from | ${source} |
| labels | ${labels.oss} of the OSS model, ${labels.frontier} of the frontier model, ${labels.both} of both |
| requests of the training text | ${documents} |
| seed | ${seed} |

| kind | labels | |
| --- | --- | --- |
${table.join('\n')}

## Figures

${figures.map((figure) => `- ${figure}`).join('\n')}

## Limits

- Out-of-fold figures are of steps drawn like the labels. They say nothing of steps that are not: the classifier's drift
  metrics tell when those come.
- Steps of a kind with fewer than ${minLabelsPerKind} labels are judged by hand-set weights, without a gain.
- No text is in it, but hashed words are: whoever holds it can test whether a word was frequent in the labels.
`
}
