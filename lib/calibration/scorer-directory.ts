import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readScorerFile } from '#lib/policy/scorer-file'
import { decodeScorer } from '#lib/routing/scorer-codec'
import { createTrainedScorer, type TrainedScorer } from '#lib/routing/trained-scorer'

/** What `shunt calibrate` leaves: the scorer, what it is and is not good for, and the figures for a program. */
export interface ScorerFiles {
  bytes: Buffer
  card: string
  calibration: unknown
  /** The same figures as a page with plots. */
  report?: string
}

/** A file is there whole or not at all; scorer.bin comes last, so that it never lies beside another one's card. */
export async function writeScorerDirectory(
  dir: string,
  { bytes, card, calibration, report }: ScorerFiles,
): Promise<void> {
  await mkdir(dir, { recursive: true })
  const put = async (name: string, content: string | Buffer) => {
    const temporary = join(dir, `.${name}.${process.pid}`)
    await writeFile(temporary, content)
    await rename(temporary, join(dir, name))
  }
  await put('MODEL_CARD.md', card)
  await put('calibration.json', `${JSON.stringify(calibration, null, 2)}\n`)
  if (report !== undefined) await put('report.html', report)
  await put('scorer.bin', bytes)
}

/** The scorer of a directory, by default the one that ships. Throws SHUNT_SCORER_MISSING and SHUNT_SCORER_INVALID. */
export function readScorerDirectory(dir?: string): TrainedScorer {
  const { bytes, hash } = readScorerFile(dir)
  return createTrainedScorer(decodeScorer(bytes), hash)
}
