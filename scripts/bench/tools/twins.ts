import type { ChatTool } from '#lib/events/chat-request'
import { pick, shuffled, type Random } from '#lib/calibration/seeded-random'

/** Makes a tool that does what another one does, and says so in another way. */
export type MakeTwin = (tool: ChatTool, random: Random) => ChatTool

/**
 * Ways in which the tools of several servers come to overlap. The measure was built while looking at the first group;
 * the second was written before it and looked at only when it was done.
 */
export const twinKinds = {
  design: { verb: swapVerb, prefix: addPrefix, reworded: reword, parameters: changeParameters },
  heldOut: { nouns: swapNouns, qualified: qualify, terse: abbreviate, verbose: wrap },
} satisfies Record<string, Record<string, MakeTwin>>

interface Schema {
  type?: string
  description?: string
}

function remake(
  tool: ChatTool,
  changes: { name?: string; description?: string; parameters?: Record<string, unknown> },
): ChatTool {
  return { type: 'function', function: { ...tool.function, ...changes } }
}

/** Words of a name, whatever joins them. */
function nameWords(name: string): string[] {
  return name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g) ?? [name]
}

const join = (words: readonly string[]) => words.map((word) => word.toLowerCase()).join('_')

const verbs: readonly (readonly string[])[] = [
  ['get', 'fetch', 'retrieve', 'lookup', 'read', 'obtain'],
  ['find', 'search', 'locate', 'discover', 'look_for'],
  ['calculate', 'compute', 'determine', 'evaluate', 'work_out', 'calc'],
  ['create', 'add', 'new', 'make', 'generate', 'build'],
  ['update', 'edit', 'modify', 'change', 'set'],
  ['delete', 'remove', 'drop', 'erase'],
  ['send', 'post', 'submit', 'deliver'],
  ['list', 'enumerate', 'show', 'browse'],
  ['convert', 'transform', 'translate'],
  ['book', 'reserve', 'order', 'purchase', 'buy'],
]

function otherVerb(word: string, random: Random): string | undefined {
  const bare = word.toLowerCase().replace(/(?:es|s)$/, '')
  const forms = [word.toLowerCase(), bare, `${bare}e`]
  const group = verbs.find((group) => group.some((verb) => forms.includes(verb)))
  return (
    group &&
    pick(
      group.filter((verb) => !forms.includes(verb)),
      random,
    )
  )
}

function swapVerb(tool: ChatTool, random: Random): ChatTool {
  const { name, description } = tool.function
  const words = nameWords(name)
  const at = words.findIndex((word) => otherVerb(word, random) !== undefined)
  const renamed =
    at < 0
      ? join([pick(['get', 'fetch', 'do', 'run', 'handle'], random), ...words])
      : join(words.with(at, otherVerb(words[at]!, random)!))
  const reworded = (description ?? '').replace(/^\w+/, (first) => {
    const other = otherVerb(first, random)
    return other === undefined ? first : `${other[0]!.toUpperCase()}${other.slice(1).replace('_', ' ')}`
  })
  return remake(tool, { name: renamed, description: reworded })
}

function addPrefix(tool: ChatTool, random: Random): ChatTool {
  const { name, description } = tool.function
  const prefix = pick(
    ['github_', 'mcp_', 'mcp__server__', 'slack_', 'acme-', 'api_v2_', 'tools.', 'default_api__'],
    random,
  )
  return remake(tool, { name: prefix + name, description: dropWords(description ?? '', 0.15, random) })
}

function dropWords(text: string, share: number, random: Random): string {
  const kept = text.split(' ').filter(() => random() >= share)
  return kept.length === 0 ? text : kept.join(' ')
}

function reword(tool: ChatTool, random: Random): ChatTool {
  const { name, description } = tool.function
  const words = nameWords(name)
  const renamed =
    random() < 0.5
      ? join(shuffled(words, random))
      : words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('')
  const clauses = (description ?? '').split(/(?<=[.,;]) /)
  return remake(tool, {
    name: renamed === name ? `${renamed}_tool` : renamed,
    description: dropWords(shuffled(clauses, random).join(' '), 0.25, random),
  })
}

function changeParameters(tool: ChatTool, random: Random): ChatTool {
  const { name, parameters } = tool.function
  const properties = Object.entries((parameters?.['properties'] ?? {}) as Record<string, Schema>)
  const required = new Set(parameters?.['required'] as string[] | undefined)
  const changed: Record<string, Schema> = {}
  const nowRequired: string[] = []
  const dropped = properties.length > 1 && random() < 0.5 ? Math.floor(random() * properties.length) : -1
  for (const [index, [key, schema]] of properties.entries()) {
    if (index === dropped) continue
    const renamed = random() < 0.6 ? pick([`input_${key}`, `${key}_value`, `the_${key}`, key.slice(0, 4)], random) : key
    changed[renamed] = { ...schema, description: dropWords(schema.description ?? '', 0.3, random) }
    if (required.has(key)) nowRequired.push(renamed)
  }
  if (random() < 0.5) changed[pick(['limit', 'format', 'verbose', 'timeout'], random)] = { type: 'string' }
  return remake(tool, {
    name: `${name}${pick(['_v2', '_ex', '2', '_with_options'], random)}`,
    parameters: { type: 'object', properties: changed, required: nowRequired },
  })
}

