/**
 * Writes to the audit log what was changed beside it: `weir admin token`, `weir review` and `weir risk` work on the store alone, and
 * leave there what they did, as does whoever switches models. Each change is written once; after a crash between the log and the store, perhaps twice. A store that does not
 * answer is asked again.
 */
import type { AccessChangeRecord, AnnotationRecord, CampaignRecord, LearningRecord, ModelChangeRecord, ReviewRecord } from '../audit/entry.ts';
import { WeirError } from '../contract/errors.ts';
import type { AdminStore } from '../store/admins.ts';

const LOOK_MS = 1_000;
/** Who claimed a change and has not settled it after this time is gone. */
const CLAIM_MS = 30_000;

export interface ChangesDesk {
  readonly store: Pick<AdminStore, 'claimChanges' | 'settleChange'>;
  /** Resolves when the entry is on disk. */
  audit(record: AccessChangeRecord | AnnotationRecord | CampaignRecord | LearningRecord | ModelChangeRecord | ReviewRecord): Promise<void>;
  now(): Date;
}

export class AccessChanges {
  readonly #desk: ChangesDesk;
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> = Promise.resolve();
  #isBusy = false;

  constructor(desk: ChangesDesk) {
    this.#desk = desk;
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
    this.look();
  }

  look(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#writing = this.#write().finally(() => void (this.#isBusy = false));
  }

  /** What was claimed is written. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { store, audit, now } = this.#desk;
    try {
      const nowMs = now().getTime();
      for (const { change_id: id, record } of await store.claimChanges(new Date(nowMs).toISOString(), new Date(nowMs - CLAIM_MS).toISOString())) {
        await audit(JSON.parse(record) as AccessChangeRecord | AnnotationRecord | CampaignRecord | LearningRecord | ModelChangeRecord | ReviewRecord);
        await store.settleChange(id);
      }
    } catch (error) {
      // The store, or the log, has said itself that it does not work; the change waits there.
      if (!(error instanceof WeirError) && !(error instanceof RangeError)) throw error;
    }
  }
}
