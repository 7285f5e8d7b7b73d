import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hash } from 'node:crypto'
import { join } from 'node:path'
import { collect, readLabels, readRequests } from '#lib/calibration/labels'
import { trainScorer } from '#lib/calibration/train-scorer'
import { shippedScorerDir } from '#lib/policy/scorer-file'
import { encodeScorer } from '#lib/routing/scorer-codec'
import { dataFile } from './bench/data-file.ts'

/**
 * Makes lib/routing/default-scorer/scorer.bin anew: `node scripts/train-default-scorer.ts`, with the data sets in
 * SHUNT_DATA_DIR. The same data and release give the same bytes. MODEL_CARD.md beside it is written by hand.
 */
/** With the kind that the questions of each set are; a question of MMLU is of none of Shunt's. */
const labelled = [
  { name: 'routellm-mmlu.jsonl.gz', kind: 'unknown' },
  { name: 'routellm-gsm8k.jsonl.gz', kind: 'reasoning' },
] as const
const unlabelled = ['bfcl-v1.jsonl.gz', 'headlines.jsonl.gz']
/** Of each set without labels: enough to know its words, and not so many that its words count as common everywhere. */
const mostUnlabelled = 2_000
const seed = 1

const labels = []
for (const { name, kind } of labelled)
  for (const label of (await collect(readLabels(bytesOf(name)))).values) labels.push({ ...label, kind })
const requests = []
for (const name of unlabelled)
  requests.push(...(await collect(readRequests(bytesOf(name)))).values.slice(0, mostUnlabelled))

const { model } = await trainScorer(labels, {
  seed,
  unlabelled: requests,
  onProgress: (done, of) => console.log(`${done} of ${of}`),
})
const bytes = encodeScorer(model)
mkdirSync(shippedScorerDir, { recursive: true })
writeFileSync(join(shippedScorerDir, 'scorer.bin'), bytes)
console.log(
  `${labels.length} labels, ${requests.length} requests without: ${bytes.length} bytes, sha256 ${hash('sha256', bytes)}`,
)

async function* bytesOf(name: string): AsyncGenerator<Buffer> {
  yield await readFile(dataFile(name))
}
