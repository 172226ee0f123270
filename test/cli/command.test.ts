/**
 * The command line as a caller meets it: parsing, exit codes, help, the process under another Node.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands.ts';
import { didYouMean, parseCall, UsageError } from '../../src/cli/command.ts';
import { countResults, summaryLine } from '../helpers/summary.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

function weir(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 20_000 });
}

t.test('options and operands', async (t) => {
  const table = { config: 'value', context: 'list', json: 'flag' } as const;
  t.same(parseCall([], table, 1), { options: { config: undefined, context: [], json: false }, operands: [] });
  t.same(parseCall(['-', '--config=a', '--context', 'x=1', '--json', '--context', 'y=-'], table, 1), { options: { config: 'a', context: ['x=1', 'y=-'], json: true }, operands: ['-'] });
  t.same(parseCall(['--', '--json'], table, 1).operands, ['--json']);
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--conifg', 'a'], /unknown option --conifg; did you mean --config\?/], [['--zebra'], /unknown option --zebra$/], [['-x'], /unknown option -x/], [['--constructor'], /unknown option/],
    [['--config'], /--config needs a value/], [['--config', '--json'], /--config needs a value/], [['--json=1'], /--json takes no value/],
    [['--config', 'a', '--config', 'b'], /given twice/], [['one', 'two'], /unexpected argument "two"/],
  ];
  for (const [args, message] of wrong) {
    try {
      parseCall(args, table, 1);
      t.fail(args.join(' '));
    } catch (error) {
      t.ok(error instanceof UsageError);
      t.match((error as Error).message, message);
    }
  }
  t.equal(didYouMean('strat', ['start', 'demo']), '; did you mean start?');
  t.equal(didYouMean('frobnicate', ['start', 'demo']), '');
});

t.test('the program: version, list, help, wrong calls', async (t) => {
  t.match(weir('--version'), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/, stderr: '' });
  const list = weir();
  t.equal(list.status, 0);
  for (const name of Object.keys(COMMANDS)) t.match(list.stdout, new RegExp(`\n  ${name} +[a-z]`));
  t.match(weir('strat'), { status: 2, stdout: '', stderr: /unknown command "strat"; did you mean start\?/ });
  t.match(weir('constructor'), { status: 2 });
  t.match(weir('start', '--help'), { status: 0, stdout: /^usage: weir start/ });
  t.match(weir('start', '--frob'), { status: 2, stderr: /weir start: unknown option --frob/ });
  t.match(weir('screen', '--context', 'novalue', 'text'), { status: 2, stderr: /KEY=VALUE/ });
});

t.test('npm runs the program with the Node of the lock file, whatever the machine has', { skip: process.platform === 'win32' }, async (t) => {
  const version = execFileSync('npm', ['exec', '--offline', '--', 'node', '--version'], { encoding: 'utf8', cwd: join(import.meta.dirname, '../..') });
  t.equal(version.trim(), `v${(await import('node/package.json', { with: { type: 'json' } })).default.version}`);
});

t.test('the closing line of a CI run counts the tests of all files', async (t) => {
  const tap = [
    'TAP version 14', '# Subtest: a', '    # Subtest: deep', '        ok 1 - not counted', '        1..1', '    ok 1 - deep', '    not ok 2 - b', '    ok 3 - c # SKIP no server', '    1..3', 'not ok 1 - test/a.test.ts',
    '# Subtest: crash', '    ok 1 - before', '    1..1', 'not ok 2 - test/crash.test.ts', 'ok 3 - test/empty.test.ts # SKIP nothing', '1..3', '# { total: 3 }',
  ].join('\n');
  t.same(countResults(tap), { passed: 2, failed: 2, skipped: 2 });
  t.equal(summaryLine({ passed: 2, failed: 0, skipped: 0 }), '2 passed, 0 failed');
  t.equal(summaryLine({ passed: 2, failed: 1, skipped: 3 }), '2 passed, 1 failed, 3 skipped');
});
