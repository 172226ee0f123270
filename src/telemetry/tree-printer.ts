/** Prints one line per exchange: its span and the times of its stages, with those of the classifiers asked in them. */
import { NAMES, STAGE_SPAN_PREFIX } from './names.ts';
import { durationMs, SpanKind, type ReadableSpan } from './spans.ts';

export class TreePrinter {
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** The spans of one exchange. */
  add(spans: readonly ReadableSpan[]): void {
    const below = Map.groupBy(spans, (span) => span.parentSpanContext?.spanId ?? '');
    const root = spans.find(({ kind }) => kind === SpanKind.SERVER)!;
    const stages = (below.get(root.spanContext().spanId) ?? []).map((stage) => {
      const calls = (below.get(stage.spanContext().spanId) ?? []).map((call) => `${String(call.attributes[NAMES.classifier])} ${durationText(call)}`).join(', ');
      return `${stage.name.replace(STAGE_SPAN_PREFIX, '')} ${durationText(stage)}${calls === '' ? '' : ` (${calls})`}`;
    });
    this.#print(`trace ${root.spanContext().traceId} ${root.name} ${durationText(root)}${stages.length === 0 ? '' : `: ${stages.join(' · ')}`}`);
  }

  async close(): Promise<void> {}
}

function durationText(span: ReadableSpan): string {
  return `${durationMs(span).toFixed(1)} ms`;
}
