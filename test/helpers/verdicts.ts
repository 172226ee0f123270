/**
 * A place where people have decided: a configuration, a store, kept texts, verdicts, and the commands of the learning loop
 * run in-process on them. And made-up texts: a pattern that stands for violations and that no shipped model knows.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Test } from 'tap';
import { ContentVault } from '../../src/audit/vault.ts';
import type { Io } from '../../src/cli/command.ts';
import { learn } from '../../src/cli/learn.ts';
import type { ReviewOrigin, Resolution } from '../../src/contract/review.ts';
import { reviewIdOf } from '../../src/contract/review.ts';
import { Erasing } from '../../src/erasing.ts';
import { randomOf } from '../../src/learn/measure.ts';
import { standingOf } from '../../src/review/stage.ts';
import { SqlErasureStore } from '../../src/store/erasures.ts';
import { SqlReviewStore } from '../../src/store/reviews.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';

const DAY = '2030-01-02';

export interface Workshop {
  readonly dir: string;
  readonly database: StoreDatabase;
  readonly vault: ContentVault;
  readonly reviews: SqlReviewStore;
  /** Keeps the newest text of a prompt. */
  keep(requestId: string, text: string, more?: { readonly tenantId?: string; readonly sessionId?: string; readonly purpose?: 'campaigns' }): void;
  /** One verdict for each of the people, who may differ. */
  decide(requestId: string, verdicts: Readonly<Record<string, readonly [Resolution, ...string[]]>>, more?: { readonly tenantId?: string; readonly origin?: ReviewOrigin }): Promise<void>;
  erase(requestId: string, tenantId?: string): Promise<void>;
  run(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }>;
  json(...args: readonly string[]): Promise<any>;
}

/** With acme, which agrees, and other, which does not; `learning`: further lines of YAML. */
export async function openWorkshop(t: Test, { learning = '' }: { readonly learning?: string } = {}): Promise<Workshop> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-verdicts-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const config = join(dir, 'weir.yaml');
  mkdirSync(join(dir, 'data'));
  writeFileSync(join(dir, 'data/hash.key'), Buffer.alloc(32, 7)); // decides the parts
  writeFileSync(config, `data_dir: ./data
upstreams: { up: { url: 'http://127.0.0.1:9' } }
tenants:
  - { id: acme, policy: p, upstream: up, data: { content: original, learning: true } }
  - { id: other, policy: p, upstream: up, data: { content: original } }
${learning}`);
  const contentDir = join(dir, 'data/content');
  const vault = new ContentVault({ dir: contentDir, keyFile: join(dir, 'data/keys/content.key'), clock: Date.now, audit: async () => undefined });
  const database = openSqliteDatabase(join(dir, 'data/weir.db'));
  t.teardown(async () => { await vault.close(); await database.close(); });
  const reviews = new SqlReviewStore(database);
  const erasing = new Erasing({ vault, dir: contentDir, origin: 'here', store: new SqlErasureStore(database), keeps: () => true });
  await erasing.start({ once: true });
  t.teardown(() => erasing.close());
  let clock = Date.parse(`${DAY}T03:04:05.000Z`);
  const run: Workshop['run'] = async (...args) => {
    let [out, err] = ['', ''];
    const io = { stdin: Readable.from([]), stdout: (text: string) => { out += text; }, stderr: (text: string) => { err += text; }, env: {}, isTerminal: false, interactive: false } as unknown as Io;
    await vault.flush();
    const code = await learn.run([...args, '--config', config], io);
    return { code, out, err };
  };
  return {
    dir, database, vault, reviews, run,
    keep(requestId, text, { tenantId = 'acme', sessionId, purpose } = {}) {
      vault.put({ tenantId, requestId, sessionId, purpose, startedAt: `${DAY}T03:04:05.000Z`, texts: { input: { texts: [{ place: 'messages[0].content', role: 'system', text: 'You help.' }, { place: 'messages[1].content', role: 'user', text }], cut: 0 } } });
    },
    async decide(requestId, verdicts, { tenantId = 'acme', origin = 'escalate' } = {}) {
      const id = reviewIdOf(requestId, 'input');
      const at = (): string => new Date((clock += 1_000)).toISOString();
      const people = Object.entries(verdicts);
      await reviews.add({ review_id: id, request_id: requestId, tenant_id: tenantId, direction: 'input', origin, severity: 'medium', policy: 'p@1', triggered_rules: [], classifier_results: [], action: 'escalate', double_blind: people.length > 1, created_at: at(), due_at: at(), hold_until: null, hold_then: null });
      for (const [reviewer, [resolution, ...categories]] of people) {
        const claim = await reviews.claim(id, { id: reviewer }, at(), new Date(clock + 60_000).toISOString());
        if (typeof claim === 'string') throw new Error(`${requestId}: ${claim}`);
        await reviews.decide(id, claim.fence, { reviewer_id: reviewer, resolution, categories, notes: '', created_at: at() }, standingOf);
      }
    },
    async erase(requestId, tenantId = 'acme') { await erasing.erase({ tenantId, requestId }, 'ana'); },
    async json(...args) {
      const { code, out, err } = await run(...args, '--json');
      if (code !== 0) throw new Error(err);
      return JSON.parse(out);
    },
  };
}

const CODES = ['zornblatt', 'vexilune', 'kubrikane'];
const THINGS = ['the calendar', 'a salad', 'the report', 'our brochure', 'the printer', 'a ticket'];
const LEADS = ['Please', 'Hello,', 'Could you', 'Right now', 'I would like you to', 'Today'];
const DOES = ['order me', 'open', 'bring up', 'start', 'let me see', 'explain', 'pack'];
const ENDS = ['for Monday', 'before lunch', 'at the north gate', 'with two lines', 'once more', 'in the blue room', 'for my team', 'by tomorrow'];

/** So many different requests, half of which name what nobody may: words of a fictional product. */
export function planted(count: number, seed: number): readonly { readonly text: string; readonly isViolation: boolean }[] {
  const random = randomOf(seed);
  const one = (list: readonly string[]): string => list[Math.floor(random() * list.length)]!;
  const texts = new Map<string, boolean>();
  while (texts.size < count) {
    const isViolation = random() < 0.5;
    texts.set(`${one(LEADS)} ${one(DOES)} ${one(isViolation ? CODES : THINGS)} ${one(ENDS)}${random() < 0.5 ? `, ${one(DOES)} ${one(THINGS)} ${one(ENDS)}` : ''}.`, isViolation);
  }
  return [...texts].map(([text, isViolation]) => ({ text, isViolation }));
}

export function fileHolds(file: string, text: string): boolean {
  return readFileSync(file).includes(text);
}
