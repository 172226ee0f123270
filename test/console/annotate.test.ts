/**
 * Labelling in the console over HTTP, as somebody without JavaScript does it: a batch from its first text to its last, what
 * is wrong and kept, undone and skipped; texts that would do harm do none; nothing tells which answer is known; who agrees
 * too rarely is paused, and others label anew; two who differ are decided between by a third who knows no names.
 */
import t from 'tap';
import { textBody } from '../../src/console/annotate-parts.ts';
import { WELLNESS_DEFAULTS } from '../../src/contract/wellness.ts';
import { shippedTaxonomy } from '../../src/config/taxonomy.ts';
import { categoryNamed } from '../../src/risk/guide.ts';
import { visit, type Visitor } from '../helpers/console.ts';
import { until } from '../helpers/house.ts';
import { knownItems, openCampaign } from '../helpers/labelling.ts';

t.setTimeout(300_000);

const idOf = (text: string): string => /name="annotation" value="([^"]+)"/.exec(text)?.[1] ?? '';
/** Without the guide and the frame, which speak of many things. */
const bare = (text: string): string => text.replace(/<header[\s\S]*?<\/header>|<aside[\s\S]*?<\/aside>|<datalist[\s\S]*?<\/datalist>/g, '');
const shownOf = (text: string): string => /<pre class="text"[^>]*><bdi>([\s\S]*?)<\/bdi>/.exec(text)?.[1] ?? '';

/** Labels what the page shows; the page that comes next. */
async function label(who: Visitor, text: string, fields: Readonly<Record<string, string>>): Promise<string> {
  const { status, headers } = await who.post('/risk/annotate/label', { annotation: idOf(text), confidence: 'high', note: '', category: '', ...fields });
  t.same([status, headers['location']], [303, '/risk/annotate/task']);
  return (await who.get('/risk/annotate/task')).text;
}

t.test('a batch from its first text to its last, by forms alone', async (t) => {
  const { house, call, person } = await openCampaign(t, ['one', 'two', 'three', 'four'], {}, { batch_items: 3 });
  const ana = await visit(house.adminUrl, await person('ana'));
  t.match((await ana.get('/risk/annotate')).text, /0 of 400 texts[\s\S]*Not told yet[\s\S]*Take a batch[\s\S]*Guide[\s\S]*version 1[\s\S]*Near the line[\s\S]*Differs between cultures/);
  t.match((await ana.get('/risk/annotate/task')).text, /No text is before you/, 'looking takes nothing');
  t.match(await ana.post('/risk/annotate/next', {}), { status: 303, headers: { location: '/risk/annotate/task' } });
  let { text } = await ana.get('/risk/annotate/task');
  t.match(text, /Text 1 of 3<\/label> <progress id="batch" max="3" value="0">/);
  t.match(text, /<details class="told"><summary data-press="v">/, 'under a cover');
  t.match(text, new RegExp(shownOf((await ana.get('/risk/annotate/task')).text)), 'the same again');
  t.notMatch(bare(text), /default|Help centre|stratum|probability|acme|allow|passed|<meter/, 'nothing of where it comes from, or of what a machine made of it');

  for (const [fields, message] of [[{ label: 'violation', category: '' }, /a violation has a category/], [{ label: 'violation', category: 'nothing such' }, /no category of the guide is called so/], [{ label: 'violation', category: 'tox' }, /categories fit: 1 toxicity\.harassment, .*…/], [{ label: '' }, /label is one of safe, violation/]] as const) {
    const wrong = await ana.post('/risk/annotate/label', { annotation: idOf(text), confidence: 'low', note: 'because "of"', ...fields });
    t.match(wrong, { status: 400, text: message });
    t.match(wrong.text, /value="because &quot;of&quot;"/, 'what was typed is kept');
    t.match(wrong.text, /value="low" data-press="l" checked/);
  }
  text = await label(ana, text, { label: 'violation', category: 'Hate', note: 'a slur' });
  t.match(text, /Text \d of 3/);
  const second = shownOf(text);
  text = await label(ana, text, { label: 'safe' });
  t.match(await ana.post('/risk/annotate/undo', {}), { status: 303, headers: { location: '/risk/annotate/task' } });
  text = (await ana.get('/risk/annotate/task')).text;
  t.equal(shownOf(text), second, 'the last is back');
  const late = idOf(text);
  t.equal((await ana.post('/risk/annotate/skip', { annotation: late, reason: 'language' })).status, 303);
  t.match(await ana.post('/risk/annotate/label', { annotation: late, label: 'safe', confidence: 'high' }), { status: 409, text: /not yours any more/ }, 'a page that is too old is told so');
  t.match(await ana.post('/risk/annotate/skip', { annotation: late, reason: 'because' }), { status: 400, text: /reason, one of unreadable, language, unwilling/ });
  for (let left = 0; left < 3 && idOf(text = (await ana.get('/risk/annotate/task')).text) !== ''; left++) await label(ana, text, { label: 'safe' });
  t.match(text, /No text is before you[\s\S]*Take a batch[\s\S]*Take the last label back/);
  const { body: { total } } = await call('GET', 'risk/campaigns/q');
  t.match(total, { drawn: 4, missing: 0 });
  t.equal((await ana.post('/risk/annotate/next', {})).headers['location'], '/risk/annotate/task');
  t.match(await ana.post('/risk/annotate/undo', {}), { status: 409, text: /there is no label of yours that can be taken back/ }, 'not from an earlier batch');
  t.equal((await ana.post('/risk/annotate/release', {})).status, 303);
  t.equal((await ana.post('/risk/annotate/next', {})).headers['location'], '/risk/annotate?state=none');
  t.match((await ana.get('/risk/annotate?state=none')).text, /Nothing waits for you now/);
});

