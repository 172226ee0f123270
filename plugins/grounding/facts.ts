/**
 * Whether sources say anything that an answer could be held against. A system prompt that only tells the model how to
 * behave does not; held against it every answer would be unsupported. Pure.
 */
import { readWords, SMALL } from './words.ts';

/** Words of a statement that mean something, in all of it. */
const CONTENT_MIN = 3;

/** How a sentence begins that tells a model what to do. */
const INSTRUCTION = /^[\s"'“#*>•-]*(?:\d+[.)]\s*)?(?:you(?:['’]re| are| must| should)\b|your (?:task|job|role|name|goal|purpose|answers?|tone|responses?)\b|(?:please |always |never |only )*(?:answer|respond|reply|be|act|behave|use|keep|write|assist|help|speak|stay|refuse|decline|avoid|remember|follow|provide|make sure|ensure|do not|don['’]t|format|cite|explain|summari[sz]e|translate|think|ask|treat|return|output|limit|mention|reveal|include)\b|(?:if|when|whenever|before|after) (?:you|the user|a user|asked|users|someone)\b|today is|the current (?:date|time)|current date|knowledge cutoff)/i;

export function holdsFacts(sources: string): boolean {
  let content = 0;
  for (const sentence of sources.split(/(?<=[.!?])\s+|\n+/)) {
    if (INSTRUCTION.test(sentence)) continue;
    const { count, kinds } = readWords(sentence);
    for (let at = 0; at < count; at += 1) if ((kinds[at] & SMALL) === 0) content += 1;
    if (content >= CONTENT_MIN) return true;
  }
  return false;
}
