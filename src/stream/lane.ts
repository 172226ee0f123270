/**
 * One channel of an answer with its judge: the text channel or JSON channel, a gate where scores can change what happens,
 * and the restoring of pseudonyms around it. What the judge decides is counted in the answer's tally, and who is to be
 * waited for is asked of the queue.
 */
import type { Piece } from '../dialect/dialect.ts';
import type { Release } from '../contract/hold.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import type { HeldRuling, OutputPlan, OutputRuling, SettledRuling } from '../screen/output.ts';
import { JsonChannel, TextChannel, type Channel, type Ruling } from './channel.ts';
import { Gate } from './gate.ts';
import { RestoringChannel } from './restore.ts';
import type { Tally } from './tally.ts';

export class Lane {
  readonly key: string;
  readonly channel: Channel;
  /** The end of an event that was sent in part: leaves with the next event of the lane, or by itself. */
  carry: { start: number; text: string } | undefined;
  /** Every event of the channel says all of its text so far. */
  growing = false;
  /** Where the dialect repeats texts: all of the channel's text, as it came and as it left. */
  said = '';
  left = '';
  /** Replacements that have left: their end in the channel's text, and by how much the text grew. */
  readonly #growth: { readonly end: number; readonly chars: number }[] = [];

  readonly #tally: Tally;
  readonly #fixed: boolean;
  #held: HeldRuling | undefined;

  /** `fixed`: what would be redacted is blocked, and pseudonyms stay as they came. `hold`: what a wait came to; undefined: it goes on. */
  constructor(key: string, kind: Piece['kind'], fixed: boolean, plan: OutputPlan, tally: Tally, onScores: () => void, hold: (decision: PolicyDecision) => Release | undefined) {
    this.#tally = tally;
    this.#fixed = fixed;
    this.key = key;
    const judge = plan.openChannel();
    const Kind = kind === 'json' ? JsonChannel : TextChannel;
    const { restore, scoring, late } = plan;
    const noted = (ruling: OutputRuling): Ruling => {
      if (!('after' in ruling)) {
        const kept = this.#kept(ruling);
        tally.decided(kept.decision);
        return kept;
      }
      tally.decided(ruling.decision);
      this.#held = ruling;
      const release = hold(ruling.decision);
      const { allowed, refused, then } = ruling.after;
      return release === undefined ? { after: { allowed: this.#kept(allowed), refused: this.#kept(refused), then: this.#kept(then) } } : this.#chosen(release);
    };
    const screened = new Kind({
      set: plan.patterns,
      judge: (component, text) => noted(judge.judge(component, text, tally.results)),
      // Arguments are acted on as a whole, so they are scored, and wait, as a whole.
      gate: (scoring ?? late) && new Gate({ window: kind === 'json' ? 'whole' : (scoring ?? late)!.window, mode: scoring?.mode ?? 'trail', score: scoring?.open(), follow: late?.open(judge), onScores }),
      judgeWindow: ({ window, results }, components, textOf) => noted(judge.judgeWindow(window, results, components, textOf, tally.results)),
    });
    this.channel = restore === undefined || fixed ? screened : new RestoringChannel(kind, restore, screened);
  }

  /** The rule for which it waits; undefined: it does not. */
  get heldBy(): string | undefined {
    return this.channel.held ? this.#held?.decision.rule?.id : undefined;
  }

  /** What it waited for has come to this. */
  release(release: Release): void {
    this.#chosen(release);
    this.channel.release(release);
  }

  #chosen(release: Release): SettledRuling {
    const chosen = this.#kept(this.#held!.after[release]);
    if (chosen.blocked) this.#tally.refused(chosen.decision);
    return chosen;
  }

  /** What cannot be changed is blocked where it would be. */
  #kept(ruling: SettledRuling): SettledRuling {
    return this.#fixed && !ruling.blocked && ruling.edits.length > 0 ? { blocked: true, decision: { ...ruling.decision, action: 'block' } } : ruling;
  }

  /** Drops the edits before `offset`, which has left. */
  forget(offset: number): void {
    for (const { start, end, text } of this.channel.edits) if (end <= offset) this.#growth.push({ end, chars: text.length - (end - start) });
    this.channel.forget(offset);
  }

  /** `offset` in the text as it came, as an offset in the text as it left or leaves. Inside a replacement it is its end. */
  moved(offset: number): number {
    let moved = offset;
    for (const { end, chars } of this.#growth) if (end <= offset) moved += chars;
    for (const { start, end, text } of this.channel.edits) if (start < offset) moved += Math.max(end, offset) - offset + text.length - (end - start);
    return moved;
  }
}
