import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parsePrometheusText } from '#lib/telemetry/prometheus-text'
import type { Part } from '../../cli/stack/part.ts'
import { serviceNames, type ServiceName } from '../../cli/stack/part-record.ts'
import { stackDir } from '../../cli/stack/paths.ts'
import { startService } from '../../cli/stack/services.ts'

export type Replicas = Record<ServiceName, number>
export type ServiceEnv = Partial<Record<ServiceName, Record<string, string>>>

export interface PipelineServices {
  /** SIGKILL; resolves when it is gone. */
  kill9(service: ServiceName, index: number): Promise<void>
  /** SIGSTOP: the process is there and does nothing, like a machine that hangs. */
  freeze(service: ServiceName, index: number): void
  /** SIGCONT. */
  thaw(service: ServiceName, index: number): void
  /** Starts it again under its replica name; resolves when it is ready. */
  restart(service: ServiceName, index: number): Promise<void>
  /** Ends it by SIGTERM. Throws where it did not drain and end by itself. */
  drain(service: ServiceName, index: number): Promise<void>
  /** What /readyz answers: empty when ready. */
  notReady(service: ServiceName, index: number): Promise<string>
  /** What its /metrics says under a name, summed over the samples that carry these labels. */
  metric(service: ServiceName, index: number, name: string, labels?: Record<string, string>): Promise<number>
  /** Everything it logged so far, over all its lives. */
  logOf(service: ServiceName, index: number): string
  /** Processes that ended without being told to. */
  deaths(): number
}

export interface ServicesOptions {
  dir: string
  namespace: string
  env: Record<string, string>
  replicas?: Partial<Replicas> | undefined
  serviceEnv?: ServiceEnv
  supervise?: boolean
}

interface Slot {
  service: ServiceName
  id: string
  part: Part | undefined
  /** While it is being started. */
  starting: Promise<void>
  /** Told to end: not to be started again. */
  ending: boolean
}

/** The service processes of a pipeline. They live in a run's directory, whose guardian ends them with the test. */
export async function openServices(
  options: ServicesOptions,
): Promise<PipelineServices & { drainAll(): Promise<void>; killAll(): Promise<void> }> {
  const { dir, env, replicas = {}, serviceEnv = {}, supervise = false } = options
  const slots = new Map<string, Slot>()
  let deaths = 0
  let closing = false

  async function start(slot: Slot): Promise<void> {
    slot.ending = false
    const part = await startService(slot.service, {
      dir,
      id: slot.id,
      env: {
        ...env,
        SHUNT_REPLICA: slot.id,
        SHUNT_LOG_LEVEL: 'info',
        SHUNT_SHUTDOWN_GRACE_MS: '10000',
        ...serviceEnv[slot.service],
      },
    })
    slot.part = part
    void watch(slot, part)
  }

  async function watch(slot: Slot, part: Part): Promise<void> {
    await part.ended
    if (slot.part !== part || slot.ending) return
    deaths++
    slot.part = undefined
    if (supervise && !closing) launch(slot)
  }

  function launch(slot: Slot): void {
    // One that dies before it serves is a death as well, and is started again.
    slot.starting = start(slot).catch(() => {
      deaths++
      if (!closing) launch(slot)
    })
  }

  for (const service of serviceNames)
    for (let index = 0; index < (replicas[service] ?? 1); index++) {
      const id = `${service}-${index}`
      slots.set(id, { service, id, part: undefined, starting: Promise.resolve(), ending: false })
    }

  const slotOf = (service: ServiceName, index: number): Slot => {
    const slot = slots.get(`${service}-${index}`)
    if (!slot) throw new Error(`there is no ${service}-${index}`)
    return slot
  }
  const partOf = (service: ServiceName, index: number): Part => {
    const { part, id } = slotOf(service, index)
    if (!part) throw new Error(`${id} does not run`)
    return part
  }
  async function drain(slot: Slot): Promise<void> {
    await slot.starting
    const { part } = slot
    if (!part) return
    slot.ending = true
    process.kill(part.pid, 'SIGCONT')
    await part.stop()
    slot.part = undefined
    const how = await part.ended
    if (how !== 'exit code 0') throw new Error(`${slot.id} did not end by itself within its grace: ${how}`)
  }
  async function killAll(): Promise<void> {
    closing = true
    await Promise.all(
      [...slots.values()].map(async (slot) => {
        await slot.starting
        slot.ending = true
        await slot.part?.kill9()
        slot.part = undefined
      }),
    )
  }

  try {
    await Promise.all([...slots.values()].map((slot) => start(slot)))
  } catch (error) {
    await killAll()
    throw error
  }

  return {
    async kill9(service, index) {
      const slot = slotOf(service, index)
      const part = partOf(service, index)
      slot.ending = true
      await part.kill9()
      slot.part = undefined
    },
    freeze: (service, index) => void process.kill(partOf(service, index).pid, 'SIGSTOP'),
    thaw: (service, index) => void process.kill(partOf(service, index).pid, 'SIGCONT'),
    async restart(service, index) {
      const slot = slotOf(service, index)
      slot.starting = start(slot)
      await slot.starting
    },
    drain: (service, index) => drain(slotOf(service, index)),
    async notReady(service, index) {
      const answer = await fetch(`${partOf(service, index).address}/readyz`)
      return answer.ok ? '' : answer.text()
    },
    async metric(service, index, name, labels = {}) {
      const samples = parsePrometheusText(await (await fetch(`${partOf(service, index).address}/metrics`)).text())
      const wanted = Object.entries(labels)
      return samples
        .filter((sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value))
        .reduce((sum, { value }) => sum + value, 0)
    },
    logOf: (service, index) => readFileSync(join(stackDir(dir).log, `${service}-${index}.log`), 'utf8'),
    deaths: () => deaths,
    async drainAll() {
      closing = true
      const ends = await Promise.allSettled([...slots.values()].map((slot) => drain(slot)))
      for (const end of ends) if (end.status === 'rejected') throw end.reason
    },
    killAll,
  }
}
