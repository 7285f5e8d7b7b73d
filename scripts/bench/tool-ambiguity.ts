import type { ChatMessage } from '#lib/events/chat-request'
import { rankTools, readToolAmbiguity } from '#lib/routing/tool-ambiguity'
import { percentile, printFigure, type Figure } from './figures.ts'
import { areaUnderCurve } from './tools/area-under-curve.ts'
import { readBfcl, type BfclItem } from './tools/bfcl.ts'
import { makeOfferPair, type OfferPair } from './tools/offers.ts'
import { seededRandom } from '#lib/calibration/seeded-random'
import { servers } from './tools/servers.ts'
import { speedFigures } from './tools/speed.ts'
import { twinKinds } from './tools/twins.ts'

const parts = { rank: ranking, offers: offerPairs, signs, speed }

/** How well the ambiguity of a tool choice is read, on BFCL and on tool lists of common servers. */
export async function benchTools(options: { only?: string[] | undefined }): Promise<Figure[]> {
  const unknown = options.only?.filter((name) => !Object.hasOwn(parts, name)) ?? []
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  const items = readBfcl()
  const figures: Figure[] = []
  for (const [name, measure] of Object.entries(parts)) {
    if (options.only && !options.only.includes(name)) continue
    console.log(`\n${name}`)
    for (const figure of measure(items)) {
      printFigure(figure)
      figures.push(figure)
    }
  }
  return Promise.resolve(figures)
}

/** Counted as right: the tool ranked first is one that the answer key calls. */
function ranking(items: readonly BfclItem[]): Figure[] {
  const several = keyed(items).filter(({ request }) => request.tools.length > 1)
  const share = (some: readonly BfclItem[]) =>
    (100 * some.filter(({ request, right }) => right.has(rankTools(request)[0]!)).length) / some.length
  const single = several.filter(({ right }) => right.size === 1)
  const figures: Figure[] = [
    {
      name: 'bfcl, a right tool first',
      value: share(several),
      unit: '%',
      target: { atLeast: 90 },
      note: `${several.length} items with 2 to 4 tools and a key; in ${several.length - single.length} the key calls more than one`,
    },
    {
      name: 'bfcl, the one right tool first',
      value: share(single),
      unit: '%',
      target: { atLeast: 90 },
      note: `${single.length} items whose key calls one tool`,
    },
  ]
  for (const [group, some] of Object.entries(Object.groupBy(several, ({ group }) => group)))
    figures.push({ name: `bfcl ${group}`, value: share(some!), unit: '%', note: `${some!.length} items` })
  for (const [name, { tools, requests }] of Object.entries(servers)) {
    const first = requests.filter(
      ([content, right]) => rankTools({ messages: [{ role: 'user', content }], tools })[0] === right,
    )
    figures.push({
      name: `14 tools of ${name}`,
      value: (100 * first.length) / requests.length,
      unit: '%',
      note: `${requests.length} requests`,
    })
  }
  return figures
}

const seeds = 5

function offerPairs(items: readonly BfclItem[]): Figure[] {
  // The measure was built on the items with an even number.
  const seen = keyed(items).filter((_, index) => index % 2 === 0)
  const unseen = keyed(items).filter((_, index) => index % 2 === 1)
  const figures = [
    ...curve('twins of the kinds built on, items built on', pairsOf(items, seen, twinKinds.design), 0.9),
    ...curve('twins of the kinds built on, other items', pairsOf(items, unseen, twinKinds.design), 0.9),
    ...curve('held-out kinds of twins, other items', pairsOf(items, unseen, twinKinds.heldOut), 0.9),
  ]
  for (const [kind, make] of Object.entries({ ...twinKinds.design, ...twinKinds.heldOut })) {
    const pairs = pairsOf(items, unseen, { [kind]: make })
    figures.push({ name: `  only ${kind}`, value: aucOf(pairs), unit: 'AUC' })
    const few = pairs.filter(({ twins }) => twins <= 3)
    figures.push({ name: `  only ${kind}, 2 or 3 twins`, value: aucOf(few), unit: 'AUC', note: `${few.length} pairs` })
  }
  return figures
}

