/**
 * The registry of models over both stores: what is taken in and what is not, files held against their digests, switches
 * with one winner, what can be retired; and the gate, at its limits and beyond.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Candidate, CandidateCategory } from '../../src/learn/candidate.ts';
import { against, onProjectTexts } from '../../src/learn/gate.ts';
import { EVALUATION_CHARS_MAX, isRefusal, modelIdOf, ModelRegistry, MODELS_MAX, sha256Of } from '../../src/learn/registry.ts';
import { MODEL_BYTES_MAX } from '../../src/model/tables.ts';
import { SqlModelStore, type ModelSwitch } from '../../src/store/models.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

const NOW = '2030-01-01T00:00:00.000Z';

function candidate(text: string, more: Partial<Candidate> = {}): Candidate {
  const bytes = Buffer.from(text);
  const sha256 = sha256Of(bytes);
  return { plugin: 'toxicity', model_id: modelIdOf('toxicity', sha256), sha256, bytes, base_sha256: 'b'.repeat(64), dataset: 'ds-1', seed: 1, trained_at: NOW, evaluation: [], ...more };
}

function made(number: number, modelId: string | null, back: number): ModelSwitch {
  return { plugin: 'toxicity', number, change: 'promote', model_id: modelId, sha256: 'a'.repeat(64), from_model_id: null, from_sha256: 'b'.repeat(64), back, author: 'ana', reason: null, against: [], created_at: NOW };
}

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  t.test(`${name}: models, their files, and what works`, { skip }, async (t) => {
    const { database } = await place(t);
    const opened = database!();
    const registry = new ModelRegistry(new SqlModelStore(opened), () => new Date(NOW));
    const [one, two, big] = [candidate('one'), candidate('two'), candidate('x'.repeat(500_000))];
    t.equal(await registry.register(one, 'ana'), 'added');
    t.equal(await registry.register(one, 'ben'), 'known');
    t.same(await Promise.all([registry.register(two, 'ana'), registry.register(two, 'ana')]).then((all) => all.sort()), ['added', 'known'], 'two at once');
    t.equal(await registry.register(big, 'ana'), 'added');
    t.same(Buffer.from((await registry.read(big.model_id) as { bytes: Uint8Array }).bytes), Buffer.from(big.bytes), 'in pieces');
    t.match(await registry.register({ ...one, sha256: two.sha256 }, 'ana'), { refused: 'damaged' });
    t.match(await registry.register({ ...one, model_id: two.model_id }, 'ana'), { refused: 'damaged' });
    t.match(await registry.register(candidate('w', { evaluation: [{ category: 'x'.repeat(EVALUATION_CHARS_MAX) }] as never }), 'ana'), { refused: 'too_large' });
    t.match(await registry.show(one.model_id), { plugin: 'toxicity', registered_by: 'ana', dataset: 'ds-1', size: 3 });
    t.match(await registry.show('toxicity-none'), { refused: 'no_model', message: /weir learn models/ });
    t.same((await registry.list()).map(({ model_id }) => model_id).sort(), [one, two, big].map(({ model_id }) => model_id).sort());

    t.same(await registry.heads(), new Map());
    t.notOk(isRefusal(await registry.switchTo(made(1, one.model_id, 0), { kind: 'model_change' })));
    t.match(await registry.switchTo(made(1, two.model_id, 0), {}), { refused: 'switched_meanwhile' }, 'the number is taken');
    t.match(await registry.switchTo(made(3, two.model_id, 1), {}), { refused: 'switched_meanwhile' }, 'no gaps');
    const race = await Promise.all([two, big].map(({ model_id }) => registry.switchTo(made(2, model_id, 1), { kind: 'model_change' })));
    t.equal(race.filter((reply) => isRefusal(reply)).length, 1, 'one of two wins');
    const head = (await registry.heads()).get('toxicity')!;
    t.equal(head.number, 2);
    t.same(await registry.before(head), { model_id: one.model_id, back: 0 });
    t.same(await registry.before(made(1, one.model_id, 0)), { model_id: null, back: 0 });
    t.equal(await registry.before({ ...head, model_id: null }), undefined);
    t.equal((await opened.query('select record from admin_changes')).length, 2, 'one entry for each switch');

    const loser = head.model_id === two.model_id ? big : two;
    for (const kept of [one.model_id, head.model_id!]) t.match(await registry.retire(kept, 'ana'), { refused: 'at_work' }, 'it works, or would again');
    t.match(await registry.retire(loser.model_id, 'ana'), { retired_by: 'ana', retired_at: NOW });
    t.match(await registry.retire(loser.model_id, 'ana'), { refused: 'no_model' });
    t.match(await registry.read(loser.model_id), { refused: 'no_model', message: /retired/ });
    t.match(await registry.switchTo(made(3, loser.model_id, 2), {}), { refused: 'no_model' });

    await opened.query(`update learn_model_pieces set content = 'AAAA' where model_id = $1`, one.model_id);
    t.match(await registry.read(one.model_id), { refused: 'damaged' });
    await opened.query('delete from learn_model_pieces where model_id = $1', one.model_id);
    t.match(await registry.read(one.model_id), { refused: 'damaged' });

    const free = MODELS_MAX - 2;
    for (let at = 0; at < free; at += 1) t.equal(await registry.register(candidate(`more ${at}`), 'ana'), 'added');
    t.match(await registry.register(candidate('one more'), 'ana'), { refused: 'too_many', message: /weir learn retire/ });
    t.equal(await registry.register(candidate('other', { plugin: 'pii', model_id: modelIdOf('pii', sha256Of(Buffer.from('other'))) }), 'ana'), 'added', 'of another plugin');
  });
}

t.test('a file of the largest size is taken in, and one byte more is not', async (t) => {
  const registry = new ModelRegistry({ add: async () => 'added' } as never, () => new Date(NOW));
  const of = (length: number): Candidate => { const bytes = new Uint8Array(length); const sha256 = sha256Of(bytes); return { ...candidate(''), bytes, sha256, model_id: modelIdOf('toxicity', sha256) }; };
  t.equal(await registry.register(of(MODEL_BYTES_MAX), 'ana'), 'added');
  t.match(await registry.register(of(MODEL_BYTES_MAX + 1), 'ana'), { refused: 'too_large', message: /67108864/ });
});

const around = (value: number, half: number): CandidateCategory['recall_change'] => ({ value, low: value - half, high: value + half });
const NONE = around(0, 0);

function category(more: Partial<CandidateCategory>): CandidateCategory {
  const measures = { auprc: NONE, recall: NONE, false_positive_rate: NONE };
  return { category: 'c', n: 100, positives: 20, base: measures, candidate: measures, recall_change: NONE, false_positive_change: NONE, ...more };
}

t.test('the gate holds a category against a candidate when its whole interval is worse', async (t) => {
  const settings = { margin: 0.01, rowsMin: 100, positivesMin: 20 };
  const ask = (...evaluation: readonly CandidateCategory[]): readonly string[] => against({ base_sha256: 'w', evaluation }, 'w', settings);
  t.same(ask(category({})), []);
  t.same(ask(), ['nothing was measured; evaluate it on held-out rows']);
  t.match(against({ base_sha256: 'v'.repeat(64), evaluation: [category({})] }, 'w'.repeat(64), settings), [/beside the model vvvvvvvvvvvv, and wwwwwwwwwwww works now/]);
  t.match(ask(category({ n: 99 })), [/c: 99 rows with 20 positives are too few/]);
  t.match(ask(category({ positives: 19 })), [/100 rows with 19 positives/]);
  t.same(ask(category({ recall_change: { value: -0.5, low: -0.9, high: -0.01 } })), [], 'at the margin');
  t.match(ask(category({ recall_change: { value: -0.5, low: -0.9, high: -0.0101 } })), [/recall falls by 0.500 \(0.010 to 0.900\)/]);
  t.same(ask(category({ false_positive_change: { value: 0.5, low: 0.01, high: 0.9 } })), [], 'at the margin');
  t.match(ask(category({ false_positive_change: { value: 0.5, low: 0.0101, high: 0.9 } })), [/false positives rise by 0.500/]);
  for (const odd of [NaN, Infinity, null as never]) t.match(ask(category({ recall_change: { value: odd, low: 0, high: 0 } })), [/not told as numbers/]);
  t.match(ask(category({ recall_change: { value: 0, low: 1, high: -1 } })), [/not told as numbers/]);
  t.equal(ask(category({ n: 1 }), category({ category: 'd', positives: 0 })).length, 2, 'each is told');

  const project = category({ category: onProjectTexts('c') });
  const unknown = { value: NaN, low: NaN, high: NaN };
  const few = category({ positives: 19, recall_change: unknown });
  t.same(ask(few, project), [], 'texts of the project tell of what people found too little of');
  t.match(ask(few, category({ category: onProjectTexts('d') })), [/^c: 100 rows with 19 positives/], 'but not of another category');
  t.match(ask(few, { ...project, positives: 19 }), [/^c: /, /^c \(texts of the project\): /], 'nor where they are too few themselves');
  t.match(ask(few, { ...project, recall_change: { value: -0.5, low: -0.9, high: -0.1 } }), [/^c \(texts of the project\): recall falls/]);
  t.match(ask({ ...few, false_positive_change: { value: 0.5, low: 0.1, high: 0.9 } }, project), [/^c: false positives rise/], 'harmless rows are enough for alarms');
  t.same(ask({ ...few, n: 99, false_positive_change: unknown }, project), [], 'and too few of them tell nothing');
  t.match(ask({ ...few, false_positive_change: unknown }, project), [/not told as numbers/]);
});

t.test('a change whose interval holds none is never refused, and one beyond the margin always', async (t) => {
  const settings = { margin: 0.02, rowsMin: 0, positivesMin: 0 };
  fc.assert(fc.property(fc.double({ min: -1, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (value, half) => {
    const change = around(value, half);
    t.equal(against({ base_sha256: 'w', evaluation: [category({ recall_change: change })] }, 'w', settings).length === 0, value + half >= -0.02);
    t.equal(against({ base_sha256: 'w', evaluation: [category({ false_positive_change: change })] }, 'w', settings).length === 0, value - half <= 0.02);
  }));
});
