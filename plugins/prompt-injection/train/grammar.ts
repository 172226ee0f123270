/**
 * Sentences from a grammar: each slot `{name}` is one of its list, chosen by chance, and may hold slots itself; `{name?}`
 * is left out half of the time; `{name!}` is the same wherever it stands in a text. The same seed writes the same texts.
 */
export type Grammar = Readonly<Record<string, readonly string[]>>;

const SLOT = /\{(\w+)([?!])?\}/g;
/** Slots within slots; a grammar that goes deeper turns in a circle. */
const DEPTH_MAX = 12;

export interface Writer {
  /** One text: slots of `form` filled, white space made single. */
  write(form: string): string;
  one<T>(list: readonly T[]): T;
  chance(share: number): boolean;
}

export function writerOf(grammar: Grammar, random: () => number): Writer {
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const kept = new Map<string, string>();
  const fill = (form: string, depth: number): string => {
    if (depth > DEPTH_MAX) throw new Error(`the grammar turns in a circle at ${JSON.stringify(form)}`);
    return form.replace(SLOT, (_, name: string, mark: string | undefined) => {
      const list = grammar[name];
      if (list === undefined) throw new Error(`the grammar has no {${name}}`);
      if (mark === '?' && random() < 0.5) return '';
      const text = mark === '!' ? kept.get(name) ?? fill(one(list), depth + 1) : fill(one(list), depth + 1);
      if (mark === '!') kept.set(name, text);
      return text;
    });
  };
  return {
    one,
    chance: (share) => random() < share,
    write: (form) => {
      kept.clear();
      return tidy(fill(form, 0));
    },
  };
}

/** A list of the project's own, written in one line. */
export function list(words: string): readonly string[] {
  return words.split('|');
}

function tidy(text: string): string {
  return text.replace(/ {2,}/g, ' ').replace(/ +([.,!?;:])(?= |$)/g, '$1').trim();
}
