/**
 * Documentation is tested both ways: what the code has is in README.md, and nothing is there that the code has not.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import t from 'tap';
import { COMMANDS } from '../src/cli/commands.ts';
import { CONFIG_KEYS } from '../src/config/schema.ts';
import { ERROR_CODES } from '../src/contract/errors.ts';
import { METRICS } from '../src/telemetry/metrics.ts';
import { DOCUMENTS, markedTables, OWN_HEADERS, README, renderSchema, renderTable, SCHEMAS, withTables } from './helpers/docs.ts';

const ROOT = join(import.meta.dirname, '..');

t.test('a table is rendered, found again, and replaced in place', async (t) => {
  const rows = [['a', 'b'], ['x|y', '1\n2']];
  t.equal(renderTable(rows), '| a | b |\n| --- | --- |\n| x\\|y | 1 2 |');
  const markdown = 'before\n<!-- table:one -->\nold\n<!-- /table -->\nafter\n';
  const written = withTables(markdown, { one: rows });
  t.equal(markedTables(written).get('one'), renderTable(rows));
  t.equal(withTables(written, { one: rows }), written);
  t.throws(() => withTables(markdown, { two: rows }), /marks a table one/);
});

for (const { path, tables } of DOCUMENTS) {
  t.test(`${relative(ROOT, path)} holds every table, as the code has it`, { skip: existsSync(path) ? false : 'it is not there' }, async (t) => {
    const marked = markedTables(readFileSync(path, 'utf8'));
    const all = await tables();
    t.same([...marked.keys()].sort(), Object.keys(all).sort(), 'all tables are marked, and no other');
    for (const [name, rows] of Object.entries(all)) t.equal(marked.get(name), renderTable(rows), `${name}: run npm run docs`);
  });
}

for (const { path, schema, ...one } of SCHEMAS) {
  t.test(`${relative(ROOT, path)} is what the declarations say`, async (t) => {
    t.ok(readFileSync(path, 'utf8') === renderSchema(schema()), 'run npm run docs');
    const folder = dirname(path);
    for (const name of 'files' in one ? one.files : readdirSync(folder).filter((entry) => entry.endsWith('.yaml'))) {
      t.equal(readFileSync(join(folder, name), 'utf8').split('\n', 1)[0], `# yaml-language-server: $schema=${basename(path)}`, `${name} tells editors of it`);
    }
  });
}

t.test('README.md names nothing that is gone', { skip: existsSync(README) ? false : 'there is no README.md' }, async (t) => {
  const text = readFileSync(README, 'utf8');
  const names = (pattern: RegExp): string[] => [...new Set([...text.matchAll(pattern)].map((match) => match[1]))];
  t.same(names(/\b(weir_[a-z_]+_(?:total|seconds|info|success|characters|exchanges))\b/g).filter((name) => !Object.hasOwn(METRICS, name)), [], 'metrics');
  t.same(names(/(?:^|`|\n)(?:npx weir|npm run weir --|weir) ([a-z]+)\b/g).filter((name) => !Object.hasOwn(COMMANDS, name)), [], 'commands');
  t.same(names(/\b(x-weir-[a-z-]*[a-z])\b/g).filter((name) => !Object.hasOwn(OWN_HEADERS, name) && !name.startsWith('x-weir-context')), [], 'headers');
  t.same(names(/"code":\s*"([a-z_]+)"/g).filter((code) => !Object.hasOwn(ERROR_CODES, code)), [], 'error codes');
});

t.test('own headers are those that the proxy sets', async (t) => {
  const proxy = readdirSync(join(ROOT, 'src/proxy')).map((name) => readFileSync(join(ROOT, 'src/proxy', name), 'utf8')).join('\n');
  const set = new Set([...proxy.matchAll(/'(x-weir-[a-z-]+[a-z])'/g)].map((match) => match[1]));
  t.same([...set].sort(), Object.keys(OWN_HEADERS).sort());
});

t.test('config/weir.yaml names every key with its description', async (t) => {
  const text = readFileSync(join(ROOT, 'config/weir.yaml'), 'utf8');
  t.same(CONFIG_KEYS.filter(({ path, description }) => !text.includes(`${path.split(/[.[\]]+/).filter(Boolean).at(-1)}:`) && !text.includes(description)).map(({ path }) => path), []);
  t.same(CONFIG_KEYS.filter(({ description }) => !text.includes(description)).map(({ path }) => path), []);
});

t.test('every command has a summary of one line and a help that names its exit codes', async (t) => {
  for (const [name, load] of Object.entries(COMMANDS)) {
    const command = await load();
    t.equal(command.name, name);
    t.match(command.summary, /^[a-z][^\n]{10,80}[^.]$/);
    t.match(command.help, new RegExp(`^usage: weir ${name}`));
    t.match(command.help, /exit code/);
  }
});

t.test('every error code says in lower case what happened and what to do', async (t) => {
  for (const [code, { status, meaning, next }] of Object.entries(ERROR_CODES)) {
    t.ok(status >= 400 && status < 600 && /^[a-z][a-z0-9_]*$/.test(code));
    t.match(meaning, /^(?:[a-z]|JSON|WebSocket|HTTP)/);
    t.notMatch(`${meaning}${next}`, /\.$/);
  }
});