const HOSTILE = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', '\u202Egnp.exe\u202C', '\u001B[31mred\u001B[0m\u200B', '</pre></details><form action="https://evil.example">', '&lt;b&gt;', `${'x'.repeat(50_000)} end`];

t.test('texts that would do harm are shown, and do none', async (t) => {
  const { house, person } = await openCampaign(t, HOSTILE, {}, { batch_items: 20 });
  const ana = await visit(house.adminUrl, await person('ana'));
  await ana.post('/risk/annotate/next', {});
  const seen: string[] = [];
  for (;;) {
    const { text } = await ana.get('/risk/annotate/task');
    if (idOf(text) === '') break;
    t.notMatch(text, /<script(?! src="\/assets\/)|<img|<form action="https|<\/pre><\/details><form action/i);
    t.notMatch(text, /[\u202A-\u202E\u2066-\u2069\u001B\u0000\u200B\u2028]/, 'nothing unseen');
    seen.push(shownOf(text));
    const wrong = await ana.post('/risk/annotate/label', { annotation: idOf(text), label: 'violation', category: HOSTILE[1]!, note: HOSTILE[0]!, confidence: 'x' });
    t.equal(wrong.status, 400);
    t.notMatch(wrong.text, /<script(?! src="\/assets\/)|<img/i);
    await label(ana, text, { label: 'safe', note: HOSTILE[0]! });
  }
  t.equal(seen.length, HOSTILE.length);
  t.ok(seen.some((text) => text.includes('⟨202E⟩gnp.exe')) && seen.some((text) => text.includes('&lt;script&gt;')) && seen.some((text) => text.includes('&amp;lt;b')));
});

t.test('nothing tells a known answer from another: pages, JSON, headers, what is told of oneself', async (t) => {
  const texts = Array.from({ length: 40 }, (_, i) => `a drawn text ${i}`);
  const { house, call, person } = await openCampaign(t, texts, { calibration_percent: 50 }, { batch_items: 20, calibration_checks_min: 1000 });
  await call('POST', 'risk/calibration', { items: knownItems(60) });
  const token = await person('ana');
  const ana = await visit(house.adminUrl, token);
  const kinds = { known: new Set<string>(), drawn: new Set<string>() };
  const plain = (text: string): string => text.replaceAll(/ann_[\w-]+/g, 'ID').replaceAll(/a (?:known|drawn) text (?:safe )?\d+/g, 'TEXT').replaceAll(/name="csrf" value="[^"]*"/g, '').replace(/Text \d+ of \d+.*?<\/progress>/, 'AT').replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME').replace(/"(?:left|done)":\d+/g, '""').replace(/<div class="actions"><form[^>]*undo[\s\S]*?<\/form><a/, '<div class="actions"><a').replace(/"content-length":"\d+"|"date":"[^"]*"/g, '');
  let [known, drawn] = [0, 0];
  for (let i = 0; i < 60; i++) {
    const before = (await call('GET', 'risk/me', undefined, token)).body;
    const { body: { state } } = await call('POST', 'risk/next', undefined, token);
    if (state !== 'there') break;
    const [shown, json] = [await ana.get('/risk/annotate/task'), await call('GET', 'risk/current', undefined, token)];
    const isKnown = shownOf(shown.text).includes('known');
    if (isKnown) known++; else drawn++;
    const skips = i % 7 === 3;
    // Every fifth is labelled, taken back, and labelled otherwise.
    const answers = skips ? [await ana.post('/risk/annotate/skip', { annotation: idOf(shown.text), reason: i % 2 === 0 ? 'unreadable' : 'unwilling' })] : [await ana.post('/risk/annotate/label', { annotation: idOf(shown.text), label: 'safe', confidence: 'high' })];
    if (!skips && i % 5 === 0) answers.push(await ana.post('/risk/annotate/undo', {}), await ana.post('/risk/annotate/label', { annotation: idOf(shown.text), label: 'violation', category: '1', confidence: 'low' }));
    const after = (await call('GET', 'risk/me', undefined, token)).body;
    const moved = Object.fromEntries(Object.keys(after).filter((key) => !['labels_today', 'violations_today', 'open', 'batch', 'pace'].includes(key)).map((key) => [key, JSON.stringify(after[key]) === JSON.stringify(before[key])]));
    kinds[isKnown ? 'known' : 'drawn'].add(JSON.stringify([plain(shown.text), plain(JSON.stringify(shown.headers)), plain(json.text), plain(JSON.stringify(json.headers)), moved]));
    t.same(answers.map(({ status }) => status), answers.map(() => 303));
    kinds[isKnown ? 'known' : 'drawn'].add(plain(JSON.stringify(answers.slice(0, 1).map(({ status, headers, text }) => [status, headers, text]))));
  }
  t.ok(known >= 5 && drawn >= 5, `${known} known, ${drawn} drawn`);
  t.same([...kinds.known].sort(), [...kinds.drawn].sort(), 'the same but for the text');
  t.equal(kinds.known.size, 2);
  t.notMatch((await call('GET', 'risk/labels')).text, /a known text|item_/);
});

t.test('an agreement of 80 % pauses, between two batches, and others label anew; training lets one go on', async (t) => {
  const { house, call, person } = await openCampaign(t, Array.from({ length: 60 }, (_, i) => `a drawn text ${i}`), { calibration_percent: 50 }, { batch_items: 20, calibration_checks_min: 20 });
  await call('POST', 'risk/calibration', { items: knownItems(100) });
  const [ana, bob, lead] = [await visit(house.adminUrl, await person('ana')), await visit(house.adminUrl, await person('bob')), await visit(house.adminUrl, house.token)];
  let [known, wrong, labelled, batches] = [0, 0, 0, 0];
  let page = '';
  for (; batches < 10; batches++) {
    const { headers } = await ana.post('/risk/annotate/next', {});
    page = (await ana.get(String(headers['location']))).text;
    if (idOf(page) === '') break;
    for (; idOf(page) !== ''; labelled++) {
      // Four of five known answers are given as known.
      const isWrong = shownOf(page).includes('known') && ++known % 5 === 0;
      if (isWrong) wrong++;
      page = await label(ana, page, isWrong ? { label: 'violation', category: 'toxicity.hate' } : { label: 'safe' });
    }
  }
  t.match(page, /You are paused[\s\S]*read the guide below[\s\S]*made anew by others/);
  t.notMatch(page, /Take a batch|Take the last label back/);
  t.comment(`${wrong} of ${known} known answers wrong (agreement ${(100 * (1 - wrong / known)).toFixed(1)} %), paused after ${labelled} labels in ${batches} batches`);
  const row = (await lead.get('/risk/annotators')).text;
  t.match(row, /<bdi>ana<\/bdi> is paused/);
  t.match(row, new RegExp(`<bdi>ana</bdi></th><td><strong>paused</strong></td><td>${(100 * (1 - wrong / known)).toFixed(1)} %`));
  t.match(row, new RegExp(`0 of ${labelled - known}`), 'all that she said waits for others');
  t.match((await call('GET', 'risk/campaigns/q')).body.total, { drawn: 60, labelled: 0, waiting: 60 });
  await bob.post('/risk/annotate/next', {});
  for (page = (await bob.get('/risk/annotate/task')).text; idOf(page) !== '';) page = await label(bob, page, { label: 'safe' });
  const anew = /([1-9]\d*) of (\d+)<\/td>/.exec((await lead.get('/risk/annotators')).text);
  t.ok(anew !== null && Number(anew[2]) === labelled - known, 'and is labelled anew');
  t.equal((await bob.post('/risk/annotators/resume', { annotator: 'ana', reason: 'trained' })).status, 403, 'not by others who label');
  t.match(await lead.post('/risk/annotators/resume', { annotator: 'ana', reason: '' }), { status: 400, text: /reason is a text/ });
  t.equal((await lead.post('/risk/annotators/resume', { annotator: 'ana', reason: 'went through the guide' })).status, 303);
  t.equal((await ana.post('/risk/annotate/next', {})).headers['location'], '/risk/annotate/task', 'and she goes on');
  t.equal((await lead.post('/risk/annotators/pause', { annotator: 'bob', reason: 'asked for a rest' })).status, 303);
  t.match((await bob.get('/risk/annotate')).text, /You are paused[\s\S]*Because: asked for a rest/, 'by a person, with the reason');
});

t.test('two differ: a third sees both reasons and no names, and decides; the text can become a known answer', async (t) => {
  const { house, call, person } = await openCampaign(t, ['is this so?'], { double_blind_percent: 100 }, { batch_items: 1 });
  const [ana, bob, cleo, lead] = await Promise.all(['ana', 'bob', 'cleo', 'lead'].map(async (name) => visit(house.adminUrl, name === 'lead' ? house.token : await person(name)))) as [Visitor, Visitor, Visitor, Visitor];
  for (const [who, fields] of [[ana, { label: 'violation', category: 'toxicity.hate', note: 'a <b>slur</b> \u202E', confidence: 'low' }], [bob, { label: 'safe', note: 'it is quoted', confidence: 'medium' }]] as const) {
    await who.post('/risk/annotate/next', {});
    await label(who, (await who.get('/risk/annotate/task')).text, fields);
  }
  t.match((await ana.get('/risk/disputes')).text, /Nowhere do two people differ whose text/);
  t.match((await cleo.get('/risk/annotate')).text, /1 text waits for somebody to decide<\/a>/);
  t.match((await cleo.get('/risk/disputes')).text, /Take the next/);
  t.equal((await cleo.post('/risk/disputes/next', {})).status, 303);
  const { text } = await cleo.get('/risk/disputes');
  t.match(text, /is this so\?[\s\S]*/);
  for (const said of [/<strong>violation<\/strong>, <code>toxicity\.hate<\/code>, low confidence/, /a &lt;b&gt;slur&lt;\/b&gt; ⟨202E⟩/, /<strong>safe<\/strong>, medium confidence/, /it is quoted/]) t.match(text, said);
  t.notMatch(bare(text), /\bana\b|\bbob\b|default|Help centre/, 'no names');
  t.match(await cleo.post('/risk/disputes/label', { annotation: idOf(text), label: 'violation', category: 'x' }), { status: 400, text: /What two people say/ });
  t.equal((await cleo.post('/risk/disputes/label', { annotation: idOf(text), label: 'violation', category: 'toxicity.hate', confidence: 'high', note: '' })).status, 303);
  t.match((await call('GET', 'risk/campaigns/q')).body, { total: { labelled: 1, violations: 1 }, agreement: { items: 1, raw: 0 } }, 'agreement is of the two who did not see each other');

  t.match((await lead.get('/risk/annotators')).text, /<bdi>cleo<\/bdi>/, 'who decides is known too');
  const page = (await lead.get('/risk/calibration')).text;
  const [, task] = /candidates\/(task_\w+)"/.exec(page) ?? [];
  t.match(await lead.post(`/risk/calibration/candidates/${task}`, {}), { status: 200, text: /It is an item\.[\s\S]*from a drawn text/ });
  t.notMatch((await lead.get('/risk/calibration')).text, /candidates\/task_/, 'once');
  t.equal((await lead.post('/risk/calibration/candidates/task_none', {})).status, 404);
});

t.test('known answers: covered, added, opened, retired; who wrote or opened one is never given it', async (t) => {
  const { house, call, person } = await openCampaign(t, Array.from({ length: 12 }, (_, i) => `a drawn text ${i}`), { calibration_percent: 50 }, { batch_items: 40 });
  const lead = await visit(house.adminUrl, house.token);
  const auditor = await visit(house.adminUrl, await person('auditor', ['auditor']));
  t.match((await lead.get('/risk/calibration')).text, /There are none/);
  for (const [fields, status] of [[{ label: 'safe', text: 'one <b>known</b>' }, 200], [{ label: 'violation', category: 'hate', text: 'two known' }, 200], [{ label: 'safe', text: 'three known' }, 200], [{ label: 'violation', category: '', text: 'x' }, 400], [{ label: 'safe', text: ' ' }, 400], [{ label: 'safe', text: 'x', campaign: 'no such <b>' }, 400], [{ label: 'safe', text: 'x'.repeat(20_001) }, 400]] as const) {
    const answer = await lead.post('/risk/calibration/add', { direction: 'input', modality: 'text', campaign: '', ...fields });
    t.equal(answer.status, status, JSON.stringify(fields).slice(0, 80));
  }
  t.match(await lead.post('/risk/calibration/add', { direction: 'input', modality: 'text', campaign: '', label: 'safe', text: 'three known' }), { status: 200, text: /It was there already/ });
  const { text } = await lead.get('/risk/calibration');
  t.match(text, /<dt>Violations<\/dt><dd>1<[\s\S]*<dt>Safe<\/dt><dd>2<[\s\S]*Categories covered<\/dt><dd>1 of/);
  t.notMatch(text, /known<\/b>|two known|three known/, 'no texts');
  t.notMatch((await auditor.get('/risk/calibration')).text, /<form method="post" action="\/risk/, 'who only looks has no forms');
  const ids = [...text.matchAll(/items\/(item_\w+)\/text/g)].map(([, id]) => id!);
  t.equal(ids.length, 3);
  const opened = new Map<string, string>();
  const policy = await visit(house.adminUrl, await person('writer', ['policy', 'reviewer']));
  for (const id of ids.slice(0, 2)) opened.set(id, shownOf((await policy.post(`/risk/calibration/items/${id}/text`, {})).text));
  t.equal((await auditor.post(`/risk/calibration/items/${ids[0]}/text`, {})).status, 403);
  const texts = async (token: string): Promise<readonly string[]> => {
    const found: string[] = [];
    for (;;) {
      const { body: { state, annotation, texts: [one] } } = await call('POST', 'risk/next', undefined, token);
      if (state !== 'there') return found;
      found.push(one.text);
      await call('POST', `risk/annotations/${annotation.annotation_id}/skip`, { reason: 'unwilling' }, token);
    }
  };
  const both = await person('both', ['policy', 'reviewer']);
  const visitor = await visit(house.adminUrl, both);
  await visitor.post(`/risk/calibration/items/${ids[0]}/text`, {});
  t.equal((await lead.post(`/risk/calibration/items/${ids[1]}/retire`, {})).status, 200);
  t.equal((await lead.post(`/risk/calibration/items/${ids[1]}/retire`, {})).status, 404, 'once');
  const [mine, theirs] = [(await texts(house.token)).filter((one) => one.includes('known')), (await texts(both)).filter((one) => one.includes('known'))];
  t.same(mine, [], 'not to who wrote them');
  t.ok(theirs.every((one) => one !== opened.get(ids[0]!)) && theirs.length <= 1, 'not what they opened, nor what is retired');
  const { body: { entries } } = await call('GET', 'audit?kind=annotation');
  t.same([...new Set(entries.map(({ change }: { change: string }) => change))].sort(), ['calibration', 'opened', 'retired']);
});

t.test('a drawn text that is a known answer goes when it is erased', async (t) => {
  const { house, call, person, labelNext } = await openCampaign(t, ['the first'], { calibration_percent: 50 }, { batch_items: 10 });
  const ana = await person('ana');
  await labelNext(ana, () => ({ label: 'safe' }));
  const { body: { data } } = await call('GET', 'risk/labels');
  const { task_id: task } = JSON.parse(data);
  t.match((await call('POST', `risk/calibration/candidates/${task}`)).body, { added: 1 });
  const { body: { items: [{ item_id: item }] } } = await call('GET', 'risk/calibration/items');
  t.match((await call('POST', `risk/calibration/items/${item}/text`)).body, { text: 'the first', label: 'safe' });
  await call('POST', 'tenants/default/erasures', { all: true });
  t.equal((await call('POST', `risk/calibration/items/${item}/text`)).status, 404);
  for (const text of ['second', 'third', 'fourth']) await house.chat(text);
  const bob = await person('bob');
  await until(async () => (await call('GET', 'risk/campaigns/q')).body.total.drawn === 4, 'more tasks');
  const seen: string[] = [];
  for (let state = 'there'; state === 'there'; ) state = await labelNext(bob, (text) => { seen.push(text); return { label: 'safe' }; });
  t.same(seen.sort(), ['fourth', 'second', 'third'], 'and what is gone is given to nobody');
});

t.test('what was no text is said to be shown by its text, and what was cut is told', async (t) => {
  const shown = (modality: 'text' | 'image' | 'audio', cut = 0): string => textBody({ annotation: { annotation_id: 'a', batch_id: 'b', campaign: 'q', direction: 'output', modality, claimed_until: '' }, texts: [{ place: 'p', role: 'r', text: 'a <b>' }], cut }, { ...WELLNESS_DEFAULTS, cover: false, greyscale: true }).markup;
  t.match(shown('image'), /What was answered[\s\S]*The image is not kept: what is shown is its text/);
  t.match(shown('audio', 1_234), /The sound is not kept: what is shown is its transcript[\s\S]*1,234 characters were not kept/);
  t.match(shown('text'), /<details class="told grey" open>/, 'as one’s settings say');
  t.notMatch(shown('text'), /not kept/);
});

t.test('a category is known by its number, its name, or a part that fits it alone', async (t) => {
  const taxonomy = shippedTaxonomy();
  const named = (typed: string): string => { const found = categoryNamed(taxonomy, typed); return typeof found === 'string' ? found : found.id; };
  t.same(['1', ' HATE ', 'toxicity.hate', 'graphic', 'hate/threatening', '26'].map(named), ['toxicity.harassment', 'toxicity.hate', 'toxicity.hate', 'toxicity.violence/graphic', 'toxicity.hate/threatening', 'brand-safety.tone']);
  for (const [typed, words] of [['', /has a category/], ['0', /called so/], ['27', /called so/], ['-1', /called so/], ['threat', /^3 categories fit: 2 toxicity|^2 categories fit: 2 toxicity/], ['constructor', /called so/]] as const) t.match(named(typed), words, typed);
});

t.test('a break that is due is asked for before the next text, and leads back; what a label was of counts', async (t) => {
  const { house, call, person } = await openCampaign(t, Array.from({ length: 8 }, (_, i) => `a drawn text ${i}`), {}, { batch_items: 10 }, { review: { breaks: { after_severe_items: 5 } } });
  const ana = await visit(house.adminUrl, await person('ana'));
  await ana.post('/risk/annotate/next', {});
  let { text } = await ana.get('/risk/annotate/task');
  for (let i = 0; i < 5; i++) {
    t.equal((await ana.post('/risk/annotate/label', { annotation: idOf(text), label: 'violation', category: 'toxicity.violence/graphic', confidence: 'high' })).status, 303);
    text = (await ana.get('/risk/annotate/task')).text;
  }
  const due = await ana.get('/risk/annotate/task');
  t.match(due, { status: 303, headers: { location: '/me?next=%2Frisk%2Fannotate%2Ftask' } });
  t.match((await ana.get(String(due.headers['location']))).text, /Time for a break[\s\S]*name="next" value="\/risk\/annotate\/task"/);
  t.match(await ana.post('/me/break', { take: 'false', next: '/risk/annotate/task' }), { status: 303, headers: { location: '/risk/annotate/task' } });
  t.match(await ana.post('/me/break', { take: 'false', next: 'https://evil.example/' }), { status: 303, headers: { location: '/review' } });
  t.match((await ana.get('/risk/annotate/task')).text, /Text 6 of 8/);
  t.equal((await call('GET', 'risk/me')).body.state, 'active');
});

t.test('one’s own agreement is told in steps of fifty, and no label, nor taking one back, moves it', async (t) => {
  const { call, person } = await openCampaign(t, Array.from({ length: 120 }, (_, i) => `a drawn text ${i}`), { calibration_percent: 50 }, { batch_items: 40, calibration_checks_min: 1000, daily_max: 1000 });
  await call('POST', 'risk/calibration', { items: knownItems(200) });
  const ana = await person('ana');
  const told = async (): Promise<{ readonly n: number; readonly share: number } | null> => (await call('GET', 'risk/me', undefined, ana)).body.agreement;
  let [known, seen] = [0, 0];
  const moves: (readonly [batches: number, n: number])[] = [];
  for (let batches = 0; batches < 5; batches++) {
    await call('POST', 'risk/next', undefined, ana);
    const before = JSON.stringify(await told());
    moves.push([batches, (await told())?.n ?? 0]);
    // Only what was answered before the newest batch may be in it.
    t.ok(((await told())?.n ?? 0) <= seen);
    for (;;) {
      const { body: { state, annotation, texts: [one] } } = await call('GET', 'risk/current', undefined, ana);
      if (state !== 'there') break;
      if (one.text.includes('known')) known++;
      await call('POST', `risk/annotations/${annotation.annotation_id}/label`, { label: 'safe' }, ana);
    }
    t.equal(JSON.stringify(await told()), before, 'the whole batch moved nothing');
    t.equal((await call('POST', 'risk/undo', undefined, ana)).status, 200);
    const { body: { annotation } } = await call('GET', 'risk/current', undefined, ana);
    await call('POST', `risk/annotations/${annotation.annotation_id}/label`, { label: 'violation', category: 'toxicity.hate' }, ana);
    t.equal(JSON.stringify(await told()), before, 'nor did saying otherwise');
    seen = known;
  }
  t.comment(`${known} known answers in ${moves.length} batches; told of ${moves.map(([, n]) => n).join(', ')}`);
  t.ok(moves.every(([, n]) => n % 50 === 0) && moves.some(([, n]) => n >= 50));
});
