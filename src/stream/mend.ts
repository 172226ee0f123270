/**
 * Frames that known clients misread, written as all of them read them: no byte order mark; no `id` and `retry` lines and
 * no event without data, for which openai-python dispatches an empty event; nothing beside the data that no client reads
 * and so nothing screens; one kind of line end before the empty line. Every other frame stays the bytes it is, also one
 * that clients do not see, such as an unknown field by itself or an event that the end of the stream cuts off. Pure.
 */
import type { Frame } from './sse.ts';

const LF = 10;
/** A byte order mark, its bytes read as Latin-1. */
const BOM = /^(?:\xef\xbb\xbf)+/;
const LINES = /[^\r\n]*(?:\r\n|\r|\n|$)/g;
const READ = /^(?:data|event)(?::|[\r\n]|$)/;
const NUMBERED = /^(?:id|retry)(?::|[\r\n]|$)/;
/** Line ends of two kinds before the empty line: openai-python reads on to the next event. */
const MIXED = /(?:[^\r]\n\r|[^\r\n]\r\n\n)/;
/** The last line feed may be still to come. */
const CLOSED = /(?:\n\n|\r\r|\r\n\r\n?)$/;

/** The frame to go on with; undefined when nothing of it is for clients. */
export function mended(frame: Frame): Frame | undefined {
  if (isPlain(frame)) return frame;
  // Latin-1, so that what is no UTF-8 stays what it is.
  const given = frame.raw.toString('latin1');
  if (!/[^\r\n]/.test(given)) return frame;
  const lines = (given.replace(BOM, '').match(LINES) as string[]).filter((line) => isKept(line, frame)).join('');
  if (lines === given && !MIXED.test(given)) return frame;
  const kept = closed(lines);
  return kept === '' ? undefined : { ...frame, raw: Buffer.from(kept, 'latin1'), stray: frame.data === undefined ? frame.stray : '' };
}

/** One data line between line feeds: the shape of nearly every frame. */
function isPlain({ raw, data, event, stray }: Frame): boolean {
  return data !== undefined && event === undefined && stray === '' && raw[0] === 0x64 && raw.indexOf(LF) === raw.length - 2 && raw[raw.length - 1] === LF && !raw.includes(13);
}

function isKept(line: string, { data, stray }: Frame): boolean {
  if (/^[\r\n:]/.test(line)) return true;
  if (NUMBERED.test(line)) return false;
  return data === undefined ? stray !== '' && !line.startsWith('event') : READ.test(line);
}

/** With an empty line that openai-python takes for one; nothing where nothing was said. */
function closed(text: string): string {
  const said = text.replace(/[\r\n]+$/, '');
  if (said === '') return '';
  return CLOSED.test(text) ? text : `${said}\n\n`;
}
