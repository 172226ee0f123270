/**
 * The metrics of health: how each part is as people are told it, and how often each fell ill, as it said itself, so that
 * one that flaps is seen. Names of parts are bounded here; those of several words are told with underscores.
 */
import type { HealthChanged, HealthTold } from '../contract/channels.ts';
import { PARTS } from '../contract/health.ts';
import { BoundedLabel } from './label.ts';
import { PARTS_MAX } from './steady-health.ts';

export const HEALTH_METRICS = {
  weir_healthy: { kind: 'gauge', labels: ['part'], help: '0 while a part works less well than configured; 1 again when it was well for a second, or for longer where it fell ill again soon after; a part of several words is told with underscores, one that was always well is absent' },
  weir_health_faults_total: { kind: 'counter', labels: ['part'], help: 'How often a part fell ill, each time counted' },
} as const;

export class HealthSeries {
  readonly #labels = new BoundedLabel(PARTS_MAX);
  readonly #told = new Map<string, boolean>();
  /** As each says itself. */
  readonly #ill = new Set<string>();

  /** The label of a part that fell ill; undefined: it did not. */
  changed({ part, healthy }: HealthChanged): string | undefined {
    const label = this.#of(part);
    if (healthy) return void this.#ill.delete(label);
    const fell = !this.#ill.has(label);
    this.#ill.add(label);
    return fell ? label : undefined;
  }

  told({ part, healthy }: HealthTold): void {
    this.#told.set(this.#of(part), healthy);
  }

  observe(observe: (value: number, labels: Readonly<Record<'part', string>>) => void): void {
    for (const [part, healthy] of this.#told) observe(healthy ? 1 : 0, { part });
  }

  #of(part: string): string {
    return this.#labels.of((PARTS as readonly string[]).includes(part) ? part.replaceAll(' ', '_') : part);
  }
}
