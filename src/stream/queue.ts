/**
 * The events of answers on their way to the client: each is fed to the channels of its texts, waits while one of them can
 * still become part of a match, and leaves in its place, as the bytes it came in or with its texts replaced. Whoever frames
 * the events (stream/guard for HTTP, stream/frames for WebSocket) puts them in and takes what leaves. No I/O.
 */
import type { AnswerWitness } from '../contract/content.ts';
import { WeirError } from '../contract/errors.ts';
import type { Release } from '../contract/hold.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import type { EventReading, Piece, ResponseReader } from '../dialect/dialect.ts';
import { spliceText, type JsonEdit, type JsonPath } from '../dialect/json.ts';
import { asksPerson, unheld, type OutputPlan } from '../screen/output.ts';
import { applyEdits, sliceEdited } from '../text/edits.ts';
import { Lane } from './lane.ts';
import { withData, type Frame } from './sse.ts';
import type { Tally } from './tally.ts';

export interface EventQueueOptions {
  readonly reader: QueueReader;
  /** `Dialect.repeats` */
  readonly repeats: boolean;
  readonly plan: OutputPlan;
  readonly tally: Tally;
  readonly witness?: AnswerWitness | undefined;
  /** Events that may wait behind a held one before it is sent in two parts; default 8 for each choice that has begun. */
  readonly waitingMax?: number;
  /** Channels that may be open or remembered; default: as many as come. */
  readonly lanesMax?: number;
  /** An event leaves; `closes`: the channels that end with it for the client. */
  readonly onEvent: (bytes: Buffer, closes: readonly string[]) => void;
  /** Scores, or a person's word, have come for text of the channel `key`; `allowed`: not so when the policy blocks. Nothing has left yet. */
  readonly onScores: (key: string, allowed: boolean) => void;
  /** Waits for a person, once; resolves to undefined where nobody wants to know any more. Absent: nothing waits, and a rule's `then` is taken. */
  readonly hold?: ((decision: PolicyDecision) => Promise<Release | undefined>) | undefined;
}

/** What the queue asks the dialect. */
export interface QueueReader extends Pick<ResponseReader, 'repeats' | 'dependents' | 'canCarry' | 'textEvent'> {
  sent?(event: unknown, scope: string): void;
}

/** One event as it came. */
export interface ArrivedEvent {
  readonly raw: Buffer;
  /** Undefined where the JSON is all of it. */
  readonly frame: Frame | undefined;
  /** Empty where it is no JSON; then it has one text at most, or those of `text`. */
  readonly json: string;
  /** A body that is no JSON, whose pieces stand at offsets. */
  readonly text?: string;
  readonly event: unknown;
  /** What the keys of its channels begin with: events that end together. */
  readonly scope: string;
}

const WAITING_PER_CHOICE = 8;
/** Carriers that a record names; a server can make up as many fields as it likes. */
const CARRIERS_MAX = 1_000;

/** A text of an event, and where it stands in its channel. */
interface PlacedPiece {
  readonly piece: Piece;
  readonly lane: Lane;
  /** Offsets in the lane's text. A carry from an event that was sent in part begins earlier. */
  readonly start: number;
  readonly end: number;
  /** The text of `[start, end)`. */
  readonly text: string;
  /** Repeats the lane's whole text. */
  readonly copy: boolean;
  /** What leaves, where that was decided at once. */
  readonly leaves?: string;
}

/** An event that waits its turn. */
interface QueuedEvent extends ArrivedEvent {
  readonly placed: readonly PlacedPiece[];
  readonly closes: readonly string[];
  readonly queuedMs: number;
  /** The end of a text that was sent in part, for which no event of the upstream is left. */
  readonly isTail?: true;
}

/** The one wait of an answer. */
interface Wait {
  readonly rule: string;
  /** Undefined: it goes on. */
  release: Release | undefined;
}

export class EventQueue {
  readonly #options: EventQueueOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #choices = new Set<string>();
  #waitingMax: number;
  /** Events that have not left, in the order in which they came. */
  #queue: QueuedEvent[] = [];
  /** Choices of which an event left changed, each with one of its keys: what repeats their text goes from there on. */
  readonly #changed = new Map<string, string>();
  /** Bytes of the queued events that the upstream sent. */
  #bytes = 0;
  /** Replacements in channels that are forgotten. */
  #replaced = 0;
  #wait: Wait | undefined;
  /** A decision that needs no text waits with it: nothing leaves. */
  #heldWhole: PolicyDecision | undefined;
  /** While somebody is waited for, so many of the queued events may leave: nothing that came after what is held does. */
  #mayLeave = Infinity;
  /** And of so many what is decided, should the rest never leave: what is held may begin inside an event. */
  #mayTell = Infinity;
  #taking = false;
  #stopped = false;

