/**
 * The JSON Schemas for editors, held against the readers they describe by a validator of JSON Schema: what is shipped is
 * valid, what a reader refuses in a single key is refused, and what is refused there no reader takes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import t from 'tap';
import { configSchema, CONFIG } from '../../src/config/schema.ts';
import { taxonomySchema } from '../../src/config/taxonomy.ts';
import { schemaOf } from '../../src/config/json-schema.ts';
import { readWithEnvironment } from '../../src/config/environment.ts';
import { choice, custom, free, mapping, readShape, text, whole, type Shape } from '../../src/config/shape.ts';
import { readYaml } from '../../src/config/yaml.ts';
import { parsePolicy, policySchema } from '../../src/policy/parse.ts';

const CONFIG_DIR = join(import.meta.dirname, '../../config');
const ajv = new Ajv({ unicodeRegExp: false, validateFormats: false, allowUnionTypes: true, strictRequired: false });
const [isPolicy, isConfig, isTaxonomy] = [ajv.compile(policySchema()), ajv.compile(configSchema()), ajv.compile(taxonomySchema())];

const read = (source: string): unknown => readYaml(source, 'x.yaml', undefined).value;

t.test('every file that comes with Weir is valid', async (t) => {
  const policies = readdirSync(join(CONFIG_DIR, 'policies')).filter((name) => name.endsWith('.yaml'));
  t.ok(policies.length >= 6);
  for (const name of policies) {
    t.ok(isPolicy(read(readFileSync(join(CONFIG_DIR, 'policies', name), 'utf8'))), `${name} ${JSON.stringify(isPolicy.errors)}`);
  }
  t.ok(isTaxonomy(read(readFileSync(join(CONFIG_DIR, 'taxonomy.yaml'), 'utf8'))), JSON.stringify(isTaxonomy.errors));
  for (const name of readdirSync(CONFIG_DIR).filter((entry) => entry.endsWith('.yaml') && entry !== 'taxonomy.yaml')) {
    t.ok(isConfig(read(readFileSync(join(CONFIG_DIR, name), 'utf8'))), `${name} ${JSON.stringify(isConfig.errors)}`);
  }
});

const RULE = '{ id: r, when: { score: pii.*, gte: 0.5 }, action: block }';
const when = (condition: string): string => `policy: p\nrules: [ { id: r, when: ${condition}, action: block } ]`;

const policies: readonly (readonly [source: string, valid: boolean])[] = [
  ['policy: p', true],
  [`policy: p\nrules: [ ${RULE} ]`, true],
  [when('{ all: [ { any: [ { not: { context: a.b, eq: true } } ] }, { score: "*.hate", exists: false } ] }'), true],
  [when('{ classifier: pii, category: EMAIL, operator: gte, threshold: 0.5 }'), true],
  [when('{ score: a.b, between: [0.1, 0.2] }'), true],
  [when('{ context: time.weekday, between: [monday, friday] }'), true],
  ['policy: p\nstream: { window: 200 }', true],
  ['policy: p\ncases: [ { name: c, direction: input, scores: { a.b: unknown, c.d: 0.5 }, expect: { action: allow } } ]', true],
  ['policy: p\npattern_sets: [finance]\npatterns: [ { id: a, literal: [x, y] }, { id: b, literal: z }, { id: c, regex: "a+" } ]', true],
  ['{}', false],
  ['[]', false],
  ['policy: p\nrulez: []', false],
  ['policy: a b', false],
  ['policy: p\nrules: {}', false],
  ['policy: p\ndefault_action: redact', false],
  ['policy: p\nstream: { window: 0 }', false],
  ['policy: p\nstream: { window: paragraph }', false],
  ['policy: p\npattern_sets: [finances]', false],
  ['policy: p\nrules: [ { id: r, when: { context: a, eq: 1 }, action: blok } ]', false],
  ['policy: p\nrules: [ { id: r, action: block } ]', false],
  [when('{}'), false],
  [when('{ score: a.b }'), false],
  [when('{ score: ab, gte: 0.5 }'), false],
  [when('{ score: a.b, gte: -0.1 }'), false],
  [when('{ score: a.b, gte: 1.1 }'), false],
  [when('{ score: a.b, gte: "0.5" }'), false],
  [when('{ score: a.b, gte: 0.5, lt: 0.7 }'), false],
  [when('{ score: a.b, between: [0.5] }'), false],
  [when('{ all: [] }'), false],
  [when('{ not: [] }'), false],
  [when('{ context: "a b", eq: 1 }'), false],
  ['policy: p\ncases: [ { name: c, direction: both, text: x, expect: { action: allow } } ]', false],
  ['policy: p\ncases: [ { name: c, direction: input, scores: { a.b: 2 }, expect: { action: allow } } ]', false],
  ['policy: p\nrules: [ { id: r, when: { context: a, eq: 1 }, action: escalate, hold: { for: 30, then: block } } ]', false],
];

t.test('a policy is valid to an editor and to Weir alike', async (t) => {
  for (const [source, valid] of policies) {
    t.equal(isPolicy(read(source)), valid, `${source} ${JSON.stringify(isPolicy.errors?.at(-1))}`);
    t.equal(parsePolicy(source, 'p.yaml').policy !== undefined, valid, source);
  }
});

const SMALL = 'upstreams: { up: { url: "https://api.example.com/v1" } }\ntenants: [ { id: a, policy: p, upstream: up } ]\n';

const configs: readonly (readonly [more: string, valid: boolean])[] = [
  ['', true],
  ['proxy: { port: 9000, opaque: { image: refuse } }', true],
  ['proxy: { port: "${PORT:-9000}", unknown_endpoints: "${UNKNOWN:-pass}" }', true],
  ['classifiers: [ { id: mine, plugin: ./mine.ts, whatever: { it: [takes] } } ]', true],
  ['policies: [a, b]', true],
  ['policies: a', true],
  ['screening: { moderation_thresholds: { hate: 0.4 }, combine: [ { category: c, method: max, of: [a.b, c.d] } ] }', true],
  ['proxi: {}', false],
  ['proxy: { port: 70000 }', false],
  ['proxy: { port: "9000" }', false],
  ['proxy: { opaque: { image: perhaps } }', false],
  ['policies: 7', false],
  ['screening: { moderation_thresholds: { hat: 0.4 } }', false],
  ['screening: { moderation_thresholds: { hate: 0 } }', false],
  ['classifiers: [ { id: mine } ]', false],
];

t.test('a configuration is valid to an editor and to Weir alike', async (t) => {
  for (const [more, valid] of configs) {
    t.equal(isConfig(read(SMALL + more)), valid, `${more} ${JSON.stringify(isConfig.errors?.at(-1))}`);
    t.equal(readShape(CONFIG, readWithEnvironment(SMALL + more, 'x.yaml', {})).value !== undefined, valid, more);
  }
  t.notOk(isConfig(read('upstreams: {}\ntenants: []')), 'at least one of each');
});

t.test('what a shape says of itself', async (t) => {
  const shape = mapping('All.', { a: whole('A.', { min: 1, max: 2, default: 1, unit: 'ms' }), b: text('', { required: true, lengthMax: 3 }), c: free('Free.'), d: custom('x', 'Own.', (value) => value), e: choice('E.', ['x', 'y'] as const) }, { open: true }) as Shape<unknown>;
  t.same(schemaOf(shape, { title: 'T' }), {
    $schema: 'http://json-schema.org/draft-07/schema#', title: 'T', description: 'All.', type: 'object', additionalProperties: true, required: ['b'],
    properties: {
      a: { description: 'A. In ms.', default: 1, type: 'integer', minimum: 1, maximum: 2 }, b: { type: 'string', minLength: 1, maxLength: 3 }, c: { description: 'Free.', type: 'object' }, d: { description: 'Own.' }, e: { description: 'E.', enum: ['x', 'y'] },
    },
  });
  t.match(schemaOf(shape, { title: 'T', environment: true, definitions: { other: {} } }), {
    definitions: { other: {}, from_environment: { type: 'string' } },
    properties: { a: { description: 'A. In ms.', anyOf: [{ type: 'integer' }, { $ref: '#/definitions/from_environment' }] }, c: { type: 'object' }, d: { description: 'Own.' } },
  });
});
