/** Whatever stands in the address of a page or in a form of it: it is answered, as a page or a refusal, and nothing of it runs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { ask } from '../helpers/admin.ts';
import { visit } from '../helpers/console.ts';
import { furnished } from '../helpers/console-walk.ts';
import { runs, seed } from '../helpers/runs.ts';

t.setTimeout(600_000);

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
const TABLE = README.slice(README.indexOf('<!-- table:pages -->'), README.indexOf('<!-- /table -->', README.indexOf('<!-- table:pages -->')));
/** What ends the session, or is for who has none. */
const OUTSIDE = ['/login', '/logout'];
const PAGES = [...TABLE.matchAll(/^\| `(?:(POST) )?(\/[^`]*)` \|/gm)].map(([, method = 'GET', path]) => ({ method, path: path! })).filter(({ path }) => !OUTSIDE.includes(path));

t.test('no address and no form is too strange', async (t) => {
  t.ok(PAGES.length > 40);
  const house = await furnished(t);
  const { body } = await ask(house.adminUrl, '/api/v1/openapi.json', { token: house.token });
  const known = Object.values(body.paths as Record<string, Record<string, { readonly parameters?: readonly { readonly name: string; readonly in: string }[] }>>).flatMap((methods) => Object.values(methods)).flatMap(({ parameters = [] }) => parameters.filter((one) => one.in === 'query').map(({ name }) => name));
  const fields = [...new Set([...known, 'left', 'right', 'hours', 'live', 'fence', 'scope', 'of', 'value', 'confirm', 'keeper', 'reason', 'resolution', 'categories', 'notes', 'alike', 'parent', 'comment', 'to', 'name', 'roles', 'do', 'source', 'percent', 'redirect', 'next'])];
  const [{ review_id: review }] = (await ask(house.adminUrl, '/api/v1/reviews', { token: house.token })).body.items;
  const strange = ['', ' ', '0', '-1', '1e9', '99999999999999999999', 'NaN', 'null', '[]', '{}', '%', '%00', '../..', "'", '"><script>alert(1)</script>', '\u202E', '\uD83D', '\u0000', 'x'.repeat(5_000), '2030-01-31', '2030-02-31', '9999-12-31T23:59:59.999Z', '-271821-04-20T00:00:00Z', 'T', '__proto__', 'constructor', 'default', 'acme', 'toString', review];
  const value = fc.oneof(fc.constantFrom(...strange), fc.string({ unit: 'binary', maxLength: 30 }));
  const asked = fc.record({ page: fc.constantFrom(...PAGES), at: fc.oneof(fc.constantFrom(review, 'default', 'acme', '0', '3', 'toxicity', '__proto__'), value), query: fc.array(fc.tuple(fc.constantFrom(...fields), value), { maxLength: 6 }) });
  const person = await visit(house.adminUrl, house.token);
  const seen = new Set<number>();
  await fc.assert(fc.asyncProperty(asked, async ({ page: { method, path }, at, query }) => {
    const segment = encodeURIComponent(at.toWellFormed()).replaceAll('.', '%2E');
    const where = path.replace(/\{\w+\}/g, segment);
    const given = new URLSearchParams(query.map(([name, one]) => [name, one.toWellFormed()] as [string, string]));
    const answer = method === 'GET' ? await person.get(`${where}?${given}`) : await person.post(where, Object.fromEntries(given));
    seen.add(answer.status);
    if (answer.status >= 500 && answer.status !== 501) throw new Error(`${method} ${where}?${given}: ${answer.status} ${answer.text.slice(0, 300)}`);
    return !answer.text.includes('<script>alert(1)');
  }), { numRuns: runs(600), seed });
  for (const status of [200, 400, 404]) t.ok(seen.has(status), `some are answered with ${status}: ${[...seen].join(', ')}`);
});
