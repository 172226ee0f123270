/**
 * What a text shows that its words do not say: forged markers of roles and delimiters, placeholders, runs of code,
 * lines left empty, shouting amid plain text, links that carry something away. Each is found in time that grows with
 * the text only. Pure.
 */
import type { Signs } from '#model/signs.ts';

const SIGNS: Readonly<Record<string, RegExp>> = {
  // <|im_start|>, [INST], <<SYS>>, </s>, <system>
  role_marker: /<\|[a-z_ ]{1,20}\|?>|\[\/?(?:INST|SYS|SYSTEM)\]|<<\/?SYS>>|<\/?(?:s|system|user|assistant|instructions?|document|context|prompt|im_start)>/i,
  role_line: /^[\s#*>[]{0,8}(?:system|admin|developer|user|human|assistant|ai)(?: message| prompt)?[\]*]{0,3}\s?:/im,
  heading: /^#{2,6} ?(?:system|instruction|new|response|input|end)/im,
  end_of_text: /\b(?:end|begin|start) of (?:the )?(?:prompt|text|document|input|instructions?|context|file|conversation|session|system)\b/i,
  empty_lines: /(?:\\n ?|\\ n ?|\n[ \t]?){6}/,
  fence: /^\s{0,3}(?:```|"""|---|===|\*\*\*)/m,
  comment: /<!--|\/\*|^\s*%%/m,
  placeholder: /\[(?:insert|your|prompt|question|query|x)\b[^\]\n]{0,40}\]|\{(?:prompt|question|query|input)\}|<(?:question|prompt|input|query)>/i,
  base64: /[A-Za-z0-9+/]{40}/,
  image_link: /!\[[^\]\n]{0,60}\]\(https?:/,
  link_with_query: /https?:\/\/[^\s)]{1,120}[?&][a-z]{1,12}=/i,
  execution: /\b(?:os\.system|subprocess|eval\(|exec\(|rm -rf|curl [^\n]{0,80}\|\s?(?:sh|bash)|child_process|\/etc\/passwd|powershell)/i,
  tagged_answer: /[[(][^\])\n]{0,3}(?:classic|jailbreak|normal|gpt|dan|output|mode)[^\])\n]{0,20}[\])]|🔓|🔒/iu,
  own_name_answer: /\b[A-Z][A-Za-z0-9]{2,15}: ?[[("'<]/,
};
/** Words and marks run into each other, brackets that nothing closes: text that a machine found by trial. */
const CLASH = /[a-z][A-Z]|[a-z\d][^\w\s.,:;'’)\-/]{1,4}[a-z\d]|[^\w\s]{3,}/g;
/** So many clashes so near to each other, at the end of a text: a sign for each level. */
const CLASHES: readonly number[] = [7, 9, 11];
const CLASH_CHARS = 140;
const TAIL_CHARS = 280;
/** Words in capitals amid others. */
const SHOUTED = /(?:\b[A-Z']{3,}[ ,!]+){4}/;
const PLAIN = /\b[a-z]{3,} [a-z]{2,} [a-z]{3,}/;
/** Most characters of a text that are looked at. */
const CHARS_MAX = 16_384;

const TESTS = Object.values(SIGNS);

export const ATTACK_SIGNS: Signs = {
  names: [...Object.keys(SIGNS), 'shouted', ...CLASHES.map((count) => `garbled_${count}`)],
  of(text) {
    const seen = text.length > CHARS_MAX ? text.slice(0, CHARS_MAX) : text;
    const found: number[] = [];
    for (let one = 0; one < TESTS.length; one += 1) if (TESTS[one]!.test(seen)) found.push(one);
    if (SHOUTED.test(seen) && PLAIN.test(seen)) found.push(TESTS.length);
    const clashes = garbledBy(seen.slice(-TAIL_CHARS));
    for (let level = 0; level < CLASHES.length && clashes >= CLASHES[level]!; level += 1) found.push(TESTS.length + 1 + level);
    return found;
  },
};

/** Most clashes near to each other; 0 where every bracket and quote is closed. */
function garbledBy(text: string): number {
  const clashes = Array.from(text.matchAll(CLASH), ({ index }) => index);
  if (clashes.length < CLASHES[0]! || (countOf(text, '"') % 2 === 0 && PAIRS.every(([open, close]) => countOf(text, open) === countOf(text, close)))) return 0;
  let most = 0;
  for (let first = 0, last = 0; last < clashes.length; last += 1) {
    while (clashes[last]! - clashes[first]! > CLASH_CHARS) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
const PAIRS: readonly (readonly [string, string])[] = [['(', ')'], ['[', ']'], ['{', '}']];

function countOf(text: string, mark: string): number {
  return text.split(mark).length - 1;
}
