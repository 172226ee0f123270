/**
 * Answers that are records and no conversation: vectors, pictures, verdicts about texts. Every string in them is a text
 * by itself. Nothing in them can say that it was blocked, so in place of a blocked one the client gets an error. Pure.
 */
import type { AnswerFacts, AnswerUsage } from '../contract/answer.ts';
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { Dependent, EventReading, Piece, RequestReading, ResponseReader } from './dialect.ts';
import { errorFrame } from './openai.ts';
import { usageOf } from './usage.ts';
import { isObject, readWhole, type LeafRules } from './walk.ts';

/** `Dialect.fallback` where no answer could hold the message: an error says it. */
export function refuseInstead(_request: RequestReading, message: string): never {
  throw new WeirError('content_filter', message);
}

const BLOCKED = 'the policy blocked the answer';

export class RecordReader implements ResponseReader {
  readonly #rules: LeafRules;
  #responseId: string | undefined;
  #model: string | undefined;
  #usage: AnswerUsage | undefined;

  constructor(rules: LeafRules) {
    this.#rules = rules;
  }

  readEvent(event: unknown): EventReading {
    return { pieces: this.#read(event, 'event'), closes: [] };
  }

  readBody(body: unknown): EventReading {
    return { pieces: this.#read(body, 'body'), closes: [''] };
  }

  dependents(): readonly Dependent[] {
    return [];
  }

  canCarry(): boolean {
    return false;
  }

  textEvent(key: string): Buffer {
    throw new Error(`no event carries nothing but text of ${key}`);
  }

  blockedStream(message = BLOCKED): Buffer {
    return errorFrame('content_filter', message);
  }

  blockedBody(_body: unknown, message = BLOCKED): Buffer {
    throw new WeirError('content_filter', message);
  }

  errorEvent(code: ErrorCode, message: string): Buffer {
    return errorFrame(code, message);
  }

  usage(): AnswerUsage | undefined {
    return this.#usage;
  }

  facts(): AnswerFacts {
    return { responseId: this.#responseId, model: this.#model, finishReasons: [] };
  }

  #read(record: unknown, key: string): Piece[] {
    if (isObject(record)) {
      const { id, model, usage } = record;
      if (typeof id === 'string') this.#responseId ??= id;
      if (typeof model === 'string') this.#model ??= model;
      if (isObject(usage)) this.#usage = usageOf(usage);
    }
    const pieces: Piece[] = [];
    readWhole(record, [], '', key, this.#rules, pieces);
    return pieces;
  }
}
