/** What is read of model cards: the tables of what was measured, as they are written; our own cards, and any text. */
import { readdirSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { parseCard, readCard } from '../../src/config/cards.ts';

const PLUGINS = join(import.meta.dirname, '../../plugins');

t.test('a card is read as it is written', async (t) => {
  const { title, about, measured } = parseCard('# thing: what it does\n\nVersion 2. It **finds** `x`, see [there](../README.md).\nMore.\n\n| category | how |\n|---|---|\n| a | b |\n\n## Measured\n\nNot this. On dev, as drawn:\n\n| set | n | value |\n|:---|---:|---|\n| *dev* | 9 | 0.5 (0.4–0.6) |\n| x |\n\n## Names\n\n| set | n |\n|---|---|\n| a | 0.7 (0.6–0.8) |\n\n## History of tries\n\n| try | n |\n|---|---|\n| a | 0.7 (0.6–0.8) |\n');
  t.same([title, about], ['thing: what it does', 'Version 2. It finds x, see there. More.']);
  t.same(measured, [{ heading: 'Measured', caption: 'On dev, as drawn:', head: ['set', 'n', 'value'], rows: [['dev', '9', '0.5 (0.4–0.6)'], ['x']] }, { heading: 'Names', caption: '', head: ['set', 'n'], rows: [['a', '0.7 (0.6–0.8)']] }]);
});

t.test('each shipped card is read, and those that have tables have figures with their intervals', async (t) => {
  const shipped = readdirSync(PLUGINS).filter((name) => existsSync(join(PLUGINS, name, 'MODEL_CARD.md')));
  t.ok(shipped.length >= 6);
  for (const name of shipped) {
    const card = (await readCard(name))!;
    t.ok(card.title.startsWith(name) && card.about.length > 20, name);
    if (name !== 'jailbreak') t.match(JSON.stringify(card.measured), /\d–\d/, `${name}: intervals`);
    for (const { head, rows } of card.measured) t.ok(rows.length > 0 && rows.every((row) => row.length === head.length), `${name}: ${head.join(', ')}`);
  }
  t.match((await readCard('toxicity'))!.measured.find(({ head }) => head.includes('AUPRC (HateCheck: AUROC)'))!.rows[0], ['hate', '44 of 234', /^0\.787 \(0\.68–0\.87\)$/]);
  t.equal(await readCard('http'), undefined);
  t.equal(await readCard('/nowhere/at/all/index.ts'), undefined);
});

t.test('any text is a card, if an empty one, and read in linear time', async (t) => {
  const line = fc.constantFrom('# a', '## Measured', '| a | b |', '|---|---|', '|', '||||', '', 'text (0.1–0.2).', '`', '**', '[x](y)', '|(1–2)|');
  fc.assert(fc.property(fc.array(line, { maxLength: 40 }), (lines) => {
    const { measured } = parseCard(lines.join('\n'));
    return measured.every(({ head, rows }) => head.every((cell) => typeof cell === 'string') && rows.every((row) => Array.isArray(row)));
  }));
  t.type(parseCard(`${'| (((1–'.repeat(20_000)}\n${'['.repeat(50_000)}`), 'object');
});
