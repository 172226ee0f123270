/**
 * Texts of an exchange as the GenAI conventions write messages: JSON of roles and parts. Given are texts as they went on, of
 * a tenant that lets them be traced; what is no message (definitions of tools, metadata) is left out. Bounded. Pure.
 */
import type { KeptText, KeptTexts } from '../contract/content.ts';
import { nameOf } from '../contract/names.ts';

interface Part {
  readonly type: 'text' | 'reasoning' | 'tool_call_arguments' | 'refusal';
  readonly content: string;
}

interface Message {
  readonly role: string;
  readonly parts: Part[];
  finish_reason?: string;
}

/** The newest of a prompt, the first of an answer. */
const MESSAGES_MAX = 64;
const PARTS_MAX = 64;

const INSTRUCTIONS = /^(?:system|instructions)(?:[[.]|$)/;
/** What one message is: the element of the list that holds it, or all of the prompt. */
const MESSAGE = /^(?:messages\[\d+\]|input\[\d+\]|input|prompt\[\d+\]|prompt|suffix)(?=[[.]|$)/;

/** Undefined where there are none. */
export function instructionsOf({ texts }: KeptTexts): string | undefined {
  const parts = texts.filter(({ place }) => INSTRUCTIONS.test(place)).map(partOf).slice(0, PARTS_MAX);
  return parts.length === 0 ? undefined : JSON.stringify(parts);
}

export function inputMessagesOf({ texts }: KeptTexts): string | undefined {
  return written(grouped(texts, (place) => MESSAGE.exec(place)?.[0], 'user').slice(-MESSAGES_MAX));
}

/** `perChoice`: the first step of a place is the number of a choice, and each choice is a message; else all is one. */
export function outputMessagesOf({ texts }: KeptTexts, perChoice: boolean, finishReasons: readonly string[] | undefined): string | undefined {
  const messages = grouped(texts, (place) => (perChoice ? place.slice(0, place.indexOf('/')) : ''), 'assistant').slice(0, MESSAGES_MAX);
  if (finishReasons !== undefined) for (const [i, message] of messages.entries()) message.finish_reason = nameOf(finishReasons[i] ?? finishReasons[0] ?? 'unknown');
  return written(messages);
}

function grouped(texts: readonly KeptText[], messageOf: (place: string) => string | undefined, role: string): Message[] {
  const messages = new Map<string, Message>();
  for (const text of texts) {
    const key = messageOf(text.place);
    if (key === undefined) continue;
    let message = messages.get(key);
    if (message === undefined) messages.set(key, message = { role: text.role === undefined ? role : nameOf(text.role), parts: [] });
    if (message.parts.length < PARTS_MAX) message.parts.push(partOf(text));
  }
  return [...messages.values()];
}

function partOf({ place, text }: KeptText): Part {
  const type = /arguments|partial_json|tool_calls|\/input$|\.input\b/.test(place) ? 'tool_call_arguments' : /reasoning|thinking|summary/.test(place) ? 'reasoning' : /refusal/.test(place) ? 'refusal' : 'text';
  return { type, content: text };
}

function written(messages: readonly Message[]): string | undefined {
  return messages.length === 0 ? undefined : JSON.stringify(messages);
}
