/**
 * Every configuration key, declared once: type, unit, default, limits and one sentence. The type `Config`, the checks
 * with their messages and the reference in config/weir.yaml all derive from this list. Names are those of the YAML.
 *
 * Keys whose machinery is not built yet are read and checked, and reported as not available, never silently ignored.
 */
import { hostname } from 'node:os';
import { isAbsolute, resolve } from 'node:path';
import { CONTENT_MODES, TRACED_MODES } from '../contract/content.ts';
import { LOG_NAME, LOG_NAME_CHARS_MAX } from '../contract/log-name.ts';
import { REVIEW_EVENTS } from '../contract/notification.ts';
import { PEOPLE_ROLES } from '../contract/people.ts';
import { FAIL_MODES } from '../contract/policy.ts';
import { MODERATION_CATEGORIES, SOURCE_PLACE, VIEWS } from '../contract/screening.ts';
import { BREAK_BOUNDS } from '../contract/wellness.ts';
import { combination } from './combine.ts';
import { schemaOf } from './json-schema.ts';
import { countsAfterRestart } from './restart.ts';
import { LEARN } from './learn.ts';
import { REPORTS } from './reports.ts';
import { RISK } from './risk.ts';
import { choice, custom, documentKeys, flag, isMapping, kindOf, list, mapping, meant, name, number, readShape, record, text, url, whole, type JsonSchema, type KeyDoc, type Shape, type Site, type TypeOf } from './shape.ts';
import { webhookSecret } from './webhook.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const DAY_MS = 86_400_000;

const host = (description: string) => text(description, { default: '127.0.0.1', lengthMax: 255, pattern: /^[A-Za-z0-9.:_-]+$/, patternMeaning: 'an address or a host name' });
const port = (description: string, value: number) => whole(description, { default: value, min: 0, max: 65_535 });
const bytes = (description: string, value: number, max = GIB) => whole(description, { default: value, min: KIB, max, unit: 'bytes' });
const ms = (description: string, value: number, min = 1) => whole(description, { default: value, min, max: DAY_MS, unit: 'ms' });
const path = (description: string, notes: { readonly default?: string; readonly example?: string } = {}) => text(description, { ...notes, lengthMax: 4096, pattern: /^[^\0]+$/, patternMeaning: 'a path' }) as Shape<string | undefined>;

const retentionDays = (what: string, otherwise: string) => whole(`Days for which ${what} kept; ${otherwise}.`, { min: 1, max: 36_500, unit: 'days', example: 400 });

const DURABILITIES = ['relaxed', 'strict'] as const;

// Where traffic comes in.

const treatment = (description: string, otherwise: 'pass' | 'refuse') => choice(description, ['pass', 'refuse'] as const, { default: otherwise });

const limits = mapping('Bounds on one request and its answer; what exceeds one is refused with a named error.', {
  body_bytes_max: bytes('Largest request body, and largest frame of a WebSocket client.', 10 * MIB),
  json_depth_max: whole('Deepest nesting of a JSON body.', { default: 64, min: 4, max: 1000 }),
  json_items_max: whole('Most keys and elements in a JSON body.', { default: 200_000, min: 100, max: 10_000_000 }),
  url_bytes_max: bytes('Longest request target.', 8192, 64 * KIB),
  header_bytes_max: bytes('Largest request head.', 16_384, MIB),
  headers_max: whole('Most request headers.', { default: 100, min: 8, max: 2000 }),
  connections_max: whole('Most open client connections.', { default: 10_000, min: 1, max: 1_000_000 }),
  event_bytes_max: bytes('Largest single event of a streamed answer, and largest frame of a WebSocket upstream.', 4 * MIB),
  response_bytes_max: bytes('Largest answer.', 64 * MIB),
  queue_bytes_max: bytes('Most bytes waiting for one client that reads slowly.', 4 * MIB),
}, { default: {} });

const timeouts = mapping('How long each step may take.', {
  headers_ms: ms('Time for a client to send its request head.', 10_000),
  request_ms: ms('Time for a client to send its whole request.', 60_000),
  keep_alive_ms: ms('How long an idle client connection stays open; longer than that of the load balancer in front.', 65_000),
  client_idle_ms: ms('How long a client may read nothing of an answer that waits for it.', 60_000),
  stream_silence_ms: ms('Silence of a streamed answer after which a comment tells the client that it goes on; 0 sends none.', 15_000, 0),
  socket_idle_ms: ms('How long a WebSocket may carry nothing in either direction.', 600_000),
  drain_ms: ms('Time for open answers to end after the signal to stop.', 30_000, 0),
}, { default: {} });

