import { expect, test } from 'vitest'
import { denseNames, denseSize, readDense } from '#lib/routing/dense-features'
import { extractFeatures } from '#lib/routing/features'

/** Figures of a user's message by name, those of 0 left out. */
function figuresOf(content: string, prefix = 'task_'): Record<string, number> {
  const request = { messages: [{ role: 'user' as const, content }] }
  const out = new Float32Array(denseSize)
  readDense(extractFeatures({ kind: 'unknown', request: JSON.stringify(request) }, request), request, out)
  return Object.fromEntries(
    [...out.entries()].flatMap(([i, value]) =>
      value !== 0 && denseNames[i]!.startsWith(prefix) ? [[denseNames[i]!.slice(prefix.length), value]] : [],
    ),
  )
}

test('a number is one whatever stands in it, and is told from the same number once more', () => {
  expect(figuresOf('Pay 1,000.50, then 7 and 7 again.')).toMatchObject({
    distinct_numbers: 2,
    repeated_numbers: 1,
    longest_number: 8,
    decimals: 1,
  })
  expect(figuresOf('In 1999, 2000.')).toMatchObject({ distinct_numbers: 2, longest_number: 4 })
})

test('a list is as long as its short parts, and ends with its sentence', () => {
  expect(figuresOf('Weather of Rome, Paris, Oslo and Bern').longest_list).toBe(4)
  expect(figuresOf('Go to Rome. Then see Oslo.').longest_list).toBe(1)
  expect(figuresOf('Find the fastest train that goes there and book two seats')).toMatchObject({
    longest_list: 1,
    ands: 1,
  })
})

test('sentences end at a mark before a gap, and at a line', () => {
  expect(figuresOf('It costs 3.5 euros. Really? Yes\nIndeed it does so')).toMatchObject({
    sentences: 4,
    longest_sentence: 4,
  })
})

test('names that stand together are one, and the first word of a sentence is none', () => {
  expect(figuresOf('Fly from New York to Rome. Tell Ada Lovelace').names_count).toBe(3)
})

test('words of one class are counted as one, and so are content words that come back', () => {
  expect(figuresOf('He runs twice a week and half an hour each day, if she does.')).toMatchObject({
    parts_words: 2,
    time_words: 3,
    rates_words: 1,
    persons_words: 2,
    condition_words: 1,
  })
  expect(figuresOf('Stage seven in easy mode, stage nine in hard mode, stage ten')).toMatchObject({
    repeated_words: 2,
    repeated_most: 3,
  })
})

test('the language shows in its frequent words, and the script in its letters', () => {
  const german = figuresOf('Wie ist das Wetter und welche Stadt ist nicht so kalt?')
  expect(german.other_language).toBeGreaterThan(0.3)
  expect(figuresOf('What is the weather like in Rome, and which city is not so cold?').other_language).toBeUndefined()
  expect(figuresOf('Какая погода').cyrillic).toBeGreaterThan(0.8)
  expect(figuresOf('東京の天気').east_asian).toBe(1)
  expect(figuresOf('ما هو الطقس').other_letters).toBeGreaterThan(0.7)
})
