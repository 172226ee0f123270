/**
 * `weir screen` and `weir redact` in-process, on the shipped policy: decisions with reasons, and a copy that is the same
 * however its bytes are cut.
 */
import { Readable } from 'node:stream';
import t from 'tap';
import type { CliCommand, Io } from '../../src/cli/command.ts';
import { redact } from '../../src/cli/redact.ts';
import { screen } from '../../src/cli/screen.ts';

async function call(command: CliCommand, args: readonly string[], input: readonly Buffer[] = []): Promise<{ readonly code: number; readonly out: string; readonly pieces: readonly string[]; readonly err: string }> {
  const pieces: string[] = [];
  let err = '';
  const io: Io = {
    stdout: (text) => void pieces.push(text), stderr: (text) => void (err += text), stdin: Readable.from(input), env: {},
    isTerminal: false, columns: 80, color: false, stopSignal: () => new AbortController().signal,
  };
  const code = await command.run(args, io);
  return { code, out: pieces.join(''), pieces, err };
}

const MAIL = 'write to ana@example.com today';

t.test('screen prints the decision and what the policy lets through', async (t) => {
  const { code, out, err } = await call(screen, [MAIL]);
  t.match({ code, err }, { code: 0, err: '' });
  t.match(out, /^action   redact\npolicy   default@[0-9a-f]{12}\nrules    \S+\ntook     [\d.]+ ms\nresults  pii\.EMAIL 1\.00 at 9–24\n(?: {9}[a-z-]+\.\S+ 0\.\d\d\n)* {9}unknown: 2 of grounding \(unsupported\)\n {9}\d+ below 0\.1 \(--json has them\)\n\nwrite to \[EMAIL\] today\n$/);
  t.match((await call(screen, ['nothing here'])).out, /^action   allow\n.*\nrules    none/);
});

t.test('screen reads stdin, a direction and context, and prints JSON', async (t) => {
  for (const args of [['--json'], ['-', '--json', '--direction', 'output', '--tenant', 'default', '--context', 'surface=kids', '--context', 'age=7', '--context', 'x=true']]) {
    const { code, out } = await call(screen, args, [Buffer.from(MAIL)]);
    t.equal(code, 0);
    t.match(JSON.parse(out), { action: 'redact', modified_content: 'write to [EMAIL] today', classifier_results: [{ classifier_id: 'pii', category: 'EMAIL', spans: [{ start: 9, end: 24 }] }] });
  }
});

t.test('screen takes images and recordings, and says what nobody reads', async (t) => {
  const { code, out } = await call(screen, ['--content-type', 'image', 'https://pictures.example.com/kitten.png']);
  t.equal(code, 0);
  t.match(out, /^action   allow\npolicy .*\nrules    none: the default action\ncoverage image not read by any classifier\ncoverage nothing to screen\ntook .*\nresults  unknown: \d+ of pii \(unsupported\), 14 of toxicity \(unsupported\), .*\n$/);
  const piped = await call(screen, ['-', '--json', '--content-type', 'audio'], [Buffer.from('QUJD\n')]);
  t.match(JSON.parse(piped.out), { action: 'allow', coverage: { screened: [], opaque: [{ kind: 'audio', treatment: 'pass' }] } });
  t.match((await call(screen, [''])).out, 'coverage nothing to screen\n');
  t.notMatch((await call(screen, ['hello'])).out, 'coverage');
});

t.test('wrong calls are wrong calls', async (t) => {
  for (const [args, message] of [
    [['a', 'b'], /unexpected argument/], [['--direction', 'inward', 'x'], /neither input nor output/], [['--content-type', 'video', 'x'], /not one of text, image, audio/], [['--tenant', 'nobody', 'x'], /no tenant "nobody"/], [['--context', '=1', 'x'], /KEY=VALUE/],
  ] as const) await t.rejects(call(screen, args), { name: 'UsageError', message });
  await t.rejects(call(screen, ['--config', '/nonexistent/weir.yaml', 'x']), { name: 'ConfigError' });
});

t.test('redact copies what it may as soon as it may, for every cut of the bytes', async (t) => {
  const text = 'Zoë wrote ana@example.com, 日本 👋 and 4111 1111 1111 1111.\n';
  const bytes = Buffer.from(text);
  const wanted = 'Zoë wrote [EMAIL], 日本 👋 and [CREDIT_CARD].\n';
  for (const size of [1, 2, 3, 5, 7, 11, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
    const { code, out, pieces } = await call(redact, [], chunks);
    t.same({ code, out }, { code: 0, out: wanted });
    if (size === 1) t.ok(pieces.length > 6, `text leaves while it comes, in ${pieces.length} pieces`);
  }
});
