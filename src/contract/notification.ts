/** What somebody outside is told. Nothing in it is text of a prompt or an answer. */
import type { LateRecord } from './exchange.ts';

/** An exchange was found to violate its policy after it had gone through, or while it did. */
export interface LateViolation {
  readonly event: 'late_violation';
  readonly request_id: string;
  readonly tenant_id: string;
  readonly session_id?: string;
  /** `id@revision` */
  readonly policy?: string;
  readonly late: LateRecord;
  readonly created_at: string;
}
