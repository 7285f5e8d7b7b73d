import { readFile } from 'node:fs/promises'
import { hash } from 'node:crypto'
import { collect, readLabels, readRequests } from '#lib/calibration/labels'
import { modelCard } from '#lib/calibration/model-card'
import { writeScorerDirectory } from '#lib/calibration/scorer-directory'
import { trainScorer } from '#lib/calibration/train-scorer'
import { shippedScorerDir } from '#lib/policy/scorer-file'
import { encodeScorer } from '#lib/routing/scorer-codec'
import { dataFile } from './bench/data-file.ts'

/**
 * Makes lib/routing/default-scorer/scorer.bin anew: `node scripts/train-default-scorer.ts`, with the data sets in
 * SHUNT_DATA_DIR. The same data and release give the same bytes.
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
const scorerHash = hash('sha256', bytes)
const source = `${labelled.map(({ name }) => name).join(' and ')}: RouteLLM's labels (Apache-2.0) of MMLU and GSM8K`
const figures = [
  'the OSS model is Mixtral 8x7B Instruct, the frontier model GPT-4 (1106): of other pairs, the embedded model among them, it is a guess',
  'it has labels of questions alone: steps of other kinds, tool calls among them, are judged by hand-set weights',
  '`npm run bench -- router` has the figures of scorers that are trained like it on a part of the same labels',
]
const card = modelCard({ header: model.header, hash: scorerHash, source, figures })
await writeScorerDirectory(shippedScorerDir, { bytes, card, calibration: { scorerHash, source, figures } })
console.log(`${labels.length} labels, ${requests.length} requests without: ${bytes.length} bytes, sha256 ${scorerHash}`)

async function* bytesOf(name: string): AsyncGenerator<Buffer> {
  yield await readFile(dataFile(name))
}
