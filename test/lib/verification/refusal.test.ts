import { expect, test } from 'vitest'
import { isRefusal } from '#lib/verification/refusal'

const asked = (content: string) => ({ messages: [{ role: 'user' as const, content }] })
const plain = asked('How do I reset the meter in the cellar?')

test.each([
  "I'm sorry, but I can't help with that.",
  'I’m sorry, but I can’t assist with that request.',
  "I'm sorry. I cannot help you with this.",
  'Sorry, I cannot assist with that.',
  'I cannot fulfill this request.',
  "I can't do that.",
  'As an AI language model, I cannot answer that question.',
  'Unfortunately, I am unable to help with your request. Is there anything else I can do for you?',
  "**I'm sorry, but I can't assist with that.** Please let me know if you have other questions.",
  "I won't comply with this request.",
  'Es tut mir leid, aber dabei kann ich nicht helfen.',
  'Leider kann ich Ihnen dabei nicht weiterhelfen.',
  'Das kann ich leider nicht beantworten.',
  'Je suis désolé, mais je ne peux pas vous aider avec cela.',
  'Désolé, je ne peux pas répondre à cette question.',
  'Lo siento, pero no puedo ayudarte con eso.',
  'Mi dispiace, ma non posso aiutarti con questo.',
  'Desculpe, mas não posso ajudar com isso.',
  'Het spijt me, maar daar kan ik niet bij helpen.',
  '很抱歉，我无法回答这个问题。',
  '对不起，我不能提供帮助。',
  '申し訳ありませんが、そのご要望にはお応えできません。',
])('%j is a refusal', (text) => {
  expect(isRefusal(text, plain)).toBe(true)
})

test.each([
  // Answers that say something.
  'I cannot find claim 4711 in the system.',
  "I'm sorry, but I can't share other customers' data.",
  "I'm sorry to hear that. Your parcel will arrive on Monday.",
  "I'm sorry, but I can't help with that. Your claim C-12 was paid on Monday.",
  "I can't help but notice that the meter runs backwards.",
  'Sorry.',
  'I can help with that.',
  "You can't do that.",
  'Unfortunately, flights in basic economy cannot be changed.',
  'The agent said: "I\'m sorry, but I can\'t help with that."',
  'Caller was told: sorry, we cannot help with that. He will call again.',
  'Ich kann dabei helfen.',
  'Das kann ich nicht empfehlen, weil die Frist abgelaufen ist.',
  'Je ne peux pas trouver ce dossier.',
  'No puedo encontrar ese pedido.',
  '我无法打开该文件，因为它已损坏。',
  'delivery',
  '',
])('%j is an answer', (text) => {
  expect(isRefusal(text, plain)).toBe(false)
})

test('a refusal that was asked for is an answer', () => {
  const text = "I'm sorry, but I can't help with that."
  expect(isRefusal(text, asked('Translate: Es tut mir leid, aber dabei kann ich nicht helfen.'))).toBe(false)
  expect(isRefusal(text, asked('Quote the sentence in which the agent declined.'))).toBe(false)
  expect(isRefusal(text, asked('Translate: Meine Heizung ist kalt.'))).toBe(true)
})

test('a long text is an answer, and no text takes long', () => {
  for (const piece of ['i am sorry, ', 'sorry, but ', 'kann ich ', 'no puedo ', 'leider ', '我无法', ' ']) {
    expect(isRefusal(piece.repeat(100_000), plain)).toBe(false)
    expect(isRefusal(piece.repeat(240).slice(0, 240), plain)).toBe(false)
  }
})