function pairsOf(items: readonly BfclItem[], from: readonly BfclItem[], kinds: Parameters<typeof makeOfferPair>[2]) {
  const pool = items.flatMap(({ request }) => request.tools)
  return Array.from({ length: seeds }, (_, seed) => {
    const random = seededRandom(seed + 1)
    return from.map((item) => makeOfferPair(item, pool, kinds, random))
  }).flat()
}

const ambiguities = (pairs: readonly OfferPair[]) => ({
  plain: pairs.map(({ plain }) => readToolAmbiguity(plain).ppm),
  confusable: pairs.map(({ confusable }) => readToolAmbiguity(confusable).ppm),
})

function aucOf(pairs: readonly OfferPair[]): number {
  const { plain, confusable } = ambiguities(pairs)
  return areaUnderCurve(confusable, plain)
}

function curve(name: string, pairs: readonly OfferPair[], atLeast: number): Figure[] {
  const { plain, confusable } = ambiguities(pairs)
  const medians = [plain, confusable].map((all) => Math.round(percentile(all, 0.5)))
  const above = (all: readonly number[]) => (100 * all.filter((ppm) => ppm >= 500_000).length) / all.length
  return [
    {
      name,
      value: areaUnderCurve(confusable, plain),
      unit: 'AUC',
      target: { atLeast },
      note: `${pairs.length} pairs of offers, ${seeds} seeds; medians plain ${medians[0]} ppm, confusable ${medians[1]} ppm`,
    },
    { name: '  confusable at or above 500,000 ppm', value: above(confusable), unit: '%' },
    { name: '  plain at or above 500,000 ppm', value: above(plain), unit: '%' },
  ]
}

function signs(items: readonly BfclItem[]): Figure[] {
  const single = keyed(items).filter(({ request }) => request.tools.length === 1)
  const irrelevant = items.filter(({ group }) => group === 'relevance')
  const noFit = (some: readonly BfclItem[]) => some.map(({ request }) => readToolAmbiguity(request).noFitPpm)
  const missing = (some: readonly BfclItem[], change = (messages: ChatMessage[]) => messages) =>
    some.map(({ request }) => readToolAmbiguity({ ...request, messages: change(request.messages) }).missingPpm)
  const whole = missing(keyed(items))
  const stripped = missing(keyed(items), withoutValues)
  const positive = (all: readonly number[]) => Math.round((100 * all.filter((ppm) => ppm > 0).length) / all.length)
  return [
    {
      name: 'noFit, requests whose only tool does not fit above those whose does',
      value: areaUnderCurve(noFit(irrelevant), noFit(single)),
      unit: 'AUC',
      note: `${irrelevant.length} of the group relevance, ${single.length} with one tool and a key`,
    },
    {
      name: 'missing, requests without their numbers, names and quotations above whole ones',
      value: areaUnderCurve(stripped, whole),
      unit: 'AUC',
      note: `${whole.length} items; something is missing in ${positive(stripped)} % without, in ${positive(whole)} % of the whole ones`,
    },
    ...Object.entries(servers).map(([name, { tools, requests }]): Figure => {
      const all = requests.map(([content]) => readToolAmbiguity({ messages: [{ role: 'user', content }], tools }).ppm)
      return { name: `clear requests to the 14 tools of ${name}, median`, value: percentile(all, 0.5), unit: 'ppm' }
    }),
  ]
}

function withoutValues(messages: ChatMessage[]): ChatMessage[] {
  return messages.map((message) =>
    message.role === 'user' && typeof message.content === 'string'
      ? { ...message, content: message.content.replace(/(["'`]).*?\1|\S*\d\S*|(?<=[a-z,] )[A-Z]\S*/g, '') }
      : message,
  )
}

function speed(items: readonly BfclItem[]): Figure[] {
  const some = keyed(items).slice(0, 300)
  const random = seededRandom(1)
  const pool = items.flatMap(({ request }) => request.tools)
  return speedFigures(some.map((item) => makeOfferPair(item, pool, twinKinds.design, random).confusable))
}

function keyed(items: readonly BfclItem[]): BfclItem[] {
  return items.filter(({ right }) => right.size > 0)
}
