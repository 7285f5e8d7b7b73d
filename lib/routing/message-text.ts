import type { ChatMessage } from '#lib/events/chat-request'

/** The texts of a message, refusals included, images not. */
export function textsOf(message: Pick<ChatMessage, 'content'>): string[] {
  const { content } = message
  if (typeof content === 'string') return [content]
  if (!content) return []
  const texts: string[] = []
  for (const part of content) {
    if (part.type === 'text') texts.push(part.text)
    else if (part.type === 'refusal') texts.push(part.refusal)
  }
  return texts
}

export function countImages(message: Pick<ChatMessage, 'content'>): number {
  const { content } = message
  if (typeof content === 'string' || !content) return 0
  let images = 0
  for (const part of content) if (part.type === 'image_url') images++
  return images
}
