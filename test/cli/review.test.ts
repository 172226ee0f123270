/** `weir review`: the queue from a terminal, beside a running Weir, whose audit log has the verdicts. */
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { Io } from '../../src/cli/command.ts';
import { review } from '../../src/cli/review.ts';
import { ask } from '../helpers/admin.ts';
import { openHouse, until, watching } from '../helpers/house.ts';

t.setTimeout(300_000);

async function call(dir: string, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  return { code: await review.run([...args, '--config', join(dir, 'weir.yaml')], io), out, err };
}

t.test('what waits is listed, shown and decided; the audit log hears of it', async (t) => {
  const house = await openHouse(t, { config: { review: { double_blind_percent: 0 } }, files: { 'acme.yaml': watching('Fileword') } });
  t.match(await call(house.dir, 'list'), { code: 0, out: 'nothing waits\n' });
  for (const _ of ['first', 'second']) t.equal(await house.chat('an Egret'), 200);
  const items = async (...args: readonly string[]): Promise<readonly { readonly review_id: string }[]> => (JSON.parse((await call(house.dir, 'list', '--json', ...args)).out) as { readonly items: readonly { readonly review_id: string }[] }).items;
  await until(async () => (await items()).length === 2, 'the items');
  const [{ review_id: id }, { review_id: other }] = await items() as [{ review_id: string }, { review_id: string }];
  t.match((await call(house.dir, 'list', '--severity', 'low')).out, new RegExp(`^id +severity +status +tenant +direction +due +rules\n${id} +low +pending +default +input +\\S+Z +look\n`));
  t.same([await items('--severity', 'high'), await items('--tenant', 'nobody'), (await items('--limit', '1')).length], [[], [], 1]);
  t.match((await call(house.dir, 'show', id)).out, /^review +rev_[\s\S]*\nstatus +pending\n[\s\S]*\nscore +patterns\.seen 1\.00\n/);

  t.match(await call(house.dir, 'resolve', id, 'block', '--categories', 'harassment, hate', '--notes', 'not nice'), { code: 0, out: `${id} is resolved: block\n` });
  t.match((await call(house.dir, 'show', id)).out, /\nverdict +block by cli\S*, \S+Z: not nice\nresolution block\n$/);
  t.match(await call(house.dir, 'resolve', id, 'allow'), { code: 1, err: /you have decided .* before; others decide it again/ });
  t.match(await call(house.dir, 'resolve', 'rev_none', 'allow'), { code: 1, err: /there is no item rev_none; weir review list shows them/ });
  t.equal((await items()).length, 1);
  t.equal((await items('--all')).length, 2);
  await ask(house.adminUrl, `/api/v1/reviews/${other}/claim`, { method: 'POST', token: house.token });
  t.match(await call(house.dir, 'resolve', other, 'allow'), { code: 1, err: /somebody else has it/ });
  t.equal((await items('--status', 'in_review')).length, 1);
  const entries = async (): Promise<readonly object[]> => (await ask(house.adminUrl, '/api/v1/audit?kind=review', { token: house.token })).body.entries as readonly object[];
  await until(async () => (await entries()).length === 1, 'the entry');
  t.match(await entries(), [{ change: 'verdict', author: /^cli/, review_id: id, resolution: 'block', categories: ['harassment', 'hate'], resolved: 'block' }]);
  t.notMatch(JSON.stringify(await entries()), /not nice/);
});

t.test('wrong calls say what to do', async (t) => {
  for (const [args, message] of [[[], /there is list, show and resolve/], [['lst'], /list/], [['list', '--status', 'done'], /pending, in_review, resolved/], [['list', '--limit', '0'], /1 to 1000/], [['show'], /which item is missing/], [['resolve', 'rev_a', 'maybe'], /allow, block, escalate_legal/]] as const) {
    await t.rejects(call('/nowhere', ...args), { message }, args.join(' '));
  }
});
