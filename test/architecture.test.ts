/**
 * The house rules that a machine can check: who may import whom, which package has which door, what pure folders may
 * not touch, no cycles, no barrels, a header on every file. Reads import lines; it runs nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import t from 'tap';

const ROOT = join(import.meta.dirname, '..');

/** For each part of the house, the parts it may import besides itself. `config` may always be imported for its types. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  match: ['contract', 'text'],
  text: ['contract'],
  model: ['contract', 'text'],
  dialect: ['contract', 'text'],
  policy: ['contract', 'config'],
  screen: ['contract', 'match', 'text', 'policy'],
  stream: ['contract', 'match', 'text', 'dialect', 'screen'],
  tenant: ['contract', 'store'],
  audit: ['contract', 'store'],
  store: ['contract'],
  telemetry: ['contract'],
  notify: ['contract'],
  config: ['contract', 'match', 'policy'],
  proxy: ['contract', 'stream', 'screen', 'policy', 'dialect', 'text', 'tenant', 'audit'],
  review: ['contract', 'store', 'policy', 'audit', 'risk'],
  risk: ['contract', 'store', 'model'],
  learn: ['contract', 'store', 'model', 'text'],
  report: ['contract', 'store', 'risk', 'review', 'audit', 'screen'],
  admin: ['contract', 'store', 'review', 'risk', 'learn', 'report', 'policy', 'audit', 'tenant'],
  console: ['contract', 'admin', 'review', 'risk', 'learn', 'report', 'policy', 'audit', 'tenant'],
  plugins: ['contract', 'match', 'text', 'model'],
  runtime: ['contract', 'config', 'screen', 'policy'],
  distribution: ['contract', 'policy', 'store'],
  rehearsal: ['contract', 'policy', 'screen', 'stream', 'dialect', 'text'],
  reporting: ['contract', 'admin', 'audit', 'config', 'notify', 'report', 'store'],
  retention: ['contract', 'audit', 'store'],
  erasing: ['contract', 'audit', 'store'],
  expiring: ['contract', 'config', 'store'],
  reviewing: ['contract', 'admin', 'audit', 'notify', 'review', 'store'],
  holding: ['contract', 'review', 'reviewing', 'store'],
  population: ['contract', 'audit', 'screen', 'risk'],
  campaigning: ['contract', 'admin', 'audit', 'report', 'review', 'risk', 'screen', 'store'],
  declaring: ['contract', 'audit', 'screen'],
  learning: ['contract', 'admin', 'config', 'learn', 'proving', 'shadowing', 'store', 'training'],
  training: [],
  shadowing: ['contract', 'config', 'learn', 'store'],
  'shadow-worker': ['contract', 'config', 'screen'],
  proving: ['contract', 'config', 'policy', 'rehearsal', 'runtime', 'screen'],
  house: ['contract', 'admin', 'config', 'distribution', 'policy', 'rehearsal', 'runtime', 'store'],
  app: ['*'],
  cli: ['*'],
  main: ['cli', 'contract'],
};

/** What `*` does not include: the entrances, which only the one outside them may use. */
const ENTRANCES: Readonly<Record<string, readonly string[]>> = {
  runtime: ['house', 'proving', 'app', 'cli'], distribution: ['house', 'app', 'cli'], rehearsal: ['house', 'proving', 'app', 'cli'], house: ['app'],
  reporting: ['app', 'cli'], retention: ['app'], erasing: ['app', 'cli'], reviewing: ['app', 'holding'], holding: ['app'], campaigning: ['app', 'cli'], population: ['app', 'cli'], declaring: ['app'],
  learning: ['app', 'cli'], proving: ['learning', 'cli'], shadowing: ['learning'], training: ['learning'], 'shadow-worker': [], app: ['cli'], cli: ['main'], main: [],
};