const passThroughRoute = text('A route: a path, or a method and a path; a trailing `*` stands for any rest.', {
  pattern: /^(?:[A-Z]+ )?\/[^\s?#*]*\*?$/, patternMeaning: '/path or METHOD /path, with * only at the end', lengthMax: 1000,
});

const proxy = mapping('The listener that applications call.', {
  host: host('Address to listen on.'),
  port: port('Port to listen on; 0 picks a free one.', 8080),
  limits,
  timeouts,
  workers: custom('whole number', 'Processes that share the port.', readWorkers, { default: 1, schema: { type: 'integer', minimum: 1, maximum: 256 } }),
  unknown_endpoints: choice('What becomes of a path that is neither screened nor on the pass_through list.', ['refuse', 'pass'] as const, { default: 'refuse' }),
  opaque: mapping('What becomes of a request with a part that is no text and that no classifier has judged, and of an answer that is all media.', {
    image: treatment('Images in the body.', 'pass'),
    audio: treatment('Recordings in the body, and what is spoken on a WebSocket.', 'pass'),
    video: treatment('Films in the body.', 'pass'),
    file: treatment('Documents in the body.', 'pass'),
    remote_url: treatment('Addresses that the provider fetches.', 'pass'),
    reference: treatment('Ids of what the provider keeps: files, earlier responses, conversations, stored prompts.', 'pass'),
    encrypted: treatment('Ciphertext that the provider gave out earlier.', 'pass'),
    tokens: treatment('Prompts as token numbers.', 'refuse'),
    background: treatment('Answers that are fetched later.', 'refuse'),
  }, { default: {} }),
  pass_through: list('Routes handed over whole, unscreened.', passThroughRoute, { default: ['GET /v1/models', 'GET /v1/models/*'], countMax: 1000 }),
  websockets: choice('What becomes of a WebSocket: screen reads every frame in both directions, pass hands it over unscreened.', ['screen', 'refuse', 'pass'] as const, { default: 'screen' }),
  moderations: choice('Whether /v1/moderations is answered here, by the configured classifiers, or by the upstream.', ['local', 'forward'] as const, { default: 'local' }),
}, { default: {} });

const oidc = mapping('People log in through an OpenID Connect provider; absent: with a token.', {
  issuer: custom('URL', 'Issuer of the provider; its document is read at the first login.', readIssuer, { required: true, example: 'https://login.example.com', schema: { type: 'string', pattern: '^(?:https?:|\\$\\{)' } }),
  client_id: text('Name of Weir at the provider, with the redirect URI <admin address>/api/v1/login/callback.', { required: true, lengthMax: 1000, example: 'weir' }),
  client_secret: text('Its secret; without one the client is public, and PKCE alone protects the login.', { example: '${WEIR_OIDC_SECRET:-}', lengthMax: 4096 }),
  client_secret_file: path('A file with the secret, in place of client_secret.', { example: './oidc-secret' }),
  scopes: list('What is asked for.', text('A scope.', { lengthMax: 200, pattern: /^[!-~]+$/, patternMeaning: 'a word without spaces' }), { default: ['openid', 'email', 'profile'], countMin: 1, countMax: 50 }),
  name_claim: text('Claim that names the person in histories and in the audit log; where it is not there, `sub`.', { default: 'email', lengthMax: 200 }),
  role_claim: text('Claim that holds what `roles` lists, as text or a list; dots lead into objects.', { default: 'groups', lengthMax: 200, example: 'realm_access.roles' }),
  roles: list('Which value of the claim gives which role; who has none is refused.', mapping('One value.', {
    value: text('As it stands in the claim.', { required: true, lengthMax: 1000, example: 'acme-staff' }),
    role: choice('What it gives.', PEOPLE_ROLES, { required: true, example: 'tenant-viewer' }),
    tenants: list('For tenant-viewer: ids of the tenants that are seen.', name('A tenant.'), { countMax: 1000, example: ['acme'] }),
  }), { required: true, countMin: 1, countMax: 1000 }),
});

const adminFields = mapping('The listener for the console, its API and /metrics.', {
  host: host('Address to listen on; another one than loopback asks for tls or allow_plain_http.'),
  port: port('Port to listen on; 0 picks a free one.', 8081),
  tls: mapping('A certificate, so that it speaks HTTPS.', {
    cert_file: path('PEM file with the certificate and its chain.', { example: './admin.crt' }),
    key_file: path('PEM file with its key.', { example: './admin.key' }),
  }),
  allow_plain_http: flag('Listen without tls on another address than loopback: what is in front, or the network, keeps tokens from being read.', { default: false }),
  public_url: url('Where browsers find it, when something stands in front that speaks HTTPS.', { schemes: ['http', 'https'], example: 'https://weir.example.com' }),
  hosts: list('Names that a Host field may give, besides addresses, localhost and that of public_url: a page elsewhere could point its own name here.', text('A name.', { lengthMax: 253, pattern: /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/, patternMeaning: 'a host name in lower case, without port' }), { default: [], countMax: 100, example: ['weir.internal.example.com'] }),
  session: mapping('How long somebody stays logged in.', {
    idle_ms: ms('A session ends when it was not used for so long.', 1_800_000, 1000),
    total_ms: ms('It ends after so long, used or not.', 43_200_000, 1000),
  }, { default: {} }),
  oidc,
}, { default: {} });

const admin: typeof adminFields = {
  ...adminFields,
  read(value, site) {
    const fields = adminFields.read(value, site);
    if (fields === undefined) return fields as never;
    const { tls, oidc: provider } = fields;
    if (tls === undefined && !fields.allow_plain_http && !isLoopback(fields.host)) site.child('host').refuse('another address than loopback without tls: tokens and cookies could be read on the way', 'name a certificate under admin.tls, or set admin.allow_plain_http: true when what is in front protects them');
    if (tls !== undefined && (tls.cert_file === undefined || tls.key_file === undefined)) site.child('tls').refuse('a certificate needs cert_file and key_file');
    if (provider?.client_secret !== undefined && provider.client_secret_file !== undefined) site.child('oidc').child('client_secret').refuse('the secret is given twice', 'keep client_secret or client_secret_file');
    for (const [index, { role, tenants = [] }] of (provider?.roles ?? []).entries()) {
      if ((role === 'tenant-viewer') !== tenants.length > 0) site.child('oidc').child('roles').child(index).refuse(role === 'tenant-viewer' ? 'a tenant-viewer needs tenants' : 'tenants are for the role tenant-viewer alone');
    }
    return fields;
  },
};

function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127(?:\.\d{1,3}){3}$/.test(address);
}

const analyticsFields = mapping('ClickHouse, where decisions are searched and counted in place of the store, when there are many. Absent: the store has them.', {
  url: url('ClickHouse over HTTP, with the user where it is not `default`; `clickhouse:` is another word for `http:`.', { schemes: ['http', 'https', 'clickhouse'], userinfo: true, required: true, example: 'https://weir:${WEIR_CLICKHOUSE_PASSWORD:-}@clickhouse.example.com:8443' }),
  password_file: path('A file with the password, in place of one in url.', { example: './clickhouse-password' }),
  database: text('Its database, made on the first start where there is none.', { default: 'weir', lengthMax: 64, pattern: /^[A-Za-z_][A-Za-z0-9_]*$/, patternMeaning: 'a database name' }),
  ttl_days: whole('Days after which ClickHouse itself removes decisions; their counts stay. Absent: the days under retention alone count, tenant by tenant.', { min: 1, max: 3_660, unit: 'days', example: 400 }),
});