const nouns: readonly (readonly string[])[] = [
  ['price', 'cost', 'quote'],
  ['weather', 'forecast', 'conditions'],
  ['city', 'town', 'place', 'location'],
  ['area', 'surface', 'extent'],
  ['number', 'figure', 'count'],
  ['data', 'information', 'details', 'records'],
  ['movie', 'film', 'picture'],
  ['company', 'firm', 'business', 'corporation'],
  ['distance', 'range', 'separation'],
  ['speed', 'velocity', 'pace'],
  ['time', 'duration', 'period'],
  ['list', 'array', 'sequence', 'series'],
  ['date', 'day', 'moment'],
  ['stock', 'share', 'equity'],
  ['restaurant', 'eatery', 'diner'],
  ['hotel', 'lodging', 'inn'],
  ['song', 'track', 'tune'],
  ['game', 'match', 'contest'],
  ['player', 'athlete', 'sportsman'],
  ['user', 'account', 'person'],
  ['file', 'document', 'item'],
  ['value', 'amount', 'quantity'],
  ['population', 'inhabitants', 'residents'],
  ['interest', 'yield', 'return'],
  ['product', 'article', 'goods'],
  ['book', 'title', 'publication'],
  ['probability', 'chance', 'likelihood'],
  ['mean', 'average'],
  ['case', 'lawsuit', 'matter'],
  ['crime', 'offence'],
  ['recipe', 'dish', 'meal'],
  ['route', 'path', 'way'],
  ['energy', 'power'],
  ['event', 'happening', 'occasion'],
  ['given', 'specified', 'supplied'],
  ['specific', 'particular', 'certain'],
  ['based', 'depending', 'relying'],
]

/** Two words of three that have one are replaced by another noun for the same thing. */
function swapNouns(tool: ChatTool, random: Random): ChatTool {
  const swap = (word: string) => {
    const group = nouns.find((group) => group.includes(word.toLowerCase()))
    return group && random() < 0.67
      ? pick(
          group.filter((noun) => noun !== word.toLowerCase()),
          random,
        )
      : word
  }
  const { name, description } = tool.function
  const renamed = join(nameWords(name).map(swap))
  return remake(tool, {
    name: renamed === name ? `${renamed}_alt` : renamed,
    description: (description ?? '').replace(/[A-Za-z]+/g, swap),
  })
}

/** A variant beside the original: for a subset, of an older release, for many at once. */
function qualify(tool: ChatTool, random: Random): ChatTool {
  const { name, description } = tool.function
  const [suffix, sentence] = pick(
    [
      ['_legacy', 'Deprecated: kept for older clients, prefer the current one.'],
      ['_batch', 'Takes several inputs at once and answers with a list in the same order.'],
      ['_beta', 'Preview with a new engine. May change without notice.'],
      ['_cached', 'Answers from the cache where the entry is younger than one hour.'],
      ['_premium', 'For customers with a premium plan. Needs the billing scope.'],
      ['_internal', 'For back-office staff only. Every use is logged and reviewed.'],
    ] as const,
    random,
  )
  return remake(tool, { name: name + suffix, description: `${description ?? ''} ${sentence}` })
}

/** As generated from code that nobody documented: vowels gone from the name, one line, parameters without a word. */
function abbreviate(tool: ChatTool, random: Random): ChatTool {
  const { name, description, parameters } = tool.function
  const short = nameWords(name).map((word) => (word.length > 5 ? word.slice(0, pick([4, 5], random)) : word))
  const properties = Object.entries((parameters?.['properties'] ?? {}) as Record<string, Schema>)
  const bare = Object.fromEntries(properties.map(([key, schema]) => [key, { type: schema.type }]))
  return remake(tool, {
    name: short.join('').toLowerCase() === name ? `${name}x` : join(short),
    description: (description ?? '').split(' ').slice(0, 6).join(' '),
    parameters: { ...parameters, properties: bare },
  })
}

/** The same said at length, as servers do that tell the model how to behave. */
function wrap(tool: ChatTool, random: Random): ChatTool {
  const { name, description } = tool.function
  const opening = pick(
    [
      'Use this tool whenever the user asks for something of the following sort, and do not guess the answer yourself:',
      'This endpoint is the recommended way to do the following for the signed-in user of the workspace:',
      'IMPORTANT: call this before you answer. What it does, in one line:',
    ],
    random,
  )
  const closing = pick(
    [
      'Returns a JSON object with the fields status, result and warnings. Fails with a message when an argument is malformed.',
      'Rate limited to sixty calls a minute. Results are paginated; pass the cursor of the last page to go on.',
      'Example: {"status": "ok"}. Ask the user to confirm before the call when anything is unclear.',
    ],
    random,
  )
  const lower = (description ?? '').replace(/^[A-Z](?=[a-z])/, (first) => first.toLowerCase())
  return remake(tool, {
    name: `${join(nameWords(name))}_${pick(['tool', 'action', 'endpoint'], random)}`,
    description: `${opening} ${lower} ${closing}`,
  })
}
