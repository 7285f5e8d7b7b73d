import { expect, test } from 'vitest'
import { isLabel, readLabelSet } from '#lib/verification/labels'

test.each([
  ['theft, fire,water', ['theft', 'fire', 'water']],
  ['["theft", "fire, water"]', ['theft', 'fire, water']],
  ['theft', ['theft']],
])('%j names its labels', (text, labels) => {
  expect(readLabelSet({ 'shunt.labels': text })).toEqual(labels)
})

test.each(['', ' ', 'theft,,fire', '[]', '["theft"', '[1]', '[""]'])('%j names none', (text) => {
  expect(readLabelSet({ 'shunt.labels': text })).toBeUndefined()
})

test('without the entry there is no set, whatever else the metadata hold', () => {
  expect(readLabelSet({ labels: 'vip', 'shunt.label': 'x' })).toBeNull()
})

test.each([
  ['theft', true],
  [' Theft\n', true],
  ['CAFE\u0301', true],
  ['theft.', false],
  ['The label is theft', false],
  ['"theft"', false],
  ['', false],
])('%j among theft and café: %s', (answer, expected) => {
  expect(isLabel(answer, ['theft', 'caf\u00e9'])).toBe(expected)
})
