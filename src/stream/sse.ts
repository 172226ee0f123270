/**
 * Server-sent events on bytes: where each frame begins and ends, and what it says. Frames keep their bytes, so a frame
 * that nothing changes leaves as it came, whatever its line ends. The only door to eventsource-parser, which reads the
 * fields. Knows CR, LF and CRLF, mixed too; a frame is closed by an empty line.
 */
import { createParser, type EventSourceParser } from 'eventsource-parser';
import { WeirError } from '../contract/errors.ts';

export interface Frame {
  /** The frame's bytes, its empty line included. */
  readonly raw: Buffer;
  /** The data lines joined by LF; undefined when the frame has none. */
  readonly data: string | undefined;
  readonly event: string | undefined;
  /** Text outside comments and the standard fields, which some servers use for errors; usually empty. */
  readonly stray: string;
}

const LF = 10;
const CR = 13;

/** Cuts bytes into frames. `feed` returns the frames that are complete; `flush` the rest as one unterminated frame. */
export class SseFramer {
  readonly #frameBytesMax: number;
  readonly #reader = new FrameReader();
  /** Bytes of the frame that is not complete. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** The last byte seen, so that a line end cut in two is known; LF at the start, as if a line had just ended. */
  #lineIsEmpty = true;
  #afterCr = false;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Throws WeirError response_too_large. */
  feed(chunk: Buffer): readonly Frame[] {
    const frames: Frame[] = [];
    let frameStart = 0;
    const hasCr = chunk.includes(CR);
    for (let i = 0; i < chunk.length; i += 1) {
      const byte = chunk[i] as number;
      if (byte !== LF && byte !== CR) {
        this.#lineIsEmpty = false;
        this.#afterCr = false;
        // Nothing but a line end matters: jump to the next one.
        i = nextLineEnd(chunk, i + 1, hasCr) - 1;
        continue;
      }
      const secondHalf = byte === LF && this.#afterCr;
      this.#afterCr = byte === CR;
      if (secondHalf) continue;
      if (!this.#lineIsEmpty) {
        this.#lineIsEmpty = true;
        continue;
      }
      // An empty line. With CRLF its second half belongs to it.
      let end = i + 1;
      if (byte === CR && chunk[end] === LF) {
        end += 1;
        i += 1;
        this.#afterCr = false;
      }
      frames.push(this.#frame(chunk.subarray(frameStart, end)));
      frameStart = end;
    }
    if (frameStart < chunk.length) this.#keep(chunk.subarray(frameStart));
    return frames;
  }

  /** What came after the last empty line, or undefined. */
  flush(): Frame | undefined {
    if (this.#restBytes === 0) return undefined;
    return this.#frame(Buffer.alloc(0));
  }

  #frame(last: Buffer): Frame {
    const raw = this.#rest.length === 0 ? last : Buffer.concat([...this.#rest, last]);
    this.#rest = [];
    this.#restBytes = 0;
    if (raw.length > this.#frameBytesMax) throw tooLarge();
    return this.#reader.read(raw);
  }

  #keep(bytes: Buffer): void {
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
    if (this.#restBytes > this.#frameBytesMax) throw tooLarge();
  }
}

function tooLarge(): WeirError {
  return new WeirError('response_too_large', 'an event of the stream is larger than proxy.limits.event_bytes_max');
}

function nextLineEnd(chunk: Buffer, from: number, hasCr: boolean): number {
  const lf = chunk.indexOf(LF, from);
  const end = lf < 0 ? chunk.length : lf;
  if (!hasCr) return end;
  // A CR before the LF ends the line too; looked for only in this line.
  const cr = chunk.subarray(from, end).indexOf(CR);
  return cr < 0 ? end : from + cr;
}

/** Reads the fields of one whole frame. */
class FrameReader {
  readonly #parser: EventSourceParser;
  #data: string | undefined;
  #event: string | undefined;

  constructor() {
    this.#parser = createParser({
      onEvent: (message) => {
        this.#data = message.data;
        this.#event = message.event;
      },
    });
  }

  read(raw: Buffer): Frame {
    const text = raw.toString('utf8');
    // The shape of nearly every frame: one data line, LF ends.
    if (text.startsWith('data: ') && text.endsWith('\n\n') && text.indexOf('\n') === text.length - 2 && !text.includes('\r')) {
      return { raw, data: text.slice(6, -2), event: undefined, stray: '' };
    }
    this.#data = this.#event = undefined;
    this.#parser.reset();
    this.#parser.feed(`${text}\n\n`);
    return { raw, data: this.#data, event: this.#event, stray: strayText(text) };
  }
}

function strayText(text: string): string {
  return text.split(/\r\n|\r|\n/).filter((line) => line !== '' && !/^(?:\uFEFF)?(?::|(?:data|event|id|retry)(?::|$))/.test(line)).join('\n');
}

/** The frame's bytes with its data replaced; every other line, and the line ends, stay. */
export function withData(frame: Frame, data: string): Buffer {
  let written = false;
  const text = frame.raw.toString('utf8').replace(/([^\r\n]*)(\r\n|\r|\n|$)/g, (whole, line: string, end: string) => {
    if (!/^(?:\uFEFF)?data(?::|$)/.test(line)) return whole;
    if (written) return '';
    written = true;
    return `data: ${data.replaceAll('\n', `${end}data: `)}${end}`;
  });
  return Buffer.from(text);
}