const analytics: typeof analyticsFields = {
  ...analyticsFields,
  read(value, site) {
    const fields = analyticsFields.read(value, site);
    const parsed = URL.parse(fields?.url ?? '');
    if (parsed === null) return fields as never;
    if (parsed.search !== '') site.child('url').refuse('the URL of ClickHouse has no parameters here', 'remove ? and what follows; the database has a key of its own');
    if (parsed.password !== '' && fields!.password_file !== undefined) site.child('password_file').refuse('the password is given twice', 'keep the one in url or password_file');
    return fields;
  },
};

// Where it goes.

const upstream = mapping('One provider.', {
  url: custom('URL', 'Base URL, with its version path.', readUpstreamUrl, { required: true, example: 'https://api.openai.com/v1', schema: { type: 'string', pattern: '^(?:https?:|\\$\\{)' } }),
  api_key: text('Key sent in place of the caller’s; empty or absent: the caller’s own key passes through.', { example: '${OPENAI_API_KEY:-}', lengthMax: 4096, pattern: /^[\x21-\x7e]+$/, patternMeaning: 'a key without spaces or line ends' }),
  provider: text('Provider name in traces (gen_ai.provider.name); by default told from the host.', { example: 'openai', lengthMax: 64 }),
  connections: whole('Most connections to it.', { default: 256, min: 1, max: 65_535 }),
  timeouts: mapping('How long each step may take.', {
    connect_ms: ms('Time to connect.', 10_000),
    headers_ms: ms('Time to the head of the answer.', 600_000),
    idle_ms: ms('Longest silence within an answer.', 600_000),
    total_ms: ms('Time for the whole answer; 0 sets no limit.', 0, 0),
  }, { default: {} }),
});

// Who sends it.

/** Names of one list. */
const CONTEXT_NAMES_MAX = 64;
/** What is known without the caller. */
const KNOWN_CONTEXT: readonly string[] = ['direction', 'endpoint', 'language', 'model', 'role', 'session', 'sources', 'stream', 'tenant', 'time', 'time.hour', 'time.weekday', 'user'];

const contextName = custom('name', 'A name.', readContextName, { schema: { type: 'string', pattern: '^[a-z][a-z0-9.-]{0,63}$', not: { enum: KNOWN_CONTEXT } } });

const tenant = mapping('One tenant.', {
  id: name('Name in records, headers and metrics.', { required: true, example: 'default' }),
  policy: name('Policy that decides; a tenant without one is never allowed.', { required: true, example: 'default' }),
  policy_revision: whole('Revision of that policy in the store at which the tenant stays; absent: the newest.', { min: 1, max: 1_000_000_000, example: 7 }),
  policy_stale_max_s: whole('For how long a policy from the store counts that nobody can confirm to be the newest; after it fail_mode decides: closed refuses every request.', { default: 86_400, min: 120, max: 31_536_000, unit: 's' }),
  upstream: name('Upstream its requests go to.', { required: true, example: 'openai' }),
  product: text('Product name for reports.', { example: 'Help centre', lengthMax: 200 }),
  keys: list('API keys that reach this tenant, beside those of the store (`weir keys create`); a single tenant may have none of either, and then callers’ own credentials pass through.', mapping('One key.', {
    id: name('Name of the key.', { required: true, example: 'backend' }),
    sha256: text('SHA-256 of the key, in hex; the key itself is stored nowhere.', { required: true, pattern: /^[0-9a-f]{64}$/, patternMeaning: '64 lower-case hex digits', example: 'ab'.repeat(32) }),
    expires_at: text('When the key stops working, as an ISO 8601 date with time and zone.', { pattern: /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/, patternMeaning: 'a time such as 2030-01-31T00:00:00Z', example: '2030-01-31T00:00:00Z' }),
  }), { default: [], countMax: 10_000 }),
  require_key: flag('Refuse callers without a key, even where it is the only tenant and no key stands here: for keys of the store, before the first is made and where no copy of them is at hand.', { default: false }),
  fail_mode: choice('What a missing score does where the policy does not say: closed blocks, open skips the rule and counts it.', FAIL_MODES, { default: 'closed' }),
  context: mapping('Headers `x-weir-context-<name>` of callers, which rules read as `context: <name>`; others are ignored, and none goes upstream.', {
    headers: list('Names whose values are the caller’s own word: a policy is asked without and with them, and the stricter decision counts.', contextName, { default: [], countMax: CONTEXT_NAMES_MAX, example: ['surface', 'plan'] }),
    trusted: list('Names whose values are believed, so that a rule may let more through for them; for callers that set them for others.', contextName, { default: [], countMax: CONTEXT_NAMES_MAX, example: ['user-trust'] }),
  }),
  limits: mapping('Rate limits; absent: none.', {
    requests_per_minute: whole('Requests in a minute.', { min: 1, max: 1e9, example: 6000 }),
    tokens_per_minute: whole('Tokens in a minute.', { min: 1, max: 1e12, example: 2_000_000 }),
    concurrent: whole('Requests open at once.', { min: 1, max: 1e6, example: 500 }),
  }),
  audit: mapping('How this tenant’s entries are written.', {
    durability: choice('strict: an answer ends only when its entry is on disk; relaxed: within a tenth of a second. By default as under audit.', DURABILITIES, { example: 'strict' }),
  }, { default: {} }),
  retention: mapping('How long what is kept of this tenant stays.', {
    audit_days: retentionDays('entries of the audit log are', 'by default as under retention. A segment of the log goes when all in it passed theirs'),
    usage_days: retentionDays('hours of usage are', 'by default as under retention'),
    decisions_days: retentionDays('decisions can be searched, and are', 'by default as long as entries of the audit log'),
    decision_counts_days: retentionDays('hours of counted decisions are', 'by default as under retention'),
  }, { default: {} }),
  hold: mapping('How this tenant’s requests wait for a person.', {
    waiting_max: whole('Requests that may wait at once in one process, within review.holds_max; those beyond take their rule’s `then` at once.', { min: 0, max: 100_000, example: 50 }),
  }),
  webhook: mapping('Told what came of the review queue: ids and names as signed JSON, never content; sent again until it is taken, for three days.', {
    url: url('Where notices are posted.', { schemes: ['http', 'https'], required: true, example: 'https://acme.example.com/weir' }),
    secret: webhookSecret(),
    events: list('Which: override, people judged otherwise than was done; resolved, as it was; overdue, nobody judged in time.', choice('An event.', REVIEW_EVENTS), { default: ['override', 'resolved'], countMin: 1, countMax: REVIEW_EVENTS.length }),
  }),
  data: mapping('Texts of this tenant’s exchanges that are kept, sealed, in `content` in data_dir.', {
    content: choice('none; redacted: as they went on, the prompt as the provider and the answer as the client got it; original: as they came, which is what was judged.', CONTENT_MODES, { default: 'none' }),
    keep_days: whole('Days for which they are kept; then their keys are destroyed.', { default: 30, min: 1, max: 3650, unit: 'days' }),
    campaigns: flag('Take part in residual-risk campaigns: what is drawn for one is kept for it as it went on, or as it came where what was blocked is drawn too, sealed, and people label it.', { default: false }),
    traces: choice('Texts in its traces: none; redacted: as they went on, the prompt as the provider and the answer as the client got it, without what the policy stopped, and no answer in which pseudonyms were put back. They are as readable there as any other attribute.', TRACED_MODES, { default: 'none' }),
    learning: flag('Let the embedded classifiers learn from what people decided of this tenant’s texts: its kept texts, whatever they are kept for, become rows, sealed, for learn.keep_days.', { default: false }),
  }, { default: {} }),
});

