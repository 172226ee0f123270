/** The configuration of weekly reports: defaults, paths, and what cannot be meant. */
import { join } from 'node:path';
import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { readSources } from '../../src/config/load.ts';
import { freshFolder } from '../helpers/house.ts';

t.test('weekly reports are configured, and go somewhere', async (t) => {
  const dir = freshFolder(t);
  mkdirSync(join(dir, 'policies'));
  writeFileSync(join(dir, 'policies/p.yaml'), 'policy: p\nrules: []\n');
  const read = async (reports: object | undefined) => {
    writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ upstreams: { u: { url: 'http://127.0.0.1:1/v1' } }, tenants: [{ id: 'acme', policy: 'p', upstream: 'u' }], ...(reports === undefined ? {} : { reports }) }));
    return readSources(join(dir, 'weir.yaml'), {});
  };
  t.equal((await read(undefined)).config?.reports.weekly, undefined, 'nobody reports by himself');
  t.match((await read({ weekly: { directory: './kept' } })).config?.reports.weekly, { day: 'monday', hour: 6, formats: ['html', 'json', 'csv'], directory: join(dir, 'kept'), tenants: undefined, webhook: undefined });
  const refused = async (weekly: object, message: RegExp) => t.match((await read({ weekly })).issues.map((issue) => `${issue.message} ${issue.suggestion ?? ''}`).join('\n'), message);
  await refused({ day: 'monday' }, /weekly reports go nowhere.*name a directory, a webhook, or both/);
  await refused({ directory: 'x', day: 'moonday' }, /monday/);
  await refused({ directory: 'x', formats: ['pdf'] }, /html/);
  await refused({ webhook: { url: 'https://hooks.example.com', secret: 'short' } }, /16 characters/);
  await refused({ directory: 'x', hour: 24 }, /23/);
});