  constructor(options: EventQueueOptions) {
    this.#options = options;
    this.#waitingMax = options.waitingMax ?? WAITING_PER_CHOICE;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** More events wait than should. */
  get crowded(): boolean {
    return this.#queue.length > this.#waitingMax;
  }

  /** Nothing waits, for text or for scores. */
  get idle(): boolean {
    if (this.#queue.length > 0 || this.waits) return false;
    for (const { channel } of this.#lanes.values()) if (channel.scoresDue) return false;
    return true;
  }

  /** A person is waited for. */
  get waits(): boolean {
    return this.#wait !== undefined && this.#wait.release === undefined;
  }

  /** Replacements made. */
  get replaced(): number {
    let replaced = this.#replaced;
    for (const { channel } of this.#lanes.values()) replaced += channel.replaced;
    return replaced;
  }

  /** Characters that are remembered because an event may repeat them. */
  get rememberedChars(): number {
    let chars = 0;
    for (const { said, left } of this.#lanes.values()) chars += said.length + left.length;
    return chars;
  }

  /** Takes the next event; false when the policy blocks. Gives nothing out. */
  enqueue(event: ArrivedEvent, { pieces, closes }: EventReading): boolean {
    const placed: PlacedPiece[] = [];
    this.#taking = true;
    let allowed = pieces.every((piece) => this.#take(piece, placed));
    for (const prefix of closes) allowed = allowed && this.close(prefix);
    this.#taking = false;
    this.#push(event, placed, closes);
    return allowed;
  }

  /** All of the answer waits for a person, where the decision says so; false when the policy blocks. */
  holdWhole(decision: PolicyDecision): boolean {
    if (!asksPerson(decision)) return true;
    const release = this.#askPerson(decision);
    if (release !== undefined) return this.#letWholeGo(decision, release);
    this.#heldWhole = decision;
    this.#mayLeave = this.#mayTell = 0;
    return true;
  }

  /** An event of our own, behind all others. */
  append(raw: Buffer): void {
    this.#push({ raw, frame: undefined, json: '', event: undefined, scope: '' }, [], []);
  }

  /** The texts of all channels under `prefix` are complete; false when the policy blocks. */
  close(prefix: string): boolean {
    for (const lane of this.#lanes.values()) {
      if (lane.key.startsWith(prefix) && !lane.channel.close()) return false;
    }
    this.#sendCarries(prefix);
    return true;
  }

  /** Gives out every event, in order, whose texts are decided. */
  drain(): void {
    let sent = 0;
    for (; sent < this.#queue.length && sent < this.#mayLeave; sent += 1) {
      const event = this.#queue[sent] as QueuedEvent;
      if (!event.placed.every((p) => p.end <= p.lane.channel.released)) break;
      this.#send(event);
    }
    if (sent > 0) this.#queue.splice(0, sent);
    this.#mayLeave -= sent;
    this.#mayTell -= sent;
    if (this.crowded && !this.waits) this.#splitHead();
  }

  /** Of the events of a scope that wait, what is decided of their texts leaves, in events of its own; the rest never does. */
  cut(scope: string): void {
    this.drain();
    const [waiting, mayTell] = [this.#queue, this.#mayTell];
    this.#queue = [];
    this.#bytes = 0;
    this.#mayLeave = this.#mayTell = Infinity;
    for (const [index, event] of waiting.entries()) {
      if (!event.scope.startsWith(scope)) {
        this.#queue.push(event);
        this.#bytes += event.raw.length;
        continue;
      }
      if (index < mayTell) for (const one of event.placed) {
        const until = Math.min(one.end, one.lane.channel.released);
        const text = until > one.start ? leaving(one, until) : '';
        if (text === '' || !this.#options.reader.canCarry(one.lane.key)) continue;
        this.append(this.#options.reader.textEvent(one.lane.key, text));
        this.#options.witness?.left(one.lane.key, text);
      }
    }
    for (const { key, channel } of this.#lanes.values()) if (key.startsWith(scope)) channel.abandon();
    this.drain();
  }

  /**
   * Drops the channels of a scope, unless an event of it waits: what repeats their texts later is screened as a text of its
   * own. False when they had to be kept.
   */
  forget(scope: string): boolean {
    if (this.#queue.some((event) => event.scope.startsWith(scope))) return false;
    const lanes = [...this.#lanes].filter(([key]) => key.startsWith(scope));
    if (lanes.some(([, { channel, carry, growing }]) => channel.scoresDue || (carry !== undefined && !growing))) return false;
    for (const [key, { channel }] of lanes) {
      this.#replaced += channel.replaced;
      this.#lanes.delete(key);
      this.#changed.delete(choiceOf(key));
    }
    return true;
  }

  /** Nothing more leaves, and no scores are wanted. */
  stop(): void {
    this.#stopped = true;
    this.#queue = [];
    for (const { channel } of this.#lanes.values()) channel.abandon();
  }

  get #repeats(): boolean {
    return this.#options.repeats || this.#options.reader.repeats === true;
  }

  /** What the wait of this answer has come to for a decision; undefined: it goes on. A verdict is about the rule that asked for it. */
  #askPerson(decision: PolicyDecision): Release | undefined {
    const rule = decision.rule!.id;
    if (this.#wait !== undefined) return this.waits || this.#wait.rule === rule ? this.#wait.release : 'then';
    if (this.#options.hold === undefined) return 'then';
    const wait: Wait = this.#wait = { rule, release: undefined };
    this.#mayLeave = this.#queue.length;
    this.#mayTell = this.#mayLeave + (this.#taking ? 1 : 0);
    void this.#options.hold(decision).then((release) => { if (release !== undefined && !this.#stopped) this.#letGo(wait, release); });
    return undefined;
  }

  #letGo(wait: Wait, release: Release): void {
    wait.release = release;
    const whole = this.#heldWhole;
    this.#heldWhole = undefined;
    const held = [...this.#lanes.values()].filter(({ heldBy }) => heldBy !== undefined);
    const letGo = whole === undefined || this.#letWholeGo(whole, whole.rule!.id === wait.rule ? release : 'then');
    if (letGo) for (const lane of held) lane.release(lane.heldBy === wait.rule ? release : 'then');
    const stopped = letGo ? held.find(({ channel }) => !channel.settle())?.key : '';
    if (stopped === undefined) this.#mayLeave = this.#mayTell = Infinity;
    this.#options.onScores(stopped ?? '', stopped === undefined);
  }

  /** False where it is not let go. */
  #letWholeGo(decision: PolicyDecision, release: Release): boolean {
    const { action } = unheld(decision);
    if (release === 'allowed' || (release === 'then' && action !== 'block')) return true;
    this.#options.tally.refused({ ...decision, action: 'block' });
    return false;
  }

  #push({ raw, frame, json, text, event, scope }: ArrivedEvent, placed: readonly PlacedPiece[], closes: readonly string[], own: { readonly isTail?: true } = {}): void {
    this.#queue.push({ raw, frame, json, text, event, scope, placed, closes, queuedMs: performance.now(), ...own });
    this.#bytes += raw.length;
  }

  #openLane({ key, kind, fixed }: Piece): Lane {
    const { plan, tally, waitingMax, lanesMax = Infinity } = this.#options;
    if (this.#lanes.size >= lanesMax) throw new WeirError('response_too_large', `an answer of more than ${lanesMax} texts`);
    const lane: Lane = new Lane(key, kind, fixed === true, plan, tally, () => this.#options.onScores(key, lane.channel.settle()), (decision) => this.#askPerson(decision));
    this.#lanes.set(key, lane);
    this.#choices.add(choiceOf(key));
    this.#waitingMax = waitingMax ?? this.#choices.size * WAITING_PER_CHOICE;
    return lane;
  }

  /** Feeds a piece to its channel and places it; false when the policy blocks. */
  #take(piece: Piece, placed: PlacedPiece[]): boolean {
    const lane = this.#lanes.get(piece.key) ?? this.#openLane(piece);
    const { tally } = this.#options;
    if (tally.carriers.size < CARRIERS_MAX) tally.carriers.add(piece.carrier);
    if (piece.growing === true) return this.#takeGrowing(piece, lane, placed);
    const { channel, carry } = lane;
    if (piece.gap !== undefined && piece.gap !== '' && !channel.feed(piece.gap)) return false;
    const start = channel.position;
    if (piece.copy === true && lane.said === piece.text) {
      placed.push({ piece, lane, start, end: start, text: piece.text, copy: true });
      return true;
    }
    if (piece.copy === true && lane.said !== '') return this.#take({ ...piece, key: `${piece.key}~${piece.carrier}`, copy: false, whole: true }, placed);
    if (this.#repeats) lane.said += piece.text;
    tally.textChars += piece.text.length;
    this.#options.witness?.came(piece.key, piece.text);
    const allowed = channel.feed(piece.text) && ((piece.whole !== true && piece.copy !== true) || channel.close());
    lane.carry = undefined;
    tally.held(channel.position - channel.released);
    placed.push({ piece, lane, start: carry?.start ?? start, end: channel.position, text: (carry?.text ?? '') + piece.text, copy: false });
    return allowed;
  }

  /** What is decided of a growing text leaves at once: the next piece says the rest again. */
  #takeGrowing(piece: Piece, known: Lane, placed: PlacedPiece[]): boolean {
    let lane = known;
    if (!piece.text.startsWith(known.said)) {
      // The text was revised: what was held of the former one never leaves.
      known.channel.abandon();
      this.#replaced += known.channel.replaced;
      lane = this.#openLane(piece);
      this.#options.witness?.cameAgain(piece.key);
    }
    lane.growing = true;
    const { channel } = lane;
    const { start, text } = lane.carry ?? { start: channel.position, text: '' };
    const fresh = text + piece.text.slice(lane.said.length);
    this.#options.tally.textChars += piece.text.length - lane.said.length;
    this.#options.witness?.came(piece.key, piece.text.slice(lane.said.length));
    const allowed = channel.feed(piece.text.slice(lane.said.length));
    lane.said = piece.text;
    const until = Math.max(start, Math.min(channel.released, start + fresh.length));
    lane.left += sliceEdited(fresh, start, start, until, channel.edits);
    lane.carry = { start: until, text: fresh.slice(until - start) };
    this.#options.tally.held(channel.position - channel.released);
    placed.push({ piece, lane, start: until, end: until, text: piece.text, copy: false, leaves: lane.left });
    return allowed;
  }

  #send(event: QueuedEvent): void {
    const { tally, reader, onEvent } = this.#options;
    if (event.isTail) return this.#sendTail(event.placed[0] as PlacedPiece);
    const edits = this.#editsOf(event);
    const json = edits.length === 0 || event.json === '' ? event.json : spliceText(event.json, edits);
    this.#bytes -= event.raw.length;
    tally.heldMsTotal += performance.now() - event.queuedMs;
    for (const { lane, end } of event.placed) lane.forget(end);
    reader.sent?.(json === event.json ? event.event : JSON.parse(json), event.scope);
    if (edits.length === 0) onEvent(event.raw, event.closes);
    else if (event.json === '') onEvent(withText(event.frame, writtenText(event.text, edits)), event.closes);
    else onEvent(withJson(event.frame, json), event.closes);
  }

  /** What changes in an event that leaves: its texts, and what depends on them. */
  #editsOf(event: QueuedEvent): readonly JsonEdit[] {
    const edits: JsonEdit[] = [];
    for (const placed of event.placed) {
      const { piece, lane, leaves } = placed;
      const value = leaves ?? (placed.copy ? lane.left : leaving(placed, placed.end));
      if (this.#repeats && !placed.copy && leaves === undefined) lane.left += value;
      if (leaves !== undefined) this.#options.witness?.leftAgain(lane.key);
      if (!placed.copy) this.#options.witness?.left(lane.key, value);
      if (value === piece.text) continue;
      edits.push({ path: piece.path, value, key: piece.inKey });
      this.#changed.set(choiceOf(lane.key), lane.key);
    }
    this.#addDependents(event, this.#changed.values(), edits);
    return edits;
  }

  #addDependents({ event, scope }: QueuedEvent, keys: Iterable<string>, edits: JsonEdit[]): void {
    for (const key of keys) {
      if (!key.startsWith(scope)) continue;
      for (const dependent of this.#options.reader.dependents(event, key)) {
        if (edits.some(({ path }) => isSame(path, dependent.path))) continue;
        edits.push({ path: dependent.path, value: dependent.value === undefined ? this.#moved(event, dependent.path, dependent.key ?? key) : dependent.value });
      }
    }
  }

  /** An offset into a text, as it is in what left of the text. */
  #moved(event: unknown, path: JsonPath, key: string): number {
    const offset = path.reduce<unknown>((value, step) => (value as Record<string | number, unknown>)[step], event) as number;
    return this.#lanes.get(key)?.moved(offset) ?? offset;
  }

  /**
   * The first event waits for more text of its channel while others queue behind it. What is decided of it leaves now;
   * the rest leaves with the channel's next event, or in one of its own when the channel ends.
   */
  #splitHead(): void {
    const { reader, onEvent } = this.#options;
    const head = this.#queue[0] as QueuedEvent;
    if (head.isTail) return;
    const waiting = head.placed.filter((p) => p.end > p.lane.channel.released);
    if (head.placed.some(({ copy }) => copy)) return;
    if (!waiting.every(({ lane }) => reader.canCarry(lane.key))) return;
    if (this.#queue.some((event, i) => i > 0 && event.placed.some((p) => waiting.some((w) => w.lane === p.lane)))) return;
    const edits = head.placed.map((placed): JsonEdit => {
      const { lane } = placed;
      const until = Math.min(placed.end, Math.max(lane.channel.released, placed.start));
      if (until < placed.end) lane.carry = { start: until, text: placed.text.slice(until - placed.start) };
      const value = leaving(placed, until);
      if (this.#repeats) lane.left += value;
      this.#options.witness?.left(lane.key, value);
      return { path: placed.piece.path, value };
    });
    // What repeats the texts of the event whole, such as log-probabilities, would show what stays behind.
    this.#addDependents(head, new Map(head.placed.map(({ lane }) => [choiceOf(lane.key), lane.key])).values(), edits);
    onEvent(withJson(head.frame, spliceText(head.json, edits)), []);
    this.#queue.shift();
    this.#bytes -= head.raw.length;
    this.drain();
  }

  /** Texts that no further event of their channel will carry leave in one of their own, as soon as they are decided. */
  #sendCarries(prefix: string): void {
    for (const lane of this.#lanes.values()) {
      if (lane.carry === undefined || !lane.key.startsWith(prefix)) continue;
      const { start, text } = lane.carry;
      lane.carry = undefined;
      const piece: Piece = { key: lane.key, carrier: '', kind: 'text', path: [], text };
      this.#push({ raw: NO_BYTES, frame: undefined, json: '', event: undefined, scope: lane.key.slice(0, lane.key.indexOf(':') + 1) }, [{ piece, lane, start, end: start + text.length, text, copy: false }], [], { isTail: true });
    }
  }

  #sendTail({ lane, start, end, text }: PlacedPiece): void {
    const tail = sliceEdited(text, start, start, end, lane.channel.edits);
    lane.forget(end);
    if (this.#repeats) lane.left += tail;
    this.#options.witness?.left(lane.key, tail);
    if (!lane.growing) this.#options.onEvent(this.#options.reader.textEvent(lane.key, tail), []);
  }
}

const NO_BYTES = Buffer.alloc(0);

/** `0/content` → `0`. */
function choiceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

function isSame(a: JsonPath, b: JsonPath): boolean {
  return a.length === b.length && a.every((step, i) => step === b[i]);
}

/** The part of a piece up to `until` as it leaves. */
function leaving(placed: PlacedPiece, until: number): string {
  const { edits } = placed.lane.channel;
  if (edits.length === 0 && until === placed.end) return placed.text;
  return sliceEdited(placed.text, placed.start, placed.start, until, edits);
}

function withJson(frame: Frame | undefined, json: string): Buffer {
  return frame === undefined ? Buffer.from(json) : withData(frame, json);
}

/** A text that is no JSON, with its pieces replaced; without `text` the one piece is all of it. */
function writtenText(text: string | undefined, edits: readonly JsonEdit[]): string {
  if (text === undefined) return (edits[0] as JsonEdit).value as string;
  return applyEdits(text, edits.map(({ path: [start, end], value }) => ({ start: start as number, end: end as number, text: value as string })));
}

function withText(frame: Frame | undefined, text: string): Buffer {
  if (frame === undefined) return Buffer.from(text);
  return Buffer.from(`${text.trimEnd().split('\n').map((line) => `data: ${line}`).join('\n')}\n\n`);
}
