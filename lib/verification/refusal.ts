import type { AnswerableRequest } from './verification.ts'

/** A longer text says something beside the refusal. */
const maxChars = 240

/**
 * One sentence that refuses and nothing else: apology, "I cannot", a verb of helping, and "that" or "this request" for an
 * object. What is refused is never named: "I cannot find claim 4711" and "I cannot share other customers' data" may be
 * just the right answer.
 */
const refusals: readonly RegExp[] = [
  // English
  /^(?:(?:i['’]?m|i am|we['’]?re|we are)? ?(?:very |so |really )?sorry[,.!;:]? ?(?:but )?|(?:i )?apologi[sz]e[,.!;:]? ?(?:but )?|unfortunately,? )?(?:as an ai(?: language model| assistant)?,? )?(?:i|we) (?:can['’]?t|cannot|can not|won['’]?t|will not|(?:am|are|['’]m) (?:not able|unable) to|['’]m (?:not able|unable) to)(?: (?:help|assist)(?: you)?(?: (?:with|in))?| (?:do|fulfil|fulfill|complete|answer|process|provide|comply(?: with)?|respond to|engage (?:with|in)|continue(?: with)?))(?: (?:that|this|it|your request|(?:that|this) (?:request|question|task|topic|kind of request|type of request)|answering (?:that|this)(?: question)?))?$/,
  // German
  /^(?:(?:es )?tut mir (?:sehr )?leid[,.!;:]? ?(?:aber )?|entschuldigung[,.!;:]? ?(?:aber )?|leider )?(?:(?:dabei|damit|bei dieser (?:anfrage|frage)|diese (?:anfrage|frage)|das|dies)? ?(?:kann|darf) ich|ich (?:kann|darf)) ?(?:ihnen|dir)? ?(?:leider )?(?:(?:dabei|damit|bei dieser (?:anfrage|frage)|diese (?:anfrage|frage)|das|dies) )?(?:leider )?nicht (?:helfen|weiterhelfen|behilflich sein|beantworten|erfüllen|bearbeiten|tun)$/,
  // French
  /^(?:(?:je suis |nous sommes )?(?:vraiment )?désolée?s?[,.!;:]? ?(?:mais )?|malheureusement,? )?je ne (?:peux|puis) pas (?:vous |t['’])?(?:(?:y )?(?:aider|répondre|faire|assister)|traiter|satisfaire)(?: (?:(?:avec|à|dans) )?(?:cela|ça|ceci|cette (?:demande|question|requête)|votre demande))?$/,
  // Spanish
  /^(?:(?:lo siento(?: mucho)?|perdón|disculpa|disculpe)[,.!;:]? ?(?:pero )?|lamentablemente,? )?no puedo (?:(?:ayudarte|ayudarle|ayudar|asistirte|asistirle|cumplir|responder|hacer)(?: (?:con|a) )? ?(?:eso|esto|esa (?:solicitud|petición|pregunta)|esta (?:solicitud|petición|pregunta)|tu solicitud|su solicitud)?)$/,
  // Italian
  /^(?:(?:mi dispiace|scusa|scusi)[,.!;:]? ?(?:ma )?|purtroppo,? )?non posso (?:aiutarti|aiutarla|aiutare|assisterti|rispondere|soddisfare|farlo)(?: (?:con|in|a) )? ?(?:questo|ciò|questa (?:richiesta|domanda)|quella (?:richiesta|domanda)|la tua richiesta|la sua richiesta)?$/,
  // Portuguese
  /^(?:(?:desculpe|desculpa|sinto muito|lamento)[,.!;:]? ?(?:mas )?|infelizmente,? )?(?:eu )?não posso (?:ajudar|ajudá-lo|ajudá-la|te ajudar|responder|atender|fazer)(?: (?:com|a) )? ?(?:isso|isto|esse pedido|este pedido|essa (?:solicitação|pergunta)|esta (?:solicitação|pergunta))?$/,
  // Dutch
  /^(?:(?:het )?spijt (?:me|mij)[,.!;:]? ?(?:maar )?|sorry[,.!;:]? ?(?:maar )?|helaas )?(?:daar|hier)?(?:mee|bij)? ?(?:kan ik|ik kan)(?: u| je)?(?: (?:daar|hier)(?:mee|bij)| met (?:dit|dat|dit verzoek|deze vraag))? ?(?:helaas )?niet (?:mee |bij )?(?:helpen|beantwoorden|doen)$/,
  // Chinese
  /^(?:(?:很|非常)?(?:抱歉|对不起|對不起|不好意思)[，,。!！]? ?(?:但(?:是)?)?)?我(?:无法|不能|無法)(?:为您|为你|為您)?(?:提供|回答|协助|帮助|協助|幫助|满足|处理|完成)(?:您|你)?(?:的)?(?:这个|这|该|此|這個|這)?(?:请求|问题|要求|帮助|協助|請求|問題)?$/,
  // Japanese
  /^(?:(?:大変)?(?:申し訳(?:ありません|ございません)|すみません)(?:が)?[、,。]? ?)?(?:その|この)?(?:ご)?(?:要望|質問|依頼|リクエスト)?(?:に|には|を)?(?:は)?お?(?:手伝い|答え|応え|対応)(?:することは?)?(?:できません|できかねます|いたしかねます)$/,
]

/** What may follow a refusal without saying anything: an offer or a plea. */
const offers =
  /^(?:is there|if (?:you|there)|can i|may i|let me know|please|feel free|how (?:else )?(?:can|may)|what else|perhaps you|kann ich|gibt es|bitte|wenn sie|puis-je|y a-t-il|n['’]hésitez|puedo|hay algo|¿|posso|c['’]è|há |se (?:precisar|hai)|is er|kan ik|als u|如果|请|請|您|他に|何か)/

/** A refusal anywhere in a text; wider than those above, since it only ever spares an answer. */
const mention =
  /sorry|apologi[sz]e|can['’]?t (?:help|assist)|cannot (?:help|assist)|unable to|tut mir leid|nicht (?:helfen|weiterhelfen)|désolé|ne (?:peux|puis) pas|lo siento|no puedo|dispiace|non posso|desculp|não posso|sinto muito|spijt me|niet helpen|抱歉|对不起|對不起|无法|無法|申し訳|すみません|refus|declin/i

/**
 * Whether a short text is a refusal and nothing else, in the languages above. Careful: what it does not know passes. A
 * request that speaks of refusals itself may have asked for one to be translated, quoted or classified; then all pass.
 */
export function isRefusal(text: string, request: Pick<AnswerableRequest, 'messages'>): boolean {
  if (text.length > maxChars) return false
  const [first, ...rest] = sentencesOf(text)
  if (first === undefined || !refusals.some((form) => form.test(first))) return false
  const isOffer = (sentence: string) => offers.test(sentence) || refusals.some((form) => form.test(sentence))
  return rest.every(isOffer) && !mention.test(JSON.stringify(request.messages ?? []))
}

/** "I'm sorry." alone joins what follows it. */
function sentencesOf(text: string): string[] {
  const plain = text
    .trim()
    .toLowerCase()
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[*_"“”„«»]/g, '')
  const sentences = plain
    .split(/(?<=[.!?])\s+|(?<=[。！？])\s*/)
    .map((each) => each.replace(/[.!?。！？]+$/, '').trim())
  const said = sentences.filter((each) => each !== '')
  const [first, second, ...rest] = said
  return first !== undefined && second !== undefined && apologies.test(first) ? [`${first}, ${second}`, ...rest] : said
}

const apologies =
  /^(?:(?:i['’]?m|i am) (?:very |so |really )?sorry|sorry|i apologi[sz]e|(?:es )?tut mir (?:sehr )?leid|(?:je suis )?désolée?|lo siento(?: mucho)?|mi dispiace|desculpe|sinto muito|(?:het )?spijt me|(?:很|非常)?抱歉|对不起|申し訳ありません|申し訳ございません)$/
