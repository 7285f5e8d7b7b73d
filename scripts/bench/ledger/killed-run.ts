import { setTimeout as sleep } from 'node:timers/promises'
import { readResults } from '#lib/client/read-results'
import type { AttemptRecord, StepResult } from '#lib/events/types.generated'
import { dayOf, ledgerKeys } from '#lib/ledger/keys'
import { createTail } from '#lib/stream/tail'
import type { Part } from '../../../cli/stack/part.ts'
import { serviceNames, type ServiceName } from '../../../cli/stack/part-record.ts'
import type { Infrastructure } from '../../../cli/stack/stack.ts'
import type { Figure } from '../figures.ts'
import { startSimulator, type SimulatedBackend } from '../spine/backend.ts'
import { startBenchStack, type BenchStack } from '../spine/bench-stack.ts'
import { makeStep } from '../spine/load.ts'

const steps = 5_000
const stepsPerTask = 5
const replicas = 3
/** About six and a half minutes for what the caps let through. */
const requestsPerMinute = 270
const price = { inputMicroUsdPerMTok: 3_000_000, outputMicroUsdPerMTok: 15_000_000 }
const maxTokens = 64
/** Two bounds of a task's five steps, and of the second tenant's day about two hundred. */
const taskCapMicroUsd = 2_500
const dayCaps: Record<string, number | null> = { north: null, south: 250_000, east: null, west: 2_000_000 }
const tenants = Object.keys(dayCaps)
const text = 'A burst pipe flooded the kitchen of the insured on Sunday night; the floor has to be replaced.'
const killEveryMs = 20_000
const timeoutMs = 20 * 60_000

/** As the issue of budgets asks for its simulated provider (test/simulators/README.md). */
const providerArgs = Object.entries({
  'latency-ms': 2_000,
  'latency-sigma': 0.5,
  'jitter-ms': 300,
  'answer-share-ppm': 250_000,
  requests: requestsPerMinute,
  slots: 100_000,
  seed: 1,
  'input-price': price.inputMicroUsdPerMTok,
  'output-price': price.outputMicroUsdPerMTok,
  'rate-limited-ppm': 5_000,
  'server-error-ppm': 10_000,
  'slow-ppm': 10_000,
  'cut-off-ppm': 5_000,
  'malformed-ppm': 5_000,
}).flatMap(([name, value]) => [`--${name}`, String(value)])

function policy(ossUrl: string, frontierUrl: string): string {
  const place = { apiKeyEnv: 'BENCH_KEY', region: 'local', maxInFlight: 256 }
  const free = { inputMicroUsdPerMTok: 0, outputMicroUsdPerMTok: 0 }
  const size = { contextTokens: 100_000, maxOutputTokens: maxTokens }
  return JSON.stringify({
    version: 1,
    models: [
      { id: 'bench-oss', tier: 'oss', ...size, price: free },
      { id: 'frontier', tier: 'frontier', ...size, price },
    ],
    backends: [{ id: 'open', model: 'bench-oss', baseUrl: `${ossUrl}/v1`, ...place }],
    providers: [
      {
        id: 'paid',
        api: 'openai',
        models: ['frontier'],
        baseUrl: `${frontierUrl}/v1`,
        ...place,
        limits: { requestsPerMinute },
      },
    ],
    tenants: tenants.map((id) => ({ id, dayBudgetMicroUsd: dayCaps[id] })),
    rules: [{ name: 'all to the frontier', when: {}, choose: { tier: 'frontier' } }],
    limits: { defaultDeadlineMs: timeoutMs },
  })
}

/** Budgets and limits over all replicas of all services, while one after the other is killed with -9. */
export async function killedRun(infrastructure: Infrastructure, dir: string): Promise<Figure[]> {
  await using ended = new AsyncDisposableStack()
  const oss = ended.adopt(await startSimulator(['--latency-ms', '200', '--slots', '256']), (each) => each.stop())
  const paid = ended.adopt(await startSimulator(providerArgs), (each) => each.stop())
  const stack = await startBenchStack({
    infrastructure,
    dir,
    partitions: 4,
    ossUrl: oss.url,
    maxInFlight: 256,
    policy: policy(oss.url, paid.url),
    withLedger: true,
  })
  ended.defer(() => stack.stop())
  const services = await startAll(stack)
  const startedAtMs = Date.now()
  await publish(stack)

  const stop = new AbortController()
  const killing = killInTurn(stack, services, stop.signal)
  const watching = watchAccounts(stack, stop.signal)
  let results: StepResult[]
  try {
    results = await untilAllEnded(stack)
  } finally {
    stop.abort()
    await Promise.allSettled([killing, watching])
  }
  const endedAtMs = Date.now()
  const [kills, looks] = await Promise.all([killing, watching])
  await untilFolded(stack)
  return figuresOf({ stack, paid, results, kills, looks, startedAtMs, endedAtMs })
}