/** Folders and files without I/O, clock or chance: they take these as arguments. `hash` computes, so node:crypto is allowed there. */
const PURE: readonly RegExp[] = [
  /^src\/contract\//, /^src\/match\//, /^src\/text\//, /^src\/model\//, /^src\/dialect\//, /^src\/policy\/(condition|parse|rules|decide|hold|stricter|explain|diff|explained|truth|time|recorded|near|cases|seal|source)\.ts$/,
  /^src\/audit\/(checkpoint|entry|tree|verify)\.ts$/, /^src\/report\/campaign\/(deviations|document|findings|methods|tally)\.ts$/, /^src\/report\/weekly\/(csv|document|dsa|facts|figures|findings|methods|tally|trends|weeks)\.ts$/, /^src\/screen\/population\.ts$/, /^src\/risk\/(guide|special|intervals|plan|proposal|estimate|calibrate|sprt|peeking|trend|quality|course|nearest|status)\.ts$/, /^src\/review\/(agreement|drawn|held|intake|overrides|stage)\.ts$/, /^src\/tenant\/gcra\.ts$/, /^src\/config\/(nearest|shape|json-schema|combine)\.ts$/, /^src\/screen\/(answer|breaker|canary|combine|shadow)\.ts$/,
];
const PURE_MODULES: readonly string[] = ['node:crypto', 'node:buffer', 'node:string_decoder', 'node:diagnostics_channel'];
const IMPURE_GLOBALS = /\b(?:Date\.now\(|new Date\(\)|Math\.random\(|setTimeout\(|setInterval\(|setImmediate\(|process\.|fetch\(|performance\.|randomUUID|randomBytes|randomInt)/;

/** One third-party package, one door: the only files of src and plugins that may import it. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  'http-proxy': ['src/proxy/passthrough.ts'],
  undici: ['src/proxy/upstream.ts', 'plugins/http/client.ts'],
  ws: ['src/proxy/socket.ts'],
  'eventsource-parser': ['src/stream/sse.ts'],
  'js-yaml': ['src/config/yaml.ts'],
  ioredis: ['src/store/redis.ts', 'src/store/redis-messages.ts'],
  '@clickhouse/client': ['src/store/clickhouse.ts'],
  pg: ['src/store/postgres.ts', 'src/store/postgres-messages.ts'],
  'node:sqlite': ['src/store/sqlite.ts'],
  pino: ['src/telemetry/log.ts'],
  fastify: ['src/admin/server.ts'],
  'openid-client': ['src/admin/oidc.ts'],
  'libphonenumber-js': ['plugins/pii/validators.ts'],
  '@faker-js/faker': ['plugins/pii/train/identities.ts'],
  '@grpc/grpc-js': ['plugins/grpc/channel.ts', 'src/cli/classifier/server.ts'],
  '@grpc/proto-loader': ['plugins/grpc/wire.ts'],
  'onnxruntime-common': ['plugins/onnx/inference.ts'],
  '@huggingface/tokenizers': ['plugins/onnx/inference.ts'],
  // Four parts of one house: spans as records, metrics, series of our own, and the way out.
  '@opentelemetry/*': ['src/telemetry/spans.ts', 'src/telemetry/metrics.ts', 'src/telemetry/series.ts', 'src/telemetry/otlp.ts'],
};

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
  /** Path from the root, for a file of ours. */
  readonly target?: string;
}

interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** The text without comments and strings, where code is looked for. */
  readonly code: string;
  readonly imports: readonly Import[];
}

function filesUnder(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
    .sort();
}

const IMPORT = /^(?:import|export)\s+(type\s+)?([^'";]*?from\s*)?['"]([^'"]+)['"]|(?<![\w.])import\(\s*['"]([^'"]+)['"]\s*\)/gm;

function readSource(path: string): SourceFile {
  return parseSource(path, readFileSync(join(ROOT, path), 'utf8'));
}

function parseSource(path: string, text: string): SourceFile {
  const imports = [...text.matchAll(IMPORT)].map((match): Import => {
    const specifier = match[3] ?? match[4];
    const clause = match[2] ?? '';
    const named = /^\{([^}]*)\}\s*from\s*$/.exec(clause)?.[1].split(',').map((part) => part.trim()).filter(Boolean);
    const typeOnly = match[1] !== undefined || (named !== undefined && named.length > 0 && named.every((part) => part.startsWith('type ')));
    return { from: path, specifier, typeOnly, target: targetOf(path, specifier) };
  });
  return { path, text, code: withoutComments(text), imports };
}

function targetOf(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return normalize(join(dirname(path), specifier));
  return specifier.startsWith('#') ? `src/${specifier.slice(1)}` : undefined;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1').replace(/'(?:[^'\\\n]|\\.)*'/g, "''");
}

/** `src/proxy/server.ts` → `proxy`; `src/app.ts` → `app`; `plugins/pii/index.ts` → `plugins`. */
function partOf(path: string): string {
  const [top, second] = path.split('/');
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

const sources = [...filesUnder('src'), ...filesUnder('plugins')].map(readSource);
const tests = filesUnder('test').map(readSource);
const imports = sources.flatMap((source) => source.imports);

function none(t: { same(found: unknown, wanted: unknown, message: string): unknown }, found: readonly string[], message: string): void {
  t.same([...new Set(found)].sort(), [], message);
}

t.test('the reader sees every way to import', async (t) => {
  const text = `import a from 'pino';\nimport {\n  b,\n  type C,\n} from '../x/y.ts';\nimport type { D } from '#match/set.ts';\nimport { type E, type F } from './e.ts';\nimport 'undici';\nexport { g } from './g.ts';\nconst h = await import('./h.ts');\n`;
  t.same(parseSource('src/x/z.ts', text).imports.map(({ specifier, typeOnly, target }) => [specifier, typeOnly, target]), [
    ['pino', false, undefined], ['../x/y.ts', false, 'src/x/y.ts'], ['#match/set.ts', true, 'src/match/set.ts'], ['./e.ts', true, 'src/x/e.ts'],
    ['undici', false, undefined], ['./g.ts', false, 'src/x/g.ts'], ['./h.ts', false, 'src/x/h.ts'],
  ]);
  t.notMatch(withoutComments("// Date.now()\n/* process.exit() */ const a = 'Date.now()';"), IMPURE_GLOBALS);
  t.match(withoutComments('const now = Date.now();'), IMPURE_GLOBALS);
});

t.test('arrows point down only', async (t) => {
  const strangers = sources.map(({ path }) => partOf(path)).filter((part) => !Object.hasOwn(MAY_IMPORT, part));
  none(t, strangers, 'every part of the house is in the table');
  const wrong = imports.filter(({ from, target, typeOnly }) => {
    if (target === undefined) return false;
    const [part, other] = [partOf(from), partOf(target)];
    if (part === other || target === 'package.json') return false;
    if (typeOnly && other === 'config') return false;
    const allowed = MAY_IMPORT[part] ?? [];
    return !(allowed.includes(other) || (allowed.includes('*') && !Object.hasOwn(ENTRANCES, other)) || ENTRANCES[other]?.includes(part));
  });
  none(t, wrong.map(({ from, target }) => `${from} imports ${target}`), 'nobody imports what the table does not allow');
});

t.test('a test does not start the process', async (t) => {
  const wrong = tests.flatMap((test) => test.imports).filter(({ target }) => target === 'src/main.ts');
  none(t, wrong.map(({ from }) => from), 'main is run, not imported');
});

t.test('one package, one door', async (t) => {
  const packages = imports.filter(({ target, specifier }) => target === undefined && (!specifier.startsWith('node:') || specifier === 'node:sqlite'));
  const wrong = packages.filter(({ from, specifier }) => {
    const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0];
    const doors = DOORS[name] ?? DOORS[`${name.split('/')[0]}/*`];
    return doors === undefined || !doors.includes(from);
  });
  none(t, wrong.map(({ from, specifier }) => `${from} imports ${specifier}`), 'packages are imported through their doors, and each has one');
  const bare = imports.filter(({ specifier }) => builtinModules.includes(specifier) && !specifier.startsWith('node:'));
  none(t, bare.map(({ from, specifier }) => `${from} imports ${specifier} without node:`), 'modules of Node are named with node:');
  const declared = Object.keys((JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }).dependencies);
  const undoored = declared.filter((name) => DOORS[name] === undefined && DOORS[`${name.split('/')[0]}/*`] === undefined);
  none(t, undoored, 'every dependency has a door');
});

t.test('pure folders take clock, chance and I/O as arguments', async (t) => {
  const pure = sources.filter(({ path }) => PURE.some((pattern) => pattern.test(path)));
  t.ok(pure.length > 10);
  const modules = pure.flatMap((source) => source.imports).filter(({ specifier, typeOnly }) => specifier.startsWith('node:') && !typeOnly && !PURE_MODULES.includes(specifier));
  none(t, modules.map(({ from, specifier }) => `${from} imports ${specifier}`), 'no modules with I/O');
  const globals = pure.flatMap(({ path, code }) => code.split('\n').filter((line) => IMPURE_GLOBALS.test(line)).map((line) => `${path}: ${line.trim()}`));
  none(t, globals, 'no clock, chance or process');
});

t.test('no cycles', async (t) => {
  const graph = new Map(sources.map(({ path, imports: own }) => [path, own.filter(({ target, typeOnly }) => target !== undefined && !typeOnly).map(({ target }) => target!)]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
    else if (!done.has(path)) {
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    }
  };
  for (const path of graph.keys()) visit(path, []);
  none(t, cycles, 'no file reaches itself through its imports');
});

t.test('every file is written as the house writes', async (t) => {
  const all = [...sources, ...tests];
  none(t, all.filter(({ text }) => !/^(?:#!.*\n)?\/\*\*[\s\S]+?\*\/\n/.test(text)).map(({ path }) => path), 'a file begins with its header');
  none(t, all.filter(({ code, path }) => /^export default/m.test(code) && !/^plugins\/[^/]+\/index\.ts$/.test(path)).map(({ path }) => path), 'default exports stand in plugins only');
  none(t, sources.filter(({ code }) => /^export \* from/m.test(code)).map(({ path }) => path), 'no barrels');
  none(t, all.filter(({ path }) => /(?:^|\/)(?:utils?|helpers?|common|misc)\.ts$/.test(path)).map(({ path }) => path), 'no utils');
  const relative = all.flatMap((source) => source.imports).filter(({ target }) => target !== undefined && !/\.(?:ts|json)$/.test(target));
  none(t, relative.map(({ from, specifier }) => `${from} imports ${specifier}`), 'imports name the file with its extension');
});

t.test('the path knows nothing of telemetry', async (t) => {
  const core = ['proxy', 'stream', 'screen', 'policy', 'dialect', 'match', 'text', 'tenant', 'audit', 'contract'];
  const wrong = imports.filter(({ from, specifier }) => core.includes(partOf(from)) && /opentelemetry|pino|telemetry\//.test(specifier));
  none(t, wrong.map(({ from, specifier }) => `${from} imports ${specifier}`), 'the core publishes, telemetry subscribes');
});