// What looks at it.

const patternFile = text('A set or a file.', { lengthMax: 4096, pattern: /^[^\0]+$/, patternMeaning: 'the name of a set or a path' });

const classifierFields = mapping('One classifier; every further key is an option of its plugin, where a text that begins with `./` or `../` is a path.', {
  id: name('Name in results and in `score:` conditions.', { required: true, example: 'pii' }),
  plugin: text('Folder under plugins/ that implements it, or the path of a file of your own, beginning with `./`, `../` or `/`.', { required: true, pattern: /^(?:[a-z0-9][a-z0-9-]{0,63}|\.{0,2}\/[^\0]+)$/, patternMeaning: 'a plugin name of lower-case letters, digits and `-`, or a path such as ./my-classifier/index.ts', lengthMax: 4096, example: 'pii' }),
  patterns: list('Pattern files, and names of sets that come with Weir, in place of those that the plugin takes by itself.', patternFile, { countMax: 100, countMin: 1, example: ['contact', 'finance'] }),
  disable: list('Patterns and categories to leave out, by id.', name('A pattern or a category.'), { countMax: 1000, example: ['bic', 'MAC_ADDRESS'] }),
  deadline_ms: whole('Its own time for one text, within screening.deadline_ms.', { min: 1, max: DAY_MS, unit: 'ms', example: 60 }),
  concurrency: whole('Texts that it is asked about at once; four times as many wait, and those beyond are unknown.', { default: 64, min: 1, max: 100_000 }),
  retry: flag('Ask again, once and within the deadline, where it failed fast and its plugin says that this does no harm.', { default: true }),
  breaker: mapping('When it is left alone.', {
    failures: whole('Failures in a row after which it is not asked for a while.', { default: 5, min: 1, max: 100_000 }),
    open_ms: ms('How long until one text tries it again.', 5_000),
  }, { default: {} }),
  weight: number('Its weight in a weighted combination that gives none.', { default: 1, min: 0.000_001, max: 1e6 }),
}, { open: true });

/** What the host reads of an entry; the rest is for the plugin. */
const HOST_KEYS: readonly string[] = Object.keys(classifierFields.fields!).filter((key) => key !== 'id');

/** A pattern file of the operator's own, as `load` read it. */
export interface PatternSource {
  readonly path: string;
  /** As messages name it. */
  readonly file: string;
  readonly text: string | undefined;
  readonly problem?: string;
}

/** `options` is what the plugin gets: the entry's id, and what the host does not read. */
interface ReadClassifier extends NonNullable<TypeOf<typeof classifierFields>> {
  /** Names of shipped sets, and paths: absolute once the configuration is resolved. */
  readonly patterns: readonly string[] | undefined;
  readonly options: Readonly<Record<string, unknown>> & { readonly id: string };
}

const classifier: Shape<ReadClassifier | undefined> = {
  ...classifierFields,
  read(value, site) {
    const fields = classifierFields.read(value, site);
    if (fields === undefined || !isMapping(value)) return undefined;
    const options = Object.fromEntries(Object.entries(value).filter(([key]) => !HOST_KEYS.includes(key)));
    return Object.freeze({ ...fields, options: Object.freeze({ ...options, id: fields.id }) });
  },
};

// The whole.

