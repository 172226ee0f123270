/**
 * Made-up secrets, each there once, and the search for them in whatever bytes a sink holds: any ten characters in a row
 * of one of them, as they are, in another case, as hex, base64, in a URL, escaped in JSON, or in UTF-16. A shortened,
 * wrapped or encoded copy is found like a whole one.
 */
import { randomInt } from 'node:crypto';

const CHARS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const PIECE_CHARS = 10;

export class Canaries {
  /** What is looked for, by the name of the secret. In two kinds: in the bytes as they are, and in them in lower case. */
  readonly #needles = new Map<string, { readonly exact: readonly Buffer[]; readonly lower: readonly Buffer[] }>();

  /** A new one: forty letters and digits. */
  make(name: string): string {
    return this.watch(name, Array.from({ length: 40 }, () => CHARS[randomInt(CHARS.length)]).join(''));
  }

  /** One that somebody else made. What is the same in all of its kind, such as `weir_`, is no part of it. */
  watch(name: string, secret: string): string {
    const own = secret.replace(/^[a-z]{1,8}_/, '');
    const pieces = Array.from({ length: Math.floor(own.length / PIECE_CHARS) }, (_, i) => own.slice(i * PIECE_CHARS, (i + 1) * PIECE_CHARS));
    const exact = pieces.flatMap(base64Forms).map((form) => Buffer.from(form, 'latin1'));
    const lower = pieces.flatMap((piece) => plainForms(piece).map((form) => Buffer.from(form.toLowerCase(), 'latin1')));
    this.#needles.set(name, { exact, lower });
    return secret;
  }

  /** Names of those that are in there. */
  in(sink: string | Buffer, names: Iterable<string> = this.#needles.keys()): string[] {
    const bytes = typeof sink === 'string' ? Buffer.from(sink) : sink;
    const lowered = Buffer.from(bytes.toString('latin1').replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()), 'latin1');
    return [...names].filter((name) => {
      const { exact, lower } = this.#needles.get(name)!;
      return exact.some((needle) => bytes.includes(needle)) || lower.some((needle) => lowered.includes(needle));
    });
  }

  /** Around the first find of each, for who has to know where it came from. */
  show(sink: string, names: readonly string[]): string[] {
    return names.map((name) => {
      const needle = [...this.#needles.get(name)!.exact, ...this.#needles.get(name)!.lower].map((one) => one.toString('latin1')).find((one) => sink.includes(one));
      return needle === undefined ? name : `${name}: ${sink.slice(Math.max(0, sink.indexOf(needle) - 120), sink.indexOf(needle) + 60)}`;
    });
  }

  /** All but these. */
  except(...names: readonly string[]): string[] {
    return [...this.#needles.keys()].filter((name) => !names.includes(name));
  }
}

function plainForms(piece: string): string[] {
  const codes = [...piece].map((char) => char.charCodeAt(0).toString(16).padStart(2, '0'));
  return [piece, codes.join(''), codes.map((code) => `%${code}`).join(''), codes.map((code) => `\\u00${code}`).join(''), codes.map((code) => `\\x${code}`).join(''), [...piece].join('\0')];
}

/** What base64 makes of it wherever in a text it begins, without the characters that its neighbours have a part in. */
function base64Forms(piece: string): string[] {
  return [0, 1, 2].flatMap((before) => {
    const whole = Buffer.concat([Buffer.alloc(before), Buffer.from(piece)]);
    const [from, to] = [Math.ceil((before * 4) / 3), Math.floor((whole.length * 4) / 3)];
    return (['base64', 'base64url'] as const).map((encoding) => whole.toString(encoding).slice(from, to));
  });
}
