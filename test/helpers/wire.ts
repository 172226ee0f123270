/**
 * The wire format as the official SDKs type it: every string of an endpoint's requests, bodies and events, each in a
 * minimal value that holds it. Read from the SDKs' own declarations with the type checker, so a new version of an SDK
 * brings its new fields by itself. What their types do not name (fields of other providers) is not here.
 */
import { join } from 'node:path';
import type Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import type { ChatCompletionUpdateParams } from 'openai/resources/chat/completions';
import type * as ConversationItems from 'openai/resources/conversations/items';
import { API, TypeFlags, type Checker, type Symbol as TypeSymbol, type Type } from 'typescript/unstable/sync';

interface Endpoint {
  readonly request?: unknown;
  readonly body?: unknown;
  readonly event?: unknown;
}

/** By path, as the route table has it. */
export interface Wire extends Record<string, Endpoint> {
  '/v1/chat/completions': { request: OpenAI.ChatCompletionCreateParams; body: OpenAI.ChatCompletion; event: OpenAI.ChatCompletionChunk };
  '/v1/completions': { request: OpenAI.CompletionCreateParams; body: OpenAI.Completion; event: OpenAI.Completion };
  '/v1/embeddings': { request: OpenAI.EmbeddingCreateParams; body: OpenAI.CreateEmbeddingResponse };
  '/v1/moderations': { request: OpenAI.ModerationCreateParams; body: OpenAI.ModerationCreateResponse };
  '/v1/images/generations': { request: OpenAI.ImageGenerateParams; body: OpenAI.ImagesResponse; event: OpenAI.ImageGenStreamEvent };
  '/v1/images/edits': { request: OpenAI.ImageEditParams; body: OpenAI.ImagesResponse; event: OpenAI.ImageEditStreamEvent };
  '/v1/images/variations': { request: OpenAI.ImageCreateVariationParams; body: OpenAI.ImagesResponse };
  '/v1/audio/speech': { request: OpenAI.Audio.SpeechCreateParams };
  '/v1/audio/transcriptions': {
    request: OpenAI.Audio.TranscriptionCreateParams;
    body: OpenAI.Audio.Transcription | OpenAI.Audio.TranscriptionDiarized | OpenAI.Audio.TranscriptionVerbose;
    event: OpenAI.Audio.TranscriptionStreamEvent;
  };
  '/v1/audio/translations': { request: OpenAI.Audio.TranslationCreateParams; body: OpenAI.Audio.Translation | OpenAI.Audio.TranslationVerbose };
  '/v1/responses': { request: OpenAI.Responses.ResponseCreateParams; body: OpenAI.Responses.Response; event: OpenAI.Responses.ResponseStreamEvent };
  '/v1/responses/compact': { request: OpenAI.Responses.ResponseCompactParams; body: OpenAI.Responses.CompactedResponse };
  '/v1/responses/input_tokens': { request: OpenAI.Responses.InputTokenCountParams };
  '/v1/responses/{response_id}': { body: OpenAI.Responses.Response; event: OpenAI.Responses.ResponseStreamEvent };
  '/v1/responses/{response_id}/cancel': { body: OpenAI.Responses.Response };
  '/v1/responses/{response_id}/input_items': { body: OpenAI.Responses.ResponseItemList };
  '/v1/conversations': { request: OpenAI.Conversations.ConversationCreateParams; body: OpenAI.Conversations.Conversation };
  '/v1/conversations/{id}': { request: OpenAI.Conversations.ConversationUpdateParams; body: OpenAI.Conversations.Conversation };
  '/v1/conversations/{id}/items': { request: ConversationItems.ItemCreateParams; body: ConversationItems.ConversationItemList };
  '/v1/conversations/{id}/items/{item}': { body: ConversationItems.ConversationItem };
  '/v1/chat/completions/{id}': { request: ChatCompletionUpdateParams; body: OpenAI.ChatCompletion };
  '/v1/chat/completions/{id}/messages': { body: { data: OpenAI.ChatCompletionStoreMessage[]; first_id: string; last_id: string } };
  '/v1/realtime': { request: OpenAI.Realtime.RealtimeClientEvent; event: OpenAI.Realtime.RealtimeServerEvent };
  '/v1/messages': {
    request: Anthropic.MessageCreateParams | Anthropic.Beta.MessageCreateParams;
    body: Anthropic.Message | Anthropic.Beta.BetaMessage;
    event: Anthropic.RawMessageStreamEvent | Anthropic.Beta.BetaRawMessageStreamEvent;
  };
  '/v1/messages/count_tokens': { request: Anthropic.MessageCountTokensParams | Anthropic.Beta.MessageCountTokensParams };
}

export type WireForm = keyof Endpoint;

/** A string of a type. */
export interface WireLeaf {
  /** `messages[].content[].text`; a name that the type leaves free is `NAME`, and `*` where the string is the name. */
  readonly carrier: string;
  /** A value of the type that holds `text` at this string, and little else. */
  holding(text: string): unknown;
}

export const NAME = 'made_up_name';

interface Entry extends WireLeaf {
  /** Alike for two strings that no reader can tell apart. */
  readonly id: string;
}

