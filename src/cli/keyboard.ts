/**
 * Keys of a terminal, one by one, and lines that are typed with them. While it is open the terminal sends keys as they are
 * pressed and shows none; whatever ends it, closing gives the terminal back as it was. Ctrl-C, Ctrl-D and the end of the
 * input are the key `stop`, as is a signal, so that whoever reads keys ends in order.
 */
import type { Readable } from 'node:stream';
import { visible } from '../console/html.ts';

export const STOP = 'stop';
const [ENTER, ESCAPE, BACKSPACE, CTRL_C, CTRL_D] = ['\r', '\u001b', '\u007f', '\u0003', '\u0004'];
/** Of one line. */
const LINE_CHARS_MAX = 2_000;

type Terminal = Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): void };

export class Keyboard {
  readonly #input: Terminal;
  readonly #write: (text: string) => void;
  readonly #waiting: string[] = [];
  #wanted: ((key: string) => void) | undefined;
  #isOver = false;
  readonly #onData = (data: Buffer | string): void => { for (const key of keysIn(data.toString())) this.#give(key); };
  readonly #onEnd = (): void => this.#stop();

  constructor(input: Readable, write: (text: string) => void, stop: AbortSignal) {
    [this.#input, this.#write] = [input, write];
    this.#input.setRawMode?.(true);
    this.#input.on('data', this.#onData).once('end', this.#onEnd).resume();
    stop.addEventListener('abort', this.#onEnd, { once: true });
  }

  /** Whether keys can be read from it. */
  static isThere(input: Readable): boolean {
    return (input as Terminal).isTTY === true;
  }

  /** One character, or `stop`, for good. */
  next(): Promise<string> {
    const key = this.#waiting.shift();
    if (key !== undefined || this.#isOver) return Promise.resolve(key ?? STOP);
    return new Promise((resolve) => { this.#wanted = resolve; });
  }

  /** What is typed up to Enter; undefined where it is left by Escape or stopped. */
  async line(prompt: string): Promise<string | undefined> {
    this.#write(prompt);
    for (let typed = ''; ; ) {
      const key = await this.next();
      if (key === ENTER || key === ESCAPE || key === STOP) {
        this.#write('\n');
        return key === ENTER ? typed : undefined;
      }
      if (key === BACKSPACE && typed !== '') {
        typed = [...typed].slice(0, -1).join('');
        this.#write('\b \b');
      } else if (key >= ' ' && key !== BACKSPACE && typed.length < LINE_CHARS_MAX) {
        typed += key;
        this.#write(visible(key));
      }
    }
  }

  close(): void {
    this.#input.off('data', this.#onData).off('end', this.#onEnd).pause();
    this.#input.setRawMode?.(false);
  }

  #give(key: string): void {
    if (this.#isOver) return;
    if (key === CTRL_C || key === CTRL_D) return this.#stop();
    const wanted = this.#wanted;
    this.#wanted = undefined;
    if (wanted === undefined) this.#waiting.push(key);
    else wanted(key);
  }

  /** What was pressed before it is not done any more. */
  #stop(): void {
    this.#isOver = true;
    this.#waiting.length = 0;
    this.#wanted?.(STOP);
    this.#wanted = undefined;
  }
}

/** Arrows and the like are one key each, which nothing is bound to; line ends are Enter. */
function keysIn(text: string): readonly string[] {
  return [...text.replaceAll(/\u001b\[[\d;]*[A-Za-z~]|\u001bO[A-Z]/g, '').replaceAll(/\r?\n/g, ENTER)];
}
