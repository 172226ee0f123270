/**
 * HTML that is written safely by default: whatever is put into a template is escaped, unless a template made it. Characters
 * that cannot be seen, or that turn the order of others, are written out, so that a text looks like what it is. Pure.
 *
 * INVARIANT: every value stands in text or in a quoted attribute; no template puts one into a tag, a script or a style.
 */

/** Markup that `html` made. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }

  toString(): string {
    return this.markup;
  }
}

export type Piece = string | number | Html | false | null | undefined | readonly Piece[];

export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  let markup = parts[0]!;
  for (const [index, piece] of pieces.entries()) markup += markupOf(piece) + parts[index + 1]!;
  return new Html(markup);
}

/** A text that is sent back as it is, in a field of a form: nothing of it is written out. */
export function exact(text: string): Html {
  return new Html(escapeMarkup(text));
}

function markupOf(piece: Piece): string {
  if (piece === false || piece === null || piece === undefined) return '';
  if (piece instanceof Html) return piece.markup;
  return typeof piece === 'object' ? piece.map(markupOf).join('') : escapeMarkup(visible(String(piece)));
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeMarkup(text: string): string {
  return text.toWellFormed().replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

/** Controls, what turns or hides other characters, halves of pairs; not line ends, tabs, and what makes a sign an emoji. */
const UNSEEN = /(?![\t\n\uFE0F])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

export function visible(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSEEN, (character) => `⟨${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}⟩`);
}
