import { formatDuration, formatTable, formatTime, formatUsd, plural, printable } from '../output.ts'
import type { Frame, PlaceView } from './collect.ts'

/** How lines that stand out are shown; text as it is where there is no terminal. */
export interface Paint {
  title: (line: string) => string
  alarm: (line: string) => string
}

export const plain: Paint = { title: (line) => line, alarm: (line) => line }
export const coloured: Paint = {
  title: (line) => `\u001b[1m${line}\u001b[0m`,
  alarm: (line) => `\u001b[31m${line}\u001b[0m`,
}

/** Pure: a frame as lines. Whole lines are painted, so that the tables keep their widths. */
export function drawFrame(frame: Frame, paint: Paint): string[] {
  const { atMs, sinceMs, orders, problem } = frame
  const sections = [ratesOf(frame), spendOf(frame), stagesOf(frame), processesOf(frame), placesOf(frame)]
  return [
    paint.title(`shunt top  ${formatTime(atMs)} UTC  results of the last ${formatDuration(atMs - sinceMs)}`),
    ...orders
      .filter(({ kind }) => kind === 'pause')
      .map(({ name, actor, reason, atMs: orderedAtMs }) => {
        const since = formatDuration(Math.max(0, atMs - orderedAtMs))
        return paint.alarm(printable(`${name} for ${since}, by ${actor}: ${reason}`))
      }),
    ...(problem === null ? [] : [paint.alarm(problem)]),
    ...sections.flatMap(({ lines, alarms }) =>
      lines.length < 2
        ? []
        : ['', paint.title(lines[0]!), ...lines.slice(1).map((line, i) => (alarms[i] ? paint.alarm(line) : line))],
    ),
  ]
}

interface Section {
  /** The title first. */
  lines: string[]
  /** Of each line below it, whether it is bad news. */
  alarms: boolean[]
}

function ratesOf({ rates }: Frame): Section {
  const lines = formatTable(
    [
      { title: 'tier', value: ({ tier }) => tier },
      { title: 'status', value: ({ status }) => status },
      { title: 'per second', align: 'right', value: ({ perSecond }) => perSecond.toFixed(1) },
      { title: 'results', align: 'right', value: ({ total }) => String(total) },
    ],
    rates,
  )
  return { lines, alarms: [] }
}

function spendOf({ spend }: Frame): Section {
  const lines = formatTable(
    [
      { title: 'tenant', value: ({ tenantId }) => tenantId },
      { title: 'results', align: 'right', value: ({ results }) => String(results) },
      { title: 'spend', align: 'right', value: ({ costMicroUsd }) => formatUsd(costMicroUsd) },
    ],
    spend.slice(0, mostTenants),
  )
  return { lines, alarms: [] }
}

/** Those that spend most; a screen has an end. */
const mostTenants = 10

function stagesOf({ stages }: Frame): Section {
  const lines = formatTable(
    [
      { title: 'stage', value: ({ group }) => group },
      { title: 'lag', align: 'right', value: ({ lag }) => String(lag) },
      { title: 'incomplete', align: 'right', value: ({ incomplete }) => String(incomplete) },
      { title: 'state', value: ({ broken }) => (broken === 0 ? 'ok' : `${plural(broken, 'lane')} cannot open`) },
    ],
    stages,
  )
  return { lines, alarms: stages.map(({ broken }) => broken > 0) }
}

function processesOf({ processes }: Frame): Section {
  const lines = formatTable(
    [
      { title: 'process', value: ({ id }) => id },
      { title: 'in flight', align: 'right', value: ({ inFlight }) => String(inFlight) },
      { title: 'held MB', align: 'right', value: ({ bufferedBytes }) => (bufferedBytes / 1e6).toFixed(1) },
      { title: 'state', value: ({ problem }) => problem ?? 'answers' },
    ],
    processes,
  )
  return { lines, alarms: processes.map(({ problem }) => problem !== null) }
}

function placesOf({ places, poolWaiting }: Frame): Section {
  const lines = formatTable(
    [
      { title: 'backend or provider', value: ({ id }) => id },
      { title: 'model', value: ({ model }) => model },
      { title: 'calls or queue', align: 'right', value: ({ load }) => String(load) },
      { title: 'state', value: stateOf },
    ],
    places,
  )
  if (poolWaiting > 0) lines.push(`${plural(poolWaiting, 'step')} of the pool waiting for a slot`)
  return { lines, alarms: places.map(({ usable }) => usable < 1) }
}

function stateOf({ usable }: PlaceView): string {
  return usable >= 1 ? 'called' : usable > 0 ? 'on trial' : 'left alone'
}
