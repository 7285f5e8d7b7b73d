import { readFile, rename, writeFile } from 'node:fs/promises'
import { ShuntError } from '#lib/errors'
import { noFacts, type FactCounts } from './fact-counts.ts'
import { noDecisions, type Finding, type VerifyProgress } from './verify-decisions.ts'

/** A verification that can go on where it stopped. */
export interface Verification extends VerifyProgress {
  /** What is verified, and how: another question is another verification. */
  question: string
  /** When it began, epoch ms: durations of its range count from there. */
  startedAtMs: number
  /** Null where facts are not recomputed. */
  facts: FactCounts | null
  /** The first of them. */
  findings: Finding[]
}

const version = 1

export function newVerification(question: string, startedAtMs: number, withFacts: boolean): Verification {
  return {
    question,
    startedAtMs,
    positions: new Map(),
    counts: noDecisions(),
    facts: withFacts ? noFacts() : null,
    findings: [],
  }
}

/** Undefined where there is no file yet. Throws SHUNT_CHECKPOINT_INVALID for one of another question. */
export async function readCheckpoint(path: string, question: string): Promise<Verification | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  const saved = parse(text)
  if (!saved) throw invalid(path, 'it is no checkpoint of this release')
  if (saved.question !== question) throw invalid(path, `it is of another verification: ${saved.question}`)
  return { ...saved, positions: new Map(saved.positions) }
}

/** Whole or not at all: a new file takes the place of the old one. */
export async function writeCheckpoint(path: string, verification: Verification): Promise<void> {
  const saved = { version, ...verification, positions: [...verification.positions] }
  const next = `${path}.next`
  await writeFile(next, `${JSON.stringify(saved)}\n`)
  await rename(next, path)
}

type Saved = Omit<Verification, 'positions'> & { version: number; positions: [number, number][] }

function parse(text: string): Saved | undefined {
  try {
    const saved = JSON.parse(text) as Partial<Saved> | null
    const isWhole =
      saved?.version === version &&
      typeof saved.question === 'string' &&
      typeof saved.startedAtMs === 'number' &&
      Array.isArray(saved.positions) &&
      Array.isArray(saved.findings) &&
      typeof saved.counts?.decisions === 'number'
    return isWhole ? (saved as Saved) : undefined
  } catch {
    return undefined
  }
}

function invalid(path: string, why: string): ShuntError {
  return new ShuntError('SHUNT_CHECKPOINT_INVALID', `${path}: ${why}; name another file, or remove it to start anew`)
}