export const CONFIG = mapping('The configuration.', {
  roles: list('What this process does.', choice('A role.', ['proxy', 'control'] as const), { default: ['proxy', 'control'], countMin: 1, countMax: 2 }),
  data_dir: path('Where the audit log and the embedded store live; by default `data` in the working directory.', { example: './data' }),
  proxy,
  admin,
  upstreams: record('Providers by name.', upstream, { required: true, countMin: 1, countMax: 1000 }),
  tenants: list('Who may call, under which policy, and where to.', tenant, { required: true, countMin: 1, countMax: 100_000 }),
  policies: custom('path or list of paths', 'Policy files, or directories of them; by default `policies` beside this file.', readPolicies, { example: 'policies', schema: { type: ['string', 'array'], items: { type: 'string' } } }),
  classifiers: list('Classifiers to run; absent: the embedded ones.', classifier, { countMax: 100 }),
  screening: mapping('How screening runs.', {
    deadline_ms: ms('Time for all scores of one text; a score that is late is unknown.', 80),
    overload_ms: ms('Delay of the event loop, on average, from which slow classifiers are not asked; their scores are unknown meanwhile.', 250),
    cache: mapping('What was said of a text is remembered, under a keyed hash and never with its content, so that a conversation that is sent again is not screened again.', {
      entries_max: whole('Entries for each tenant; 0 remembers nothing.', { default: 20_000, min: 0, max: 100_000_000 }),
      bytes_max: bytes('Bytes of them for each tenant; all tenants together have 256 MiB.', 16 * MIB, 256 * MIB),
      ttl_ms: ms('How long an entry counts.', 3_600_000),
      shared: flag('Share what slow classifiers said through Redis, where there is one, with replicas that have the same data_dir/hash.key.', { default: true }),
    }, { default: {} }),
    combine: list('Scores made of several classifiers\' scores.', combination, { countMax: 200 }),
    views: mapping('What a prompt says beneath its disguises is screened too: without invisible characters, with look-alikes folded, spelled words joined, encoded text decoded.', {
      names: list('Which views; an empty list screens texts as they stand alone.', choice('A view.', VIEWS), { default: VIEWS, countMax: VIEWS.length }),
      chars_max: whole('Characters of a text that are viewed; what is beyond is screened as it stands alone.', { default: MIB, min: 1_000, max: 100_000_000, unit: 'characters' }),
    }, { default: {} }),
    sources: list('Where a prompt’s sources stand that answers are held against, in place of the usual places: carriers, or beginnings of them, such as `messages[role=tool].content`.', text('A place.', { lengthMax: 200, pattern: SOURCE_PLACE, patternMeaning: 'a carrier such as documents or messages[role=tool].content' }), { countMax: 100, example: ['messages[role=tool].content', 'documents'] }),
    moderation_thresholds: custom('mapping', 'The score from which /v1/moderations flags a category, by its name; 0.5 where none is given.', readThresholds, { default: {} as Readonly<Record<string, number>>, schema: { type: 'object', propertyNames: { enum: MODERATION_CATEGORIES }, additionalProperties: { type: 'number', exclusiveMinimum: 0, maximum: 1 } } }),
  }, { default: {} }),
  notifications: mapping('Who is told of what is found after the fact, and of reviews that are overdue.', {
    webhook: mapping('An address that takes them as signed JSON.', {
      url: url('Where they are posted.', { schemes: ['http', 'https'], required: true, example: 'https://hooks.example.com/weir' }),
      secret: webhookSecret(),
    }),
  }),
  audit: mapping('The audit log.', {
    durability: choice('strict: an answer ends only when its entry is on disk; relaxed: within a tenth of a second.', DURABILITIES, { default: 'relaxed' }),
    dir: path('Where it is written; by default `audit` in data_dir.', { example: './data/audit' }),
    key_file: path('Private key that signs its checkpoints, made on the first start; by default `keys/audit.key` in data_dir. Keep it apart from copies of the log.', { example: './data/keys/audit.key' }),
    origin: text('Name of a new log among those of others, `<cluster>/<instance>`; by default `weir/` and the name of the host. A log keeps the name that it began with.', { lengthMax: LOG_NAME_CHARS_MAX, pattern: LOG_NAME, patternMeaning: 'names of letters, digits, `.`, `_` and `-`, with `/` between them', example: 'eu-1/support-bot-0' }),
    ship: mapping('Where the log is sent as it grows, entries and checkpoints as they are written: the control plane that keeps a copy of it; absent: nowhere.', {
      url: custom('URL', 'Its admin port.', readShipUrl, { required: true, example: 'https://weir.example.com:8081', schema: { type: 'string', pattern: '^(?:https?:|\\$\\{)' } }),
      token: text('A token made there with the role shipper.', { required: true, lengthMax: 4096, pattern: /^[\x21-\x7e]+$/, patternMeaning: 'a token without spaces', example: '${WEIR_SHIP_TOKEN}' }),
    }),
    master_key: text('Key of kept content, 32 bytes in base64 (`openssl rand -base64 32`), in place of a file.', { example: '${WEIR_MASTER_KEY:-}', lengthMax: 100, pattern: /^[A-Za-z0-9+/]{43}=$/, patternMeaning: '32 bytes in base64' }),
    master_key_file: path('File with that key, made when content is first kept; by default `keys/content.key` in data_dir. Keep it apart from copies of the content.', { example: './data/keys/content.key' }),
  }, { default: {} }),
  retention: mapping('How long what is kept stays; what passed it is removed within hours, beside the traffic. Revisions of policies, keys and tokens stay for ever.', {
    audit_days: retentionDays('entries of the audit log are', 'absent: for ever. Whole segments go, from the beginning, and the rest still verifies'),
    usage_days: retentionDays('hours of usage are', 'absent: for ever'),
    decisions_days: retentionDays('decisions can be searched, and are', 'absent: as long as entries of the audit log'),
    decision_counts_days: retentionDays('hours of counted decisions are', 'absent: for ever. Minutes are kept for 8 days at most'),
    labels_days: retentionDays('what was drawn for a residual-risk campaign and its labels, counted from the end of the campaign, are', 'absent: for ever. Reports of it stay'),
  }, { default: {} }),
  telemetry: mapping('What is seen from outside.', {
    log_level: choice('Least severe log line that is written.', ['debug', 'info', 'warn', 'error', 'silent'] as const, { default: 'info' }),
    semconv: choice('Names of the GenAI conventions: those of semantic-conventions 1.41, or those that are changed since and not released.', ['v1.41', 'genai-next'] as const, { default: 'v1.41' }),
    service_name: text('service.name of spans and metrics; by default OTEL_SERVICE_NAME, or weir.', { lengthMax: 255, example: 'weir' }),
    otlp_encoding: choice('How OTLP over HTTP is written; by default as OTEL_EXPORTER_OTLP_PROTOCOL says, or protobuf.', ['protobuf', 'json'] as const, { example: 'protobuf' }),
    traces: mapping('OpenTelemetry traces.', {
      exporter: choice('Where spans go.', ['none', 'otlp', 'console'] as const, { default: 'none' }),
      endpoint: url('OTLP over HTTP endpoint for exporter otlp; by default that of OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT.', { schemes: ['http', 'https'], example: 'http://127.0.0.1:4318/v1/traces' }),
      sample_ratio: number('Share of exchanges traced when the caller did not decide.', { default: 1, min: 0, max: 1 }),
      keep: list('What is traced besides, where the caller did not decide: what the policy blocked, what failed here or at the upstream, what took longer than slow_ms; 20 exchanges in a second at most. What is told of every exchange is held until it ends then, for some tenth of its CPU.', choice('A kind.', ['blocked', 'errors', 'slow'] as const), { default: [], countMax: 3, example: ['blocked', 'errors'] }),
      slow_ms: ms('How long a slow exchange takes at least.', 30_000),
    }, { default: {} }),
    metrics: mapping('Metrics.', {
      prometheus: flag('Serve /metrics on the admin port.', { default: true }),
      otlp: flag('Push over OTLP where the OTEL_EXPORTER_OTLP_* variables say; otlp_endpoint says so by itself.', { default: false }),
      otlp_endpoint: url('OTLP over HTTP endpoint to push to as well.', { schemes: ['http', 'https'], example: 'http://127.0.0.1:4318/v1/metrics' }),
      interval_ms: ms('Time between two pushes.', 60_000, 1000),
    }, { default: {} }),
  }, { default: {} }),
  redis: mapping('What replicas share: rate limits, and policies and keys from the store; absent or down: each process counts for itself, and goes on with the policies that it has.', {
    url: url('Where it listens.', { schemes: ['redis', 'rediss'], userinfo: true, required: true, example: 'redis://127.0.0.1:6379' }),
  }),
  store: mapping('Where policies, keys and usage of tenants are kept; a policy there counts in place of a file with the same id.', {
    url: url('sqlite: and a path in data_dir, which one process with the role control has for itself, or postgres: for several.', { schemes: ['sqlite', 'postgres', 'postgresql'], userinfo: true, default: 'sqlite:weir.db' }),
  }, { default: {} }),
  analytics,
  review: mapping('The review queue: what the action escalate asks people about, and what is drawn for them.', {
    deadlines: mapping('By when a person is to have decided an item, by severity.', {
      critical_ms: ms('Critical.', 300_000, 1000),
      high_ms: ms('High.', 3_600_000, 1000),
      medium_ms: ms('Medium.', DAY_MS, 1000),
      low_ms: whole('Low.', { default: 3 * DAY_MS, min: 1000, max: 30 * DAY_MS, unit: 'ms' }),
    }, { default: {} }),
    lease_ms: ms('How long a claimed item is its reviewer’s alone without being renewed.', 600_000, 10_000),
    breaks: mapping('When somebody who reviews is asked to have a break. The question cannot be switched off; a person may have it sooner.', {
      after_minutes: whole('After so long at it without a break.', { default: 60, ...BREAK_BOUNDS.afterMinutes, unit: 'minutes' }),
      after_severe_items: whole('After so many opened items of high or critical severity, or with violence or sex in them.', { default: 25, ...BREAK_BOUNDS.afterItems }),
      minutes: whole('How long a break is; to do nothing for so long is one.', { default: 10, ...BREAK_BOUNDS.minutes, unit: 'minutes' }),
    }, { default: {} }),
    double_blind_percent: whole('Of the items below critical, how many two people decide without each other; critical ones all are.', { default: 10, min: 0, max: 100 }),
    holds_max: whole('Requests that may wait for a person at once in one process, where their rule has a hold; those beyond take its `then` at once.', { default: 1_000, min: 0, max: 100_000 }),
    uncertain: mapping('Decisions that a score nearly made otherwise, or barely as they are, come in too, after the fact; absent: none. Conditions of rules need not say so.', {
      below: number('How far below a threshold a score is uncertain; never more than half way to 0.', { default: 0.1, min: 0, max: 1 }),
      above: number('How far above it; never more than half way to 1.', { default: 0.05, min: 0, max: 1 }),
      percent: number('Of those, how many come in.', { default: 100, min: 0, max: 100 }),
      per_hour_max: whole('Most of one tenant in an hour.', { default: 20, min: 1, max: 1_000_000 }),
    }),
    sample: mapping('Decisions that are drawn, whatever they were, for two people to check without each other and without the scores: of tenants that keep content (data.content) alone; absent: none.', {
      percent: number('Of all decisions, how many are drawn.', { default: 0.1, min: 0, max: 100 }),
      per_week_min: whole('Least number of a week, of all tenants together, if there is so much traffic; more are drawn while it is behind.', { default: 50, min: 0, max: 1_000_000 }),
      per_hour_max: whole('Most of one tenant in an hour.', { default: 20, min: 1, max: 1_000_000 }),
    }),
    appeals_per_hour_max: whole('Objections of one tenant in an hour.', { default: 100, min: 1, max: 1_000_000 }),
    capacity: mapping('Items that wait for a verdict at most. In a full queue critical ones and those that somebody waits for still come in; of others one stands for all alike; what was only drawn stays out. All is counted.', {
      open_max: whole('Of all tenants.', { default: 10_000, min: 1, max: 10_000_000 }),
      tenant_open_max: whole('Of one tenant.', { default: 2_000, min: 1, max: 10_000_000 }),
    }, { default: {} }),
    pager: mapping('PagerDuty (Events API v2) for critical items at once, and for high ones that nobody has when half of their time is over.', {
      routing_keys: list('Integration keys of who is asked, one after the other.', text('A key.', { lengthMax: 200, pattern: /^[\x21-\x7e]+$/, patternMeaning: 'a key without spaces' }), { required: true, countMin: 1, countMax: 10, example: ['${PAGERDUTY_KEY}'] }),
      url: url('Where events are sent.', { schemes: ['http', 'https'], default: 'https://events.pagerduty.com/v2/enqueue' }),
      escalate_ms: ms('Who does not take an item is followed by the next after this.', 600_000, 1000),
      heartbeat_url: url('Asked after each round in which nothing failed: what watches it notices when pages no longer leave.', { schemes: ['http', 'https'], example: 'https://heartbeats.example.com/weir' }),
    }),
  }, { default: {} }),
  risk: RISK,
  learn: LEARN,
  reports: REPORTS,
});

