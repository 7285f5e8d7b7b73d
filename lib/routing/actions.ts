import { termOf } from './words.ts'

/** What can be asked of a tool, with the verbs for it. The first of each line names it. */
const families = [
  'get fetch retrieve read obtain lookup view show display load see open download print tell',
  'search find locate discover query look hunt',
  'list enumerate browse',
  'create add new make insert register generate write compose draft build produce put save open set start',
  'update edit modify change set adjust rename replace patch alter move close reschedule',
  'delete remove erase drop cancel clear destroy purge rid uninstall',
  'send post share notify message email reply respond answer submit deliver publish forward comment',
  'move transfer rename copy relocate',
  'calculate compute determine evaluate estimate solve work calc',
  'convert transform translate change',
  'book reserve order buy purchase rent',
  'merge combine join',
  'run execute perform launch start invoke',
  'analyze assess check verify validate inspect examine',
  'predict forecast',
  'compare',
  'play',
  'sort',
]

/** Term of a verb to the families that it belongs to, as bits. */
const bits = new Map<string, number>()
for (const [index, family] of families.entries())
  for (const verb of family.split(' ')) bits.set(termOf(verb), (bits.get(termOf(verb)) ?? 0) | (1 << index))

const familyOf = new Map(families.map((family, index) => [family.split(' ')[0]!, 1 << index]))

/** Families as bits, 0 for a word that is no verb of any. */
export function actionsOf(term: string): number {
  return bits.get(term) ?? 0
}

/** Families that change something: a request that asks for none of them seldom means such a tool. */
export const writingActions = ['create', 'update', 'delete', 'send', 'move', 'book', 'merge', 'run']
  .map((name) => familyOf.get(name)!)
  .reduce((all, bit) => all | bit)
