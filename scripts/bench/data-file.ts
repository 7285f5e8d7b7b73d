import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

const defaultDir = fileURLToPath(new URL('../../../shared/data', import.meta.url))

/** A file of the data sets, in SHUNT_DATA_DIR or in ../shared/data beside the repository. */
export function dataFile(name: string): string {
  const path = `${process.env['SHUNT_DATA_DIR'] ?? defaultDir}/${name}`
  if (!existsSync(path)) throw new Error(`${path} is missing: set SHUNT_DATA_DIR to the directory that has it`)
  return path
}

/** The lines of a gzipped JSONL file of the data sets. */
export function readDataLines<T>(name: string): T[] {
  const text = gunzipSync(readFileSync(dataFile(name))).toString()
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T)
}