/** The configuration as read: checked, defaults filled in. Paths are as written until `load` resolves them. */
export type ReadConfig = NonNullable<TypeOf<typeof CONFIG>>;

type Upstream = ReadConfig['upstreams'][string] & { readonly provider: string };

/** The configuration as the program holds it: paths absolute, every upstream with its provider. Frozen. */
export interface Config extends Omit<ReadConfig, 'data_dir' | 'policies' | 'audit' | 'upstreams' | 'classifiers'> {
  readonly data_dir: string;
  readonly policies: readonly string[];
  readonly audit: ReadConfig['audit'] & { readonly dir: string; readonly key_file: string; readonly master_key_file: string; readonly origin: string };
  readonly upstreams: Readonly<Record<string, Upstream>>;
  readonly classifiers: readonly (NonNullable<ReadConfig['classifiers']>[number] & { readonly patternFiles: readonly PatternSource[] })[];
}

export type TenantConfig = Config['tenants'][number];
export type UpstreamConfig = Config['upstreams'][string];
export type ClassifierConfig = Config['classifiers'][number];

/** The reference, one row per key. */
export const CONFIG_KEYS: readonly KeyDoc[] = documentKeys(CONFIG as Shape<unknown>).map((row) => (countsAfterRestart(row.path) && row.type !== 'mapping' ? { ...row, description: `${row.description} A change counts after a restart.` } : row));