/** Every string of every endpoint, by path and form. */
export function wireLeaves(): ReadonlyMap<string, ReadonlyMap<WireForm, readonly WireLeaf[]>> {
  const api = new API({ cwd: join(import.meta.dirname, '../..') });
  try {
    const project = api.updateSnapshot({ openFiles: [import.meta.filename] }).getDefaultProjectForFile(import.meta.filename)!;
    const { checker } = project;
    const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(project.program.getSourceFile(import.meta.filename)!)!);
    const reader = new TypeReader(checker);
    const wire = reader.members(checker.getDeclaredTypeOfSymbol(exported.find(({ name }) => name === 'Wire')!));
    return new Map(wire.map(([path, endpoint]) => [path, new Map(reader.members(endpoint).map(([form, type]) => [form as WireForm, reader.leaves(type, '', [])]))]));
  } finally {
    api.close();
  }
}

class TypeReader {
  readonly #checker: Checker;
  readonly #members = new Map<number, (readonly [string, Type])[]>();

  constructor(checker: Checker) {
    this.#checker = checker;
  }

  /** Properties with their types. */
  members(type: Type): readonly (readonly [string, Type])[] {
    let members = this.#members.get(type.id);
    if (members === undefined) {
      const symbols: readonly TypeSymbol[] = this.#checker.getPropertiesOfType(type);
      const types = symbols.length === 0 ? [] : this.#checker.getTypeOfSymbol(symbols);
      this.#members.set(type.id, members = symbols.map(({ name }, i) => [name, types[i]!] as const));
    }
    return members;
  }

  /** `above`: the types on the way here, so that what holds itself is entered once. */
  leaves(type: Type, carrier: string, above: readonly number[]): readonly Entry[] {
    if (type.flags & TypeFlags.AnyOrUnknown) return freeLeaves(carrier);
    if (type.flags & (TypeFlags.String | TypeFlags.TemplateLiteral)) return [{ carrier, id: carrier, holding: (text) => text }];
    if (type.isIntersectionType() && type.getTypes().some(({ flags }) => flags & TypeFlags.String)) return [{ carrier, id: carrier, holding: (text) => text }];
    if (type.isUnionType()) return distinct(type.getTypes().flatMap((one) => this.leaves(one, carrier, above)));
    if (!(type.flags & (TypeFlags.Object | TypeFlags.Intersection)) || above.includes(type.id)) return [];
    if (this.members(type).some(([name]) => name === 'arrayBuffer')) return []; // a file, which no JSON holds
    const inside = [...above, type.id];
    if (this.#checker.isArrayLikeType(type)) {
      const [element] = this.#checker.getTypeArguments(type as Parameters<Checker['getTypeArguments']>[0]);
      return this.leaves(element!, `${carrier}[]`, inside).map((leaf) => ({ ...leaf, holding: (text) => [leaf.holding(text)] }));
    }
    const words = this.#words(type);
    const tags = JSON.stringify(words);
    const free = this.#checker.getIndexInfosOfType(type).map(({ valueType }) => [NAME, valueType] as const);
    const named = free.some(([, valueType]) => this.leaves(valueType, '', inside).length > 0); // names of numbers and flags are the wire's own
    const members = [...this.members(type), ...free].flatMap(([name, member]) => this.leaves(member, carrier === '' ? name : `${carrier}.${name}`, inside).map((leaf) => ({
      ...leaf, id: `${tags}${leaf.id}`, holding: (text: string): unknown => ({ ...words, [name]: leaf.holding(text) }),
    })));
    return named ? [...members, nameLeaf(carrier)] : members;
  }

  /** What tells one object from another: properties whose type is a single word, and where it stands. */
  #words(type: Type): Readonly<Record<string, string | number>> {
    return Object.fromEntries(this.members(type).flatMap(([name, member]): [string, string | number][] => {
      const word = member.isUnionType() && name === 'role' ? member.getTypes()[0]! : member;
      if (word.flags & TypeFlags.Number && /(?:^|_)index$/.test(name) && !/^(?:start|end)_/.test(name)) return [[name, 0]];
      if (name === 'item_id') return [[name, 'item_1']];
      return word.isStringLiteralType() ? [[name, word.value]] : [];
    }));
  }
}

/** What may be anything: a string, and strings inside it. */
function freeLeaves(carrier: string): Entry[] {
  return [
    { carrier, id: carrier, holding: (text) => text },
    { carrier: `${carrier}.${NAME}`, id: `${carrier}.`, holding: (text) => ({ [NAME]: text }) },
    { carrier: `${carrier}[]`, id: `${carrier}[]`, holding: (text) => [text] },
    nameLeaf(carrier),
  ];
}

/** A property name that the type leaves free. */
function nameLeaf(carrier: string): Entry {
  return { carrier: `${carrier}.*`, id: `${carrier}.*`, holding: (text) => ({ [text]: 'fine' }) };
}

function distinct(leaves: readonly Entry[]): readonly Entry[] {
  return [...new Map(leaves.map((leaf) => [leaf.id, leaf])).values()];
}
