/**
 * ONNX models and tokenizers that a test makes for itself: a mean of word vectors and a linear layer, written as the bytes
 * of a ModelProto, with as much work in between as a test wants to see done.
 */

export interface TinyModel {
  /** One row of numbers for each token id. */
  readonly embedding: readonly (readonly number[])[];
  /** From the mean of the rows to the outputs. */
  readonly linear: readonly (readonly number[])[];
  /** Names and order of the inputs; `attention_mask` is used where it is there. */
  readonly inputs?: readonly string[];
  readonly narrow?: boolean;
  /** Multiplications of the vectors with a matrix of their own width, which change nothing. */
  readonly work?: number;
  /** Outputs of a shape that no classifier has: one row for each token. */
  readonly perToken?: boolean;
}

const FLOAT = 1;
const INT32 = 6;
const INT64 = 7;

/** The bytes of a file.onnx. */
export function tinyModel({ embedding, linear, inputs = ['input_ids', 'attention_mask'], narrow = false, work = 0, perToken = false }: TinyModel): Buffer {
  const width = embedding[0].length;
  const identity = Array.from({ length: width }, (_, row) => Array.from({ length: width }, (__, column) => (row === column ? 1 : 0)));
  const mask = inputs.includes('attention_mask') ? 'attention_mask' : undefined;
  const nodes = [
    node('Gather', ['embedding', inputs.includes('input_ids') ? 'input_ids' : inputs[0]], 'words'),
    ...Array.from({ length: work }, (_, at) => node('MatMul', [at === 0 ? 'words' : `work${at - 1}`, 'identity'], `work${at}`)),
    // Without a mask every token counts.
    ...(mask === undefined ? [node('ReduceMean', [work === 0 ? 'words' : `work${work - 1}`, 'axis'], 'mean', [attribute('keepdims', 0)])] : [
      node('Cast', [mask], 'weights', [attribute('to', FLOAT)]),
      node('Unsqueeze', ['weights', 'last'], 'column'),
      node('Mul', [work === 0 ? 'words' : `work${work - 1}`, 'column'], 'kept'),
      node('ReduceSum', ['kept', 'axis'], 'sum', [attribute('keepdims', 0)]),
      node('ReduceSum', ['weights', 'axis'], 'count', [attribute('keepdims', 1)]),
      node('Div', ['sum', 'count'], 'mean'),
    ]),
    node('MatMul', [perToken ? 'words' : 'mean', 'linear'], 'logits'),
  ];
  const graph = Buffer.concat([
    ...nodes.map((bytes) => field(1, bytes)),
    field(2, 'tiny'),
    field(5, floats('embedding', embedding)), field(5, floats('linear', linear)), ...(work === 0 ? [] : [field(5, floats('identity', identity))]),
    field(5, longs('axis', [1])), field(5, longs('last', [-1])),
    ...inputs.map((name) => field(11, valueInfo(name, narrow ? INT32 : INT64, ['batch', 'length']))),
    field(12, valueInfo('logits', FLOAT, perToken ? ['batch', 'length', linear[0].length] : ['batch', linear[0].length])),
  ]);
  return Buffer.concat([number(1, 9), field(7, graph), field(8, Buffer.concat([field(1, ''), number(2, 18)]))]);
}

function node(type: string, inputs: readonly string[], output: string, attributes: readonly Buffer[] = []): Buffer {
  return Buffer.concat([...inputs.map((name) => field(1, name)), field(2, output), field(3, `${type} ${output}`), field(4, type), ...attributes.map((bytes) => field(5, bytes))]);
}

/** A whole number, of the kind INT. */
function attribute(name: string, value: number): Buffer {
  return Buffer.concat([field(1, name), number(3, value), number(20, 2)]);
}

function floats(name: string, rows: readonly (readonly number[])[]): Buffer {
  return tensor(name, FLOAT, [rows.length, rows[0].length], Buffer.from(Float32Array.from(rows.flat()).buffer));
}

function longs(name: string, values: readonly number[]): Buffer {
  return tensor(name, INT64, [values.length], Buffer.from(BigInt64Array.from(values, BigInt).buffer));
}

function tensor(name: string, type: number, dims: readonly number[], raw: Buffer): Buffer {
  return Buffer.concat([...dims.map((dim) => number(1, dim)), number(2, type), field(8, name), field(9, raw)]);
}

function valueInfo(name: string, type: number, dims: readonly (string | number)[]): Buffer {
  const shape = Buffer.concat(dims.map((dim) => field(1, typeof dim === 'number' ? number(1, dim) : field(2, dim))));
  return Buffer.concat([field(1, name), field(2, field(1, Buffer.concat([number(1, type), field(2, shape)])))]);
}

// Protocol Buffers: a field with a length, and a field that is a number.

function field(tag: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([varint((tag << 3) | 2), varint(bytes.length), bytes]);
}

function number(tag: number, value: number): Buffer {
  return Buffer.concat([varint(tag << 3), varint(value)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

// Tokenizers, as the text of a tokenizer.json.

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]'] as const;

/** Words of BERT's kind after the four that every such tokenizer has; the id of `words[i]` is 4 + i. */
export function wordPieceTokenizer(words: readonly string[]): string {
  return tokenizer(
    { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true }, { type: 'BertPreTokenizer' },
    { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab: Object.fromEntries([...SPECIAL, ...words].map((word, id) => [word, id])) },
  );
}

/** Pieces of SentencePiece's kind, each as likely as the others; `▁` begins a word. */
export function unigramTokenizer(pieces: readonly string[]): string {
  return tokenizer(null, { type: 'Metaspace', replacement: '▁', add_prefix_space: true, prepend_scheme: 'always' }, { type: 'Unigram', unk_id: 1, vocab: [...SPECIAL, ...pieces].map((piece) => [piece, -1 - piece.length / 100]) });
}

/** Byte pairs: single letters, and what merges of two make. */
export function bytePairTokenizer(letters: string, merges: readonly (readonly [string, string])[]): string {
  const pieces = [...letters, ...merges.map((pair) => pair.join(''))];
  return tokenizer(null, { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }, { type: 'BPE', unk_token: '[UNK]', vocab: Object.fromEntries([...SPECIAL, ...pieces].map((piece, id) => [piece, id])), merges: merges.map((pair) => pair.join(' ')) });
}

function tokenizer(normalizer: object | null, preTokenizer: object, model: object): string {
  const token = (content: string, id: number) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true });
  const template = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  return JSON.stringify({
    version: '1.0', truncation: null, padding: null, added_tokens: SPECIAL.map(token), normalizer, pre_tokenizer: preTokenizer, decoder: null, model,
    post_processor: {
      type: 'TemplateProcessing', single: [template('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, template('[SEP]')], pair: [],
      special_tokens: { '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] }, '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] } },
    },
  });
}
