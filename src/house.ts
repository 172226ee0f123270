/**
 * What runs now, replaced whole when files or stored policies change, and the connection to Redis that it names: a reload
 * is all or nothing, one after the other; until every plan of the new configuration stands, the old one runs.
 */
import type { Trial, TriedPolicy } from './admin/desk.ts';
import { withStored } from './config/load.ts';
import type { ModelsAtWork } from './config/plugins.ts';
import type { Config } from './config/schema.ts';
import type { Snapshot } from './config/snapshot.ts';
import { CHANNELS } from './contract/channels.ts';
import { WeirError } from './contract/errors.ts';
import type { FailMode } from './contract/policy.ts';
import type { PolicyDistribution } from './distribution.ts';
import type { ParsedPolicy } from './policy/parse.ts';
import { policyKey } from './policy/source.ts';
import { explainOn, rehearse, rehearsePolicy, stageOf, streamText, viewsIn } from './rehearsal.ts';
import { compileRuntime, judgePolicy, type ClassifierPool, type Runtime } from './runtime.ts';
import type { PolicyPut, PutReply } from './store/policies.ts';
import { openRedis, type RedisDoor } from './store/redis.ts';

/** What runs, replaced whole when files or stored policies change: one replacement after the other. */
export class RunningHouse {
  runtime: Runtime;
  readonly distribution: PolicyDistribution;
  readonly #pool: ClassifierPool;
  readonly #redis: SharedRedis;
  #replacing: Promise<void> = Promise.resolve();

  constructor(runtime: Runtime, { pool, redis, distribution }: { readonly pool: ClassifierPool; readonly redis: SharedRedis; readonly distribution: PolicyDistribution }) {
    this.runtime = runtime;
    this.distribution = distribution;
    this.#pool = pool;
    this.#redis = redis;
    distribution.adopt(runtime.snapshot.config, runtime.snapshot.written);
  }

  /** Another configuration. Rejects when it cannot be used; the old one stays. */
  adopt(snapshot: Snapshot): Promise<void> {
    return this.#replace(async () => {
      await this.#compile(snapshot);
      await this.#redis.follow(snapshot.config);
    });
  }

  /** The same configuration with the policies that are stored now. */
  async renew(): Promise<void> {
    try {
      await this.#replace(async () => {
        const { config, written } = this.runtime.snapshot;
        await this.distribution.follow(config, new Map([...written].map(([id, { policy }]) => [id, policy]))); // a policy may name others
        await this.#compile(this.runtime.snapshot);
      });
      CHANNELS.configReloaded.publish({ ok: true, hash: this.runtime.snapshot.hash, issues: this.runtime.snapshot.warnings.length });
    } catch (error) {
      CHANNELS.configReloaded.publish({ ok: false, hash: this.runtime.snapshot.hash, issues: 1, message: `stored policies: ${(error as Error).message.split('\n', 1)[0]}` });
    }
  }

  /** Other models at work, with the configuration and policies that run. Rejects when they cannot be used; the former stay. */
  useModels(models: ModelsAtWork): Promise<void> {
    return this.#replace(async () => {
      const former = this.#pool.models;
      this.#pool.models = models;
      try {
        await this.#compile(this.runtime.snapshot);
      } catch (error) {
        this.#pool.models = former;
        throw error;
      }
    });
  }

  /** Resolves when the change counts here. */
  async put(change: PolicyPut): Promise<PutReply> {
    const reply = await this.distribution.put(change);
    await this.#replacing;
    return reply;
  }

  judge(source: string, id: string): Promise<ParsedPolicy> {
    return judgePolicy(source, { id, place: id }, this.runtime.snapshot.config, this.#pool);
  }

  /** A policy as it would run here, to be tried. */
  async trial(policy: TriedPolicy, failMode: FailMode): Promise<Trial> {
    const tools = await this.#pool.rehearsal(this.runtime.snapshot.config);
    const { file } = policy;
    const { plan, issues } = 'text' in policy ? rehearse(policy, tools, failMode) : rehearsePolicy(policy.policy, { file }, tools, failMode);
    return { file, issues, ...(plan === undefined ? {} : { stage: { ...stageOf(plan), explain: (on) => explainOn(plan, on), stream: (text, context) => streamText(plan, text, context), views: (text) => viewsIn(text, tools) } }) };
  }

  settled(): Promise<void> {
    return this.#replacing;
  }

  /** Throws policy_stale for a tenant that fails closed. */
  requireFresh(tenantId: string): void {
    const tenant = this.runtime.tenants.get(tenantId);
    if (tenant?.fail_mode !== 'closed') return;
    if (this.distribution.isExpired(policyKey(tenant.policy, tenant.policy_revision), tenant.policy_stale_max_s * 1000)) throw new WeirError('policy_stale');
  }

  async #compile(snapshot: Snapshot): Promise<void> {
    this.runtime = await compileRuntime(withStored(snapshot, this.distribution.current()), this.#pool, this.runtime);
  }

  #replace(work: () => Promise<void>): Promise<void> {
    const replacing = this.#replacing.then(work).then(() => this.distribution.adopt(this.runtime.snapshot.config, this.runtime.snapshot.written));
    this.#replacing = replacing.catch(() => {});
    return replacing;
  }
}

/** The connection that the configuration names now. */
export class SharedRedis {
  door: RedisDoor | undefined;
  #url: string | undefined;
  #closed = false;

  async follow({ redis }: Config): Promise<void> {
    if (redis?.url === this.#url) return;
    const former = this.door;
    this.#url = redis?.url;
    this.door = redis && await openRedis(redis.url);
    former?.close();
    if (this.#closed) this.door?.close();
  }

  close(): void {
    this.#closed = true;
    this.door?.close();
  }
}