/** The configuration as JSON Schema, for editors. */
export function configSchema(): JsonSchema {
  return schemaOf(CONFIG as Shape<unknown>, { title: 'The configuration of Weir', environment: true });
}

/** Fills in what depends on where the file is. `dir` is the file's folder. */
export function resolveConfig(config: ReadConfig, dir: string, workingDir: string): Config {
  const dataDir = config.data_dir === undefined ? resolve(workingDir, 'data') : resolve(dir, config.data_dir);
  const upstreams: Record<string, Upstream> = Object.create(null);
  for (const [id, entry] of Object.entries(config.upstreams)) upstreams[id] = Object.freeze({ ...entry, provider: entry.provider ?? providerOf(new URL(entry.url).hostname) });
  return Object.freeze({
    ...config,
    data_dir: dataDir,
    admin: withAdminPaths(config.admin, dir),
    ...(config.analytics?.password_file === undefined ? {} : { analytics: Object.freeze({ ...config.analytics, password_file: resolve(dir, config.analytics.password_file) }) }),
    policies: Object.freeze((config.policies ?? ['policies']).map((entry) => (isAbsolute(entry) ? entry : resolve(dir, entry)))),
    audit: Object.freeze({
      ...config.audit,
      dir: config.audit.dir === undefined ? resolve(dataDir, 'audit') : resolve(dir, config.audit.dir),
      key_file: config.audit.key_file === undefined ? resolve(dataDir, 'keys/audit.key') : resolve(dir, config.audit.key_file),
      master_key_file: config.audit.master_key_file === undefined ? resolve(dataDir, 'keys/content.key') : resolve(dir, config.audit.master_key_file),
      origin: config.audit.origin ?? `weir/${hostname()}`,
    }),
    upstreams: Object.freeze(upstreams),
    reports: withReportPaths(config.reports, dir),
    risk: Object.freeze({ ...config.risk, campaigns: Object.freeze(config.risk.campaigns.map((entry) => Object.freeze({ ...entry, ...(entry.seed_file === undefined ? {} : { seed_file: resolve(dir, entry.seed_file) }) }))) }),
    classifiers: Object.freeze((config.classifiers ?? EMBEDDED_CLASSIFIERS).map((entry) => Object.freeze({
      ...entry,
      plugin: isPath(entry.plugin) ? resolve(dir, entry.plugin) : entry.plugin,
      options: withPaths(entry.options, dir) as ReadClassifier['options'],
      ...(entry.patterns === undefined ? {} : { patterns: Object.freeze(entry.patterns.map((named) => (isPath(named) ? resolve(dir, named) : named))) }),
      patternFiles: [],
    }))),
  });
}

function withAdminPaths(fields: ReadConfig['admin'], dir: string): ReadConfig['admin'] {
  const { tls, oidc: provider } = fields;
  return Object.freeze({
    ...fields,
    ...(tls === undefined ? {} : { tls: Object.freeze({ cert_file: resolve(dir, tls.cert_file!), key_file: resolve(dir, tls.key_file!) }) }),
    ...(provider?.client_secret_file === undefined ? {} : { oidc: Object.freeze({ ...provider, client_secret_file: resolve(dir, provider.client_secret_file) }) }),
  });
}

