/**
 * One channel of an answer with its judge: the text channel or JSON channel, a gate where scores can change what happens,
 * and the restoring of pseudonyms around it. What the judge decides is counted in the answer's tally.
 */
import type { Piece } from '../dialect/dialect.ts';
import type { OutputPlan, OutputRuling } from '../screen/plan.ts';
import { JsonChannel, TextChannel, type Channel } from './channel.ts';
import { Gate } from './gate.ts';
import { RestoringChannel } from './restore.ts';
import type { Tally } from './tally.ts';

export class Lane {
  readonly key: string;
  readonly channel: Channel;
  /** The end of an event that was sent in part: leaves with the next event of the lane, or by itself. */
  carry: { start: number; text: string } | undefined;

  constructor(key: string, kind: Piece['kind'], plan: OutputPlan, tally: Tally, onScores: () => void) {
    this.key = key;
    const judge = plan.openChannel();
    const Kind = kind === 'json' ? JsonChannel : TextChannel;
    const { restore, scoring } = plan;
    const noted = (ruling: OutputRuling): OutputRuling => {
      tally.decided(ruling.decision);
      return ruling;
    };
    const screened = new Kind({
      set: plan.patterns,
      judge: (component, text) => noted(judge.judge(component, text, tally.results)),
      // Arguments are acted on as a whole, so they are scored, and wait, as a whole.
      gate: scoring && new Gate({ window: kind === 'json' ? 'whole' : scoring.window, mode: scoring.mode, score: (window) => scoring.score(window), onScores }),
      judgeWindow: ({ window, results }, components, textOf) => noted(judge.judgeWindow(window, results, components, textOf, tally.results)),
    });
    this.channel = restore === undefined ? screened : new RestoringChannel(kind, restore, screened);
  }
}
