/**
 * Writes schemas/fixtures/<name>/v<n>.avsc and .bin from v<n>.json, the value in Avro's JSON encoding. A schema that
 * differs from the newest version's gets a new version, with the old value and the defaults of what is new: give the new
 * fields other values in its .json and run this again. Versions before the newest are never written.
 * With --check it fails where a file is not what it would write.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { avroType, avroTypeOf } from '../lib/events/avro-type.ts'
import { bundledSchema } from '../lib/events/schemas.ts'
import { eventNames, type EventName } from '../lib/events/subjects.ts'

const fixturesDir = fileURLToPath(new URL('../schemas/fixtures/', import.meta.url))
const check = process.argv.includes('--check')

function write(file: string, content: Buffer): void {
  if (existsSync(file) && readFileSync(file).equals(content)) return
  if (!check) return writeFileSync(file, content)
  console.error(`${file} is not what schemas/ gives: run \`npm run generate\``)
  process.exitCode = 1
}

function newestVersion(name: EventName): number {
  const versions = readdirSync(`${fixturesDir}${name}`).flatMap((file) => /^v(\d+)\.json$/.exec(file)?.[1] ?? [])
  if (versions.length === 0) throw new Error(`schemas/fixtures/${name} has no v1.json: write one`)
  return Math.max(...versions.map(Number))
}

const pretty = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value, null, 2)}\n`)

for (const name of eventNames) {
  const type = avroType(name)
  const schema = pretty(bundledSchema(name))
  let version = newestVersion(name)
  const file = (ending: string): string => `${fixturesDir}${name}/v${version}.${ending}`
  let json = readFileSync(file('json'), 'utf8')
  if (existsSync(file('avsc')) && !readFileSync(file('avsc')).equals(schema)) {
    const older = type.createResolver(avroTypeOf(JSON.parse(readFileSync(file('avsc'), 'utf8'))))
    json = type.toString(type.fromBuffer(readFileSync(file('bin')), older))
    version++
    write(file('json'), pretty(JSON.parse(json)))
  }
  write(file('avsc'), schema)
  write(file('bin'), type.toBuffer(type.fromString(json)))
}