function withReportPaths(reports: ReadConfig['reports'], dir: string): ReadConfig['reports'] {
  const { weekly } = reports;
  return weekly?.directory === undefined ? reports : Object.freeze({ ...reports, weekly: Object.freeze({ ...weekly, directory: resolve(dir, weekly.directory) }) });
}

/** Options of a plugin, where text that begins with `./` or `../` is a path: a plugin does not know where the file is. */
function withPaths(value: unknown, dir: string): unknown {
  if (typeof value === 'string') return /^\.\.?\//.test(value) ? resolve(dir, value) : value;
  if (Array.isArray(value)) return Object.freeze(value.map((item) => withPaths(item, dir)));
  return isMapping(value) ? Object.freeze(Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withPaths(item, dir)]))) : value;
}

/** What runs when `classifiers` is absent. */
export const EMBEDDED_CLASSIFIERS: readonly ReadClassifier[] = Object.freeze(['pii', 'toxicity', 'prompt-injection', 'jailbreak', 'grounding', 'brand-safety'].map(embedded));

/** As an entry that says no more. */
function embedded(plugin: string): ReadClassifier {
  return readShape(classifier, { file: '', value: { id: plugin, plugin }, issues: [], at: () => ({ line: 1, column: 1 }) }).value!;
}

/** A path has a slash or an ending; the name of a set has neither. */
export function isPath(named: string): boolean {
  return /[/\\]|\.(?:ya?ml|json)$/.test(named);
}

/** Host suffix to OpenTelemetry's well-known provider name. An unknown host speaks OpenAI's dialect. */
const PROVIDERS: readonly (readonly [suffix: string, provider: string])[] = [
  ['openai.azure.com', 'azure.ai.openai'],
  ['services.ai.azure.com', 'azure.ai.inference'],
  ['anthropic.com', 'anthropic'],
  ['amazonaws.com', 'aws.bedrock'],
  ['generativelanguage.googleapis.com', 'gcp.gemini'],
  ['aiplatform.googleapis.com', 'gcp.vertex_ai'],
  ['groq.com', 'groq'],
  ['mistral.ai', 'mistral_ai'],
  ['deepseek.com', 'deepseek'],
  ['perplexity.ai', 'perplexity'],
  ['x.ai', 'x_ai'],
  ['cohere.com', 'cohere'],
  ['cohere.ai', 'cohere'],
  ['moonshot.ai', 'moonshot_ai'],
];

function providerOf(hostname: string): string {
  return PROVIDERS.find(([suffix]) => hostname === suffix || hostname.endsWith(`.${suffix}`))?.[1] ?? 'openai';
}

// Readers for what no plain shape says.

function readUpstreamUrl(value: unknown, site: Site): string | undefined {
  const address = url('', { schemes: ['http', 'https'] }).read(value, site);
  if (address === undefined) return undefined;
  if (address.includes('?')) return site.refuse('a base URL has no query');
  return address.replace(/\/+$/, '');
}

/** Plain HTTP to a provider on this machine alone. */
function readIssuer(value: unknown, site: Site): string | undefined {
  const address = url('', { schemes: ['http', 'https'] }).read(value, site);
  if (address === undefined) return undefined;
  const { protocol, hostname } = new URL(address);
  return protocol === 'https:' || isLoopback(hostname.replace(/^\[|\]$/g, '')) ? address : site.refuse('an issuer that is not on this machine has an https: URL');
}

/** By plain HTTP the token, which lets its holder send entries, could be read on the way. */
function readShipUrl(value: unknown, site: Site): string | undefined {
  const address = url('', { schemes: ['http', 'https'] }).read(value, site);
  if (address === undefined) return undefined;
  const { protocol, hostname: to, search } = new URL(address);
  if (search !== '') return site.refuse('a base URL has no query');
  if (protocol === 'http:' && !isLoopback(to.replace(/^\[|\]$/g, ''))) site.warn('the token is sent by plain HTTP to another machine', 'use https: unless the network protects it');
  return address.replace(/\/+$/, '');
}

function readContextName(value: unknown, site: Site): string | undefined {
  if (typeof value !== 'string' || !/^[a-z][a-z0-9.-]{0,63}$/.test(value)) return site.refuse('expected a name of lower-case letters, digits, `.` and `-`, since headers have no case');
  return KNOWN_CONTEXT.includes(value) ? site.refuse(`${value} is known without the caller`, 'give the header another name') : value;
}

function readWorkers(value: unknown, site: Site): number | undefined {
  const workers = whole('', { min: 1, max: 256 }).read(value, site);
  if (workers !== undefined && workers > 1) site.warn('more than one worker is not available yet', 'one process serves the port until then');
  return workers;
}

function readThresholds(value: unknown, site: Site): Readonly<Record<string, number>> | undefined {
  if (!isMapping(value)) return site.refuse(`expected category: score, got ${kindOf(value)}`);
  const thresholds: Record<string, number> = {};
  for (const [category, score] of Object.entries(value)) {
    if (!(MODERATION_CATEGORIES as readonly string[]).includes(category)) site.child(category).refuse(`no category ${category}`, meant(category, MODERATION_CATEGORIES), 'key');
    else if (typeof score !== 'number' || !(score > 0 && score <= 1)) site.child(category).refuse('a threshold is a number above 0 and at most 1');
    else thresholds[category] = score;
  }
  return Object.freeze(thresholds);
}

function readPolicies(value: unknown, site: Site): readonly string[] | undefined {
  const entry = text('', { lengthMax: 4096 });
  if (typeof value === 'string') {
    const single = entry.read(value, site);
    return single === undefined ? undefined : Object.freeze([single]);
  }
  if (!Array.isArray(value)) return site.refuse(`expected a path or a list of paths, got ${kindOf(value)}`);
  return list('', entry, { countMax: 10_000, required: true }).read(value, site);
}
