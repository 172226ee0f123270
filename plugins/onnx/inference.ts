/**
 * The process that holds a model: tokenizes texts, runs the windows through onnxruntime, answers with scores. A process of
 * its own, because the runtime computes on the thread that asks it, and because a fault in native code ends the process
 * that it happens in. It opens no connection and writes no file; it ends with its parent.
 */
import { readFileSync } from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { RUNTIME, TEXT_CHARS_MAX, type ModelTerms, type Question, type Reply } from './messages.ts';
import { scoresOf, surroundings, textPieces, tokenWindows, windowCount, worstOf, type WindowTerms } from './tokens.ts';

/** Windows that run together; more at once take memory and no less time. */
const BATCH_MAX = 8;

/** Installed by those who want it, so the type check cannot ask for it; its types are those of onnxruntime-common. */
const RUNTIME_PACKAGE: string = 'onnxruntime-node';
type Runtime = Pick<typeof import('onnxruntime-common'), 'InferenceSession' | 'Tensor'>;

/** Its message tells the operator what to correct. */
class Unusable extends Error {}

class Model {
  readonly #runtime: Runtime;
  readonly #session: InferenceSession;
  readonly #tokenizer: Tokenizer;
  readonly #terms: ModelTerms;
  readonly #windows: WindowTerms;

  private constructor(runtime: Runtime, session: InferenceSession, tokenizer: Tokenizer, terms: ModelTerms, windows: WindowTerms) {
    this.#runtime = runtime;
    this.#session = session;
    this.#tokenizer = tokenizer;
    this.#terms = terms;
    this.#windows = windows;
  }

  /** Throws Unusable. */
  static async load(terms: ModelTerms): Promise<Model> {
    const runtime = (await import(RUNTIME_PACKAGE).catch(() => {
      throw new Unusable(`the package ${RUNTIME_PACKAGE} is missing; install it beside Weir: npm install --no-save --ignore-scripts ${RUNTIME}`);
    })) as Runtime;
    const { tokenizer, windows } = readTokenizer(terms);
    const session = await runtime.InferenceSession.create(terms.model, { intraOpNumThreads: terms.threads, interOpNumThreads: 1, logSeverityLevel: 4 }).catch(() => {
      throw new Unusable('model: the file cannot be read as an ONNX model');
    });
    const strange = session.inputNames.find((name) => !Object.hasOwn(INPUTS, name));
    if (strange !== undefined) throw new Unusable(`model: it asks for the input ${strange}; known are ${Object.keys(INPUTS).join(', ')}`);
    const model = new Model(runtime, session, tokenizer, terms, windows);
    // Once before the first text, which then does not wait for memory to be laid out.
    const outputs = await model.#run([[...windows.prefix, ...windows.suffix, 0]]).catch(() => {
      throw new Unusable('model: it cannot classify a text; its inputs are token ids in rows, its first output one row of numbers for each');
    });
    if (outputs[0].length !== terms.labels) throw new Unusable(`labels: the model has ${outputs[0].length} outputs, and there are ${terms.labels} labels`);
    return model;
  }

  /** Undefined for a text that makes more windows than the configuration allows. */
  async scores(text: string): Promise<readonly number[] | undefined> {
    if (text.length > TEXT_CHARS_MAX) return undefined;
    const ids: number[] = [];
    for (const piece of textPieces(text)) {
      for (const id of this.#tokenizer.encode(piece, { add_special_tokens: false }).ids) ids.push(id);
      if (windowCount(ids.length, this.#windows) > this.#terms.windowsMax) return undefined;
    }
    const windows = tokenWindows(ids, this.#windows);
    const scores: (readonly number[])[] = [];
    for (let at = 0; at < windows.length; at += BATCH_MAX) scores.push(...(await this.#run(windows.slice(at, at + BATCH_MAX))).map((row) => scoresOf(row, this.#terms.activation)));
    return worstOf(scores);
  }

  /** The first output, one row for each window. Windows shorter than the longest are filled up, and the mask says so. */
  async #run(windows: readonly (readonly number[])[]): Promise<readonly (readonly number[])[]> {
    const width = Math.max(...windows.map(({ length }) => length));
    const feeds: Record<string, Tensor> = {};
    for (const [at, name] of this.#session.inputNames.entries()) {
      const metadata = this.#session.inputMetadata[at];
      const values = windows.flatMap((window) => Array.from({ length: width }, (_, place) => INPUTS[name](window, place)));
      const shape = [windows.length, width];
      const isNarrow = metadata.isTensor && metadata.type === 'int32';
      feeds[name] = isNarrow ? new this.#runtime.Tensor('int32', Int32Array.from(values), shape) : new this.#runtime.Tensor('int64', BigInt64Array.from(values, BigInt), shape);
    }
    const { data, dims } = (await this.#session.run(feeds))[this.#session.outputNames[0]];
    if (dims.length !== 2 || dims[0] !== windows.length) throw new Error('no row of outputs for each window');
    const numbers = Array.from(data as Float32Array, Number);
    return windows.map((_, row) => numbers.slice(row * dims[1], (row + 1) * dims[1]));
  }
}

/** What each input holds at a place of a window; 0 fills it up. */
const INPUTS: Readonly<Record<string, (window: readonly number[], place: number) => number>> = {
  input_ids: (window, place) => window[place] ?? 0,
  attention_mask: (window, place) => (place < window.length ? 1 : 0),
  token_type_ids: () => 0,
};

interface TokenizerFile {
  readonly added_tokens?: readonly { readonly special?: boolean }[];
}

/** Words such as [SEP] in a text are words: what controls the model comes from its template alone. */
function readTokenizer({ tokenizer: path, tokensMax, overlap }: ModelTerms): { readonly tokenizer: Tokenizer; readonly windows: WindowTerms } {
  try {
    const file = JSON.parse(readFileSync(path, 'utf8')) as TokenizerFile;
    const tokenizer = new Tokenizer({ ...file, added_tokens: (file.added_tokens ?? []).filter(({ special }) => special !== true) }, {});
    const probe = 'a';
    const around = surroundings(new Tokenizer(file, {}).encode(probe).ids, tokenizer.encode(probe, { add_special_tokens: false }).ids);
    if (around === undefined) throw new Error('no place for a text in the template');
    if (tokensMax - around.prefix.length - around.suffix.length <= overlap) throw new Unusable(`overlap_tokens: a window of ${tokensMax} tokens has no room for more than these`);
    return { tokenizer, windows: { ...around, tokensMax, overlap } };
  } catch (error) {
    throw error instanceof Unusable ? error : new Unusable('tokenizer: the file cannot be read as a tokenizer.json');
  }
}

function reply(message: Reply): void {
  process.send?.(message);
}

async function answer(model: Model, { job, text }: Question): Promise<void> {
  try {
    const scores = await model.scores(text);
    reply(scores === undefined ? { kind: 'too_long', job } : { kind: 'scores', job, scores });
  } catch {
    reply({ kind: 'failed', job });
  }
}

process.once('disconnect', () => process.exit());
// An interrupt from the keyboard reaches every process of the terminal; the parent says when this one ends.
process.on('SIGINT', () => {});
process.once('message', (terms: ModelTerms) => {
  Model.load(terms).then((model) => {
    process.on('message', (question: Question) => void answer(model, question));
    reply({ kind: 'ready' });
  }, (error: unknown) => reply({ kind: 'refused', message: error instanceof Unusable ? error.message : 'the model could not be loaded' }));
});