async function startAll(stack: BenchStack): Promise<Map<string, { name: ServiceName; part: Part }>> {
  const ids = serviceNames.flatMap((name) =>
    Array.from({ length: replicas }, (_, index) => ({ name, id: `${name}-${index}` })),
  )
  const parts = new Map<string, { name: ServiceName; part: Part }>()
  for (const { name, id } of ids) parts.set(id, { name, part: await stack.startService(name, { id }) })
  return parts
}

async function publish(stack: BenchStack): Promise<void> {
  const made = Array.from({ length: steps }, (_, n) => {
    const task = Math.floor(n / stepsPerTask)
    return makeStep(400, {
      taskId: `task-${task}`,
      stepId: `step-${n}`,
      tenantId: tenants[task % tenants.length]!,
      taskBudgetMicroUsd: taskCapMicroUsd,
      request: JSON.stringify({ messages: [{ role: 'user', content: `step ${n} ${text}` }], max_tokens: maxTokens }),
    })
  })
  await stack.fill(
    stack.topic('agent.steps'),
    made.map((step) => ({ key: step.taskId, value: stack.codec.encode('step', step) })),
  )
}

/** One replica after the other, each service in turn, started again at once. Resolves with the number of kills. */
async function killInTurn(
  stack: BenchStack,
  services: Map<string, { name: ServiceName; part: Part }>,
  signal: AbortSignal,
): Promise<number> {
  let kills = 0
  for (;;)
    for (const index of Array.from({ length: replicas }, (_, i) => i))
      for (const name of serviceNames) {
        await sleep(killEveryMs, undefined, { signal }).catch(() => {})
        if (signal.aborted) return kills
        const id = `${name}-${index}`
        await services.get(id)!.part.kill9()
        kills += 1
        services.set(id, { name, part: await stack.startService(name, { id }) })
      }
}

interface Looks {
  count: number
  /** Accounts found above their cap. */
  over: number
}

/** Looks at every task's and day's account again and again. */
async function watchAccounts({ redis, namespace }: BenchStack, signal: AbortSignal): Promise<Looks> {
  const keys = ledgerKeys(namespace)
  const looks = { count: 0, over: 0 }
  const look = async (key: string, capMicroUsd: number) => {
    const [settled, reserved] = await redis.hmget(key, 'settled', 'reserved')
    looks.count += 1
    if (Number(settled ?? 0) + Number(reserved ?? 0) > capMicroUsd) looks.over += 1
  }
  while (!signal.aborted) {
    const tasks = Array.from({ length: steps / stepsPerTask }, (_, task) =>
      look(keys.task(tenants[task % tenants.length]!, `task-${task}`), taskCapMicroUsd),
    )
    const days = tenants.map((id) => look(keys.day(id, dayOf(Date.now())), dayCaps[id] ?? Infinity))
    await Promise.all([...tasks, ...days])
    await sleep(1_000, undefined, { signal }).catch(() => {})
  }
  return looks
}

/** Every result that is there once all steps have one, or the time is over. */
async function untilAllEnded({ kafka, codec, log, namespace }: BenchStack): Promise<StepResult[]> {
  const results: StepResult[] = []
  const ended = new Set<string>()
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), timeoutMs)
  const onResult = (result: StepResult) => {
    results.push(result)
    ended.add(result.stepId)
    // A little longer, for one that comes twice.
    if (ended.size === steps) setTimeout(() => stop.abort(), 5_000)
  }
  await readResults({ kafka, codec, log }, { namespace, follow: true, signal: stop.signal, onResult }).catch(
    (error: unknown) => {
      if (!stop.signal.aborted) throw error
    },
  )
  clearTimeout(timer)
  return results
}

