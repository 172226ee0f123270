/**
 * OpenAI audio: transcriptions and translations, whose answer is text in many forms (JSON, plain, subtitles, a stream),
 * and speech, whose answer is a recording. Facts of the wire: segments and words repeat the text in pieces, so a match
 * may be cut over them; log-probabilities and token numbers repeat it too; streams have CR LF line ends and no event
 * names, and their last event repeats the whole text.
 */
import type { AnswerFacts, AnswerUsage } from '../contract/answer.ts';
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { Dependent, Dialect, EventReading, Piece, RequestReading, ResponseReader } from './dialect.ts';
import { fieldOf, isTrue, numbersOf, readFields } from './form-fields.ts';
import type { FormDocument } from './form.ts';
import type { JsonDocument } from './json.ts';
import { RecordReader, refuseInstead } from './openai-records.ts';
import { DONE, errorAnswerAbout, errorFrame, frame, objectOf, parametersOf, textOf } from './openai.ts';
import { subtitleLines, subtitlesOf } from './subtitles.ts';
import { usageOf } from './usage.ts';
import { isObject, readSegments, readWhole, type JsonObject, type LeafRules } from './walk.ts';

// What is no text.

const TRANSCRIPTION_REQUEST: LeafRules = {
  exempt: {
    model: 'setting', language: 'setting', 'languages[]': 'setting', response_format: 'enum', 'timestamp_granularities[]': 'enum', 'include[]': 'enum', stream: 'enum', temperature: 'number',
    chunking_strategy: 'enum', 'chunking_strategy.type': 'enum', 'chunking_strategy.prefix_padding_ms': 'number', 'chunking_strategy.silence_duration_ms': 'number', 'chunking_strategy.threshold': 'number',
    'input_audio.format': 'enum',
  },
  opaque: { file: 'audio', 'known_speaker_references[]': 'audio', file_url: 'audio', url: 'audio', file_id: 'reference', 'input_audio.data': 'audio' },
};

const TRANSCRIPTION_ANSWER: LeafRules = {
  exempt: {
    type: 'enum', task: 'enum', object: 'enum', id: 'id', segment_id: 'id', 'x_groq.id': 'id', model: 'setting', language: 'setting', 'languages[].code': 'setting', finish_reason: 'enum',
    'segments[].id': 'id', 'segments[].type': 'enum', 'usage.type': 'enum', 'usage.service_tier': 'enum',
  },
};

const SPEECH_REQUEST: LeafRules = {
  exempt: { model: 'setting', voice: 'setting', 'voice.id': 'id', response_format: 'enum', stream_format: 'enum' },
};

const SPEECH_ANSWER: LeafRules = {
  exempt: { type: 'enum', audio: 'media', audio_data: 'media' },
};

export const openaiTranscription: Dialect = {
  id: 'openai-audio',
  operation: 'transcription',
  repeats: true,
  requestRules: TRANSCRIPTION_REQUEST,
  answerRules: TRANSCRIPTION_ANSWER,
  readRequest: readTranscriptionRequest,
  readForm: readTranscriptionForm,
  error: errorAnswerAbout('prompt'),
  fallback: transcribedInstead,
  createReader: (request) => new TranscriptionReader(request),
};

export const openaiSpeech: Dialect = {
  id: 'openai-audio',
  operation: 'speech',
  media: 'audio',
  requestRules: SPEECH_REQUEST,
  answerRules: SPEECH_ANSWER,
  readRequest: readSpeechRequest,
  error: errorAnswerAbout('input'),
  fallback: refuseInstead,
  createReader: () => new RecordReader(SPEECH_ANSWER),
};

// Requests.

function readTranscriptionForm(form: FormDocument): RequestReading {
  return {
    ...readFields(form, TRANSCRIPTION_REQUEST),
    stream: isTrue(fieldOf(form, 'stream')),
    model: fieldOf(form, 'model'),
    parameters: numbersOf(form, ['temperature']),
    answerFormat: fieldOf(form, 'response_format'),
  };
}