async function untilFolded(stack: BenchStack): Promise<void> {
  const topic = stack.topic('agent.audit')
  for (let before = -1; ;) {
    const folded = await stack.committed('ledger', topic)
    if (folded === before) return
    before = folded
    await sleep(3_000)
  }
}

interface Run {
  stack: BenchStack
  paid: SimulatedBackend
  results: readonly StepResult[]
  kills: number
  looks: Looks
  startedAtMs: number
  endedAtMs: number
}

async function figuresOf({ stack, paid, results, kills, looks, startedAtMs, endedAtMs }: Run): Promise<Figure[]> {
  const report = (await (await fetch(`${paid.url}/simulator/report`)).json()) as {
    violations: number
    answered: number
    billedMicroUsd: number
    peakShare: number
    arrivals: number
  }
  const minute = (n: number) => startedAtMs + n * 60_000
  const toMs = Math.min(minute(6), endedAtMs)
  const usage = (await (await fetch(`${paid.url}/simulator/usage?fromMs=${minute(2)}&toMs=${toMs}`)).json()) as {
    mean: number
    least: number
  }
  const spent = await spentByTask(stack)
  const settled = await settledByDay(stack)
  const charged = [...spent.values()].reduce((sum, micros) => sum + micros, 0)
  const overCap = [...spent.values()].filter((micros) => micros > taskCapMicroUsd).length
  const overDay = tenants.filter((id) => (settled.get(id) ?? 0) > (dayCaps[id] ?? Infinity)).length
  const once = new Set(results.map(({ stepId }) => stepId)).size
  const frontier = results.filter(({ tier }) => tier === 'frontier').length
  const total = [...settled.values()].reduce((sum, micros) => sum + micros, 0)
  const seconds = Math.round((endedAtMs - startedAtMs) / 1_000)
  const exactly = (name: string, value: number, note?: string): Figure => ({
    name,
    value,
    unit: '',
    target: { atMost: 0 },
    ...(note !== undefined && { note }),
  })
  return [
    exactly(
      'steps without a result, or with two',
      steps - once + (results.length - once),
      `${steps} steps on ${replicas} replicas of ${serviceNames.length} services, ${kills} kills in ${seconds} s; ${frontier} answered by the frontier`,
    ),
    exactly(
      'overspends (I3)',
      looks.over + overCap + overDay,
      `${looks.over} of ${looks.count} looks at accounts, ${overCap} tasks by the audit, ${overDay} days by the ledger`,
    ),
    exactly(
      'limit violations (I5)',
      report.violations,
      `${report.arrivals} calls arrived, at most ${(100 * report.peakShare).toFixed(1)} % of the limit`,
    ),
    exactly(
      'micro-USD billed above what is settled',
      Math.max(0, report.billedMicroUsd - total),
      `billed ${report.billedMicroUsd}, settled ${total}, by the audit ${charged}`,
    ),
    {
      name: 'used of the binding limit, minutes 2 to 6',
      value: 100 * usage.mean,
      unit: '%',
      target: { atLeast: 95 },
      note: `as the provider counts it; least at any look ${(100 * usage.least).toFixed(1)} %`,
    },
  ]
}

/** What the audit says that each task has cost. */
async function spentByTask({ kafka, codec, log, topic }: BenchStack): Promise<Map<string, number>> {
  const spent = new Map<string, number>()
  const tail = createTail(
    { kafka, log },
    {
      topics: [topic('agent.audit')],
      from: 'beginning',
      onRecord: async ({ value }) => {
        const link = await codec.decode('audit-record', value)
        if (link.type !== 'attempt') return
        const { taskId, attempt }: AttemptRecord = await codec.decode('attempt-record', link.body)
        spent.set(taskId, (spent.get(taskId) ?? 0) + attempt.costMicroUsd)
      },
    },
  )
  await tail.caughtUp
  await tail.stop()
  return spent
}

/** By the ledger, of today and yesterday: a run may pass midnight. */
async function settledByDay({ redis, namespace }: BenchStack): Promise<Map<string, number>> {
  const keys = ledgerKeys(namespace)
  const settled = new Map<string, number>()
  for (const id of tenants)
    for (const atMs of [Date.now(), Date.now() - 86_400_000]) {
      const micros = Number((await redis.hget(keys.day(id, dayOf(atMs)), 'settled')) ?? 0)
      settled.set(id, (settled.get(id) ?? 0) + micros)
    }
  return settled
}