/** Some servers take the recording as base64 or by its address. */
function readTranscriptionRequest(document: JsonDocument): RequestReading {
  const body = objectOf(document);
  return {
    ...readSegments(body, TRANSCRIPTION_REQUEST, () => ({ history: false })),
    stream: body.stream === true,
    model: textOf(body.model),
    parameters: parametersOf(body, ['temperature']),
    answerFormat: textOf(body.response_format),
  };
}

function readSpeechRequest(document: JsonDocument): RequestReading {
  const body = objectOf(document);
  if (typeof body.input !== 'string') throw new WeirError('invalid_request', 'the body has no text "input"');
  return {
    ...readSegments(body, SPEECH_REQUEST, () => ({ history: false })),
    stream: body.stream_format === 'sse',
    model: textOf(body.model),
    parameters: parametersOf(body, ['speed']),
  };
}

// Answers of our own.

function transcribedInstead(request: RequestReading, message: string): { contentType: string; body: Buffer } {
  if (request.stream) return { contentType: 'text/event-stream; charset=utf-8', body: streamOf(message) };
  return { contentType: isPlain(request.answerFormat) ? 'text/plain; charset=utf-8' : 'application/json', body: transcriptOf(request.answerFormat, message) };
}

function isPlain(format: string | undefined): boolean {
  return format === 'text' || format === 'srt' || format === 'vtt';
}

/** A transcript that says `message`, in the form that was asked for. */
function transcriptOf(format: string | undefined, message: string): Buffer {
  switch (format) {
    case 'text': return Buffer.from(`${message}\n`);
    case 'srt': case 'vtt': return Buffer.from(subtitlesOf(format, message));
    case 'verbose_json': return Buffer.from(JSON.stringify({ task: 'transcribe', language: '', duration: 0, text: message, segments: [], words: [] }));
    case 'diarized_json': return Buffer.from(JSON.stringify({ task: 'transcribe', duration: 0, text: message, segments: [] }));
    default: return Buffer.from(JSON.stringify({ text: message }));
  }
}

function streamOf(message: string): Buffer {
  return Buffer.from(frame({ type: 'transcript.text.delta', delta: message }) + frame({ type: 'transcript.text.done', text: message }) + DONE);
}

// Answers.

const TEXT = '0/text';
const SEGMENTS = '0/segments';

/** Lists that repeat the text in pieces, each piece in this member. */
const LISTS: Readonly<Record<string, string>> = { segments: 'text', words: 'word', logprobs: 'token' };

class TranscriptionReader implements ResponseReader {
  readonly #request: RequestReading;
  #usage: AnswerUsage | undefined;
  #model: string | undefined;
  /** The deltas so far: how the texts of segments follow one another. */
  #said = '';
  #segment: string | undefined;

  constructor(request: RequestReading) {
    this.#request = request;
  }

  readEvent(event: unknown): EventReading {
    const pieces: Piece[] = [];
    if (!isObject(event)) {
      readWhole(event, [], '', 'event', TRANSCRIPTION_ANSWER, pieces);
      return { pieces, closes: [] };
    }
    this.#note(event);
    const { type } = event;
    const ends = type === 'transcript.text.done';
    for (const [name, value] of Object.entries(event)) {
      if (name === 'delta' && typeof value === 'string') {
        this.#said += value;
        pieces.push({ key: TEXT, carrier: 'delta', kind: 'text', path: ['delta'], text: value });
      } else if (name === 'text' && typeof value === 'string' && ends) {
        pieces.push({ key: TEXT, carrier: 'text', kind: 'text', path: ['text'], text: value, copy: true });
      } else if (name === 'text' && typeof value === 'string' && type === 'transcript.text.segment') {
        pieces.push({ key: SEGMENTS, carrier: 'text', kind: 'text', path: ['text'], text: value, gap: gapBetween(this.#segment, value, this.#said) });
        this.#segment = value;
      } else if (name === 'logprobs' && Array.isArray(value)) readList(value, name, ends ? '0/logprobs/done' : '0/logprobs', 'event', '', pieces);
      else readWhole(value, [name], name, `event/${name}`, TRANSCRIPTION_ANSWER, pieces);
    }
    return { pieces, closes: ends ? ['0/'] : [] };
  }

  readBody(body: unknown): EventReading {
    const pieces: Piece[] = [];
    if (!isObject(body)) readWhole(body, [], '', 'body', TRANSCRIPTION_ANSWER, pieces);
    else {
      this.#note(body);
      const text = textOf(body.text) ?? '';
      for (const [name, value] of Object.entries(body)) {
        if (name === 'text' && typeof value === 'string') pieces.push({ key: TEXT, carrier: name, kind: 'text', path: [name], text: value, whole: true });
        else if (Object.hasOwn(LISTS, name) && Array.isArray(value)) readList(value, name, `0/${name}`, 'body', text, pieces);
        else readWhole(value, [name], name, `body/${name}`, TRANSCRIPTION_ANSWER, pieces);
      }
    }
    return { pieces, closes: [''] };
  }

  readText(text: string): EventReading | undefined {
    const lines = subtitleLines(text);
    if (lines === undefined) return undefined;
    return { pieces: lines.map(({ start, end }, i) => ({ key: TEXT, carrier: 'text', kind: 'text', path: [start, end], text: text.slice(start, end), gap: i === 0 ? '' : ' ' })), closes: [''] };
  }

  /** What repeats the text word by word or token by token no longer says what the text says. */
  dependents(event: unknown, key: string): readonly Dependent[] {
    if (!isObject(event) || !key.startsWith('0/')) return [];
    const { segments } = event;
    const lists = ['words', 'logprobs'].filter((name) => Array.isArray(event[name])).map((name): Dependent => ({ path: [name], value: [] }));
    const numbers = (Array.isArray(segments) ? segments : []).flatMap((segment: unknown, i): Dependent[] => (isObject(segment) && Array.isArray(segment.tokens) ? [{ path: ['segments', i, 'tokens'], value: [] }] : []));
    return [...lists, ...numbers];
  }

  canCarry(key: string): boolean {
    return key === TEXT;
  }

  textEvent(_key: string, text: string): Buffer {
    return Buffer.from(frame({ type: 'transcript.text.delta', delta: text }));
  }

  blockedStream(message: string | undefined): Buffer {
    return message === undefined ? Buffer.concat([errorFrame('content_filter', BLOCKED), Buffer.from(DONE)]) : streamOf(message);
  }

  blockedBody(_body: unknown, message: string | undefined): Buffer {
    if (message === undefined) throw new WeirError('content_filter', BLOCKED);
    return transcriptOf(this.#request.answerFormat, message);
  }

  errorEvent(code: ErrorCode, message: string): Buffer {
    return errorFrame(code, message);
  }

  usage(): AnswerUsage | undefined {
    return this.#usage;
  }

  facts(): AnswerFacts {
    return { model: this.#model, finishReasons: [] };
  }

  #note({ model, usage }: JsonObject): void {
    if (typeof model === 'string') this.#model ??= model;
    if (isObject(usage)) this.#usage = usageOf(usage);
  }
}

const BLOCKED = 'the policy blocked the transcript';

/** The pieces of a list are one text; what else its elements say is by itself. */
function readList(list: readonly unknown[], name: string, key: string, place: string, text: string, pieces: Piece[]): void {
  const member = LISTS[name]!;
  let before: string | undefined;
  list.forEach((element: unknown, i) => {
    if (!isObject(element)) return readWhole(element, [name, i], `${name}[]`, `${place}/${name}`, TRANSCRIPTION_ANSWER, pieces);
    for (const [inner, value] of Object.entries(element)) {
      if (inner === member && typeof value === 'string') {
        const gap = name === 'logprobs' ? '' : gapBetween(before, value, name === 'segments' ? text : '');
        pieces.push({ key, carrier: `${name}[].${member}`, kind: 'text', path: [name, i, member], text: value, gap });
        before = value;
      } else readWhole(value, [name, i, inner], `${name}[].${inner}`, `${place}/${name}/${inner}`, TRANSCRIPTION_ANSWER, pieces);
    }
  });
}

const JOINT_CHARS = 16;

/** What stands between two pieces of `text`: nothing where they say so themselves, or where the text has them joined. */
function gapBetween(before: string | undefined, after: string, text: string): '' | ' ' {
  if (before === undefined || /\s$/.test(before) || /^\s/.test(after)) return '';
  return text.includes(before.slice(-JOINT_CHARS) + after.slice(0, JOINT_CHARS)) ? '' : ' ';
}
