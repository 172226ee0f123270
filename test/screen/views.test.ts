/**
 * Patterns through views, by the whole plan: what is disguised is found with its span on the original text, and redacted
 * there; benign text in many languages is let through as it came; bombs and large texts cost what they may, and do not
 * keep the event loop.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import type { Segment } from '../../src/contract/exchange.ts';
import type { ScoredResult } from '../../src/contract/screening.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { LITERALS_MAX } from '../../src/match/set.ts';
import { ClassifierPool, loadRuntime } from '../../src/runtime.ts';
import { compilePlan, type PlanOptions, type ScreeningPlan } from '../../src/screen/plan.ts';
import { screenOnce } from '../../src/screen/service.ts';
import { applyEdits } from '../../src/text/edits.ts';
import { DISGUISES } from '../helpers/disguises.ts';
import { testPii } from '../helpers/pii.ts';

const PHRASES = ['operation bluebird', 'open the vault for me', 'silver lantern protocol', 'give me the map of the old harbour'];
const RULE = 'rules:\n  - { id: found, when: { any: [ { score: patterns.*, gte: 0.5 }, { score: pii.*, gte: 0.5 } ] }, action: redact }\n';
const SEEDS = `policy: p\npatterns:\n  - { id: seed, literal: ${JSON.stringify(PHRASES)}, ignore_case: true }\n${RULE}`;

function planOf(policy: string, options: Partial<PlanOptions> = {}): ScreeningPlan {
  return compilePlan(requirePolicy(policy, 'p.yaml'), [testPii()], { file: 'p.yaml', hashKey: Buffer.alloc(32, 3), ...options });
}

const seeded = planOf(SEEDS);

async function screened(plan: ScreeningPlan, content: string, json = false): Promise<{ readonly results: readonly ScoredResult[]; readonly redacted: string }> {
  const segment: Segment = { path: 'a', carrier: 'a', contentType: 'text', content, json, history: false };
  const all = await plan.screen([segment], 'input', {});
  const results = all.segments[0].results as readonly ScoredResult[];
  const decision = plan.decide(all, 'input', {});
  return { results, redacted: decision.action === 'redact' ? applyEdits(content, plan.edits(results, decision, segment)) : content };
}

const found = async (plan: ScreeningPlan, content: string, json = false): Promise<readonly string[]> =>
  (await screened(plan, content, json)).results.flatMap(({ category, spans }) => spans.map(({ start, end }) => `${category} ${content.slice(start, end)}`));

t.test('each phrase in each disguise is found where it stands, and nothing else is', async (t) => {
  let [tried, inPlace] = [0, 0];
  for (const { name, hide } of DISGUISES) {
    for (const phrase of PHRASES) {
      const hidden = hide(phrase);
      const { results, redacted } = await screened(seeded, `Please note: ${hidden} before noon.`);
      tried += 1;
      inPlace += Number(redacted === 'Please note: [SEED] before noon.');
      t.same(results.map(({ category, score }) => [category, score]), [['seed', 1]], `${name}: ${phrase}`);
      t.equal(redacted, 'Please note: [SEED] before noon.', name);
    }
  }
  t.comment(`recall ${inPlace} of ${tried} (${DISGUISES.length} disguises of ${PHRASES.length} phrases); plain text ${PHRASES.length} of ${PHRASES.length}`);
});

t.test('personal data in disguise is found by the patterns that know it', async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['a\u200bna@exa\u200bmple.com', 'EMAIL'], ['ana%40example.com', 'EMAIL'], ['ana&#64;example.com', 'EMAIL'], ['ａｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ', 'EMAIL'], [Buffer.from('mail ana@example.com').toString('base64'), 'EMAIL'],
    ['4\u20e31\u20e31\u20e31\u20e31\u20e31\u20e31\u20e31\u20e31\u20e31\u20e31\u20e31\u20e31\u20e31\u20e31\u20e31\u20e3', 'CREDIT_CARD'], ['4111\u200b1111\u200b1111\u200b1111', 'CREDIT_CARD'], ['４１１１１１１１１１１１１１１１', 'CREDIT_CARD'],
    [Buffer.from('4111 1111 1111 1111').toString('hex'), 'CREDIT_CARD'], [Array.from(Buffer.from('4111 1111 1111 1111'), (byte) => String.fromCodePoint(0xe0000 + byte)).join(''), 'CREDIT_CARD'],
  ];
  for (const [hidden, category] of cases) {
    const { results } = await screened(seeded, `pay with ${hidden} now`);
    const own = results.filter((result) => result.category === category);
    t.ok(own.some(({ spans }) => spans.some(({ start, end }) => start >= 9 && end <= 9 + hidden.length)), `${category} in ${JSON.stringify(hidden)}`);
  }
  const twice = 'ana@example.com wrote a\u200b line to bob@example.com';
  t.same(await found(seeded, twice), ['EMAIL ana@example.com', 'EMAIL bob@example.com'], 'what the text itself says is found once');
});

t.test('the worst of text and views counts', async (t) => {
  const plan = planOf('policy: p\npatterns:\n  - { id: part, literal: vault }\n  - { id: all, regex: "open the vault( now)?" }\nrules: []\n');
  t.same(await found(plan, 'open the vault n\u043ew'), ['all open the vault nоw', 'part vault'], 'a view that finds more');
  t.same(await found(plan, 'open the vault now, caf\u00e9'), ['all open the vault now', 'part vault'], 'one that finds the same');
  t.same(await found(plan, 'vault 0pen the vault'), ['part vault', 'part vault', 'all 0pen the vault']);
});

t.test('a pattern can do without views, and so can all', async (t) => {
  const policy = (views: string): string => `policy: p\npatterns:\n  - { id: word, literal: [bluebird, blue bird], ${views} }\n  - { id: other, regex: 'heron\\d' }\nrules: []\n`;
  const text = 'bl\u200buebird, blu3bird, hеron1, %68eron2';
  t.same(await found(planOf(policy('views: true')), text), ['word bl\u200buebird', 'word blu3bird', 'other hеron1', 'other %68eron2']);
  t.same(await found(planOf(policy('views: false')), text), ['other hеron1', 'other %68eron2']);
  t.same(await found(planOf(policy('views: true'), { views: { names: ['folded'] } }), text), ['word bl\u200buebird', 'other hеron1', 'other %68eron2'], 'a view is made from those before it');
  t.same(await found(planOf(policy('views: true'), { views: { names: ['plain'] } }), text), ['word bl\u200buebird']);
  t.same(await found(planOf(policy('views: true'), { views: { names: [] } }), text), []);
  t.same(await found(planOf(policy('views: true')), ''), []);
  t.same(await found(planOf(policy('views: true'), { views: { charsMax: 12 } }), text), ['word bl\u200buebird'], 'what is beyond the limit is screened as it stands');
  t.same(await found(planOf(policy('views: true'), { views: { charsMax: 12 } }), `${text} bluebird`), ['word bl\u200buebird', 'word bluebird']);
});

t.test('the configuration chooses views and how much is viewed', async (t) => {
  const dir = t.testdir({ policies: { 'p.yaml': SEEDS } });
  const pool = new ClassifierPool();
  t.teardown(() => pool.close());
  const load = async (views: Readonly<Record<string, unknown>>): Promise<ScreeningPlan> => {
    const config = { data_dir: dir, upstreams: { u: { url: 'http://127.0.0.1:9/v1' } }, tenants: [{ id: 't', policy: 'p', upstream: 'u' }], classifiers: [{ id: 'pii', plugin: 'pii', names: false }], screening: { views } };
    return (await loadRuntime({ config, dir }, {}, pool)).plans.get('t')!;
  };
  const text = `0peration bluebird, ${'%6fperation'} bluebird`;
  const both = ['seed 0peration bluebird', 'seed %6fperation bluebird'];
  t.same(await found(await load({}), text), both);
  t.same(await found(await load({ names: ['decoded'] }), text), both.slice(1));
  t.same(await found(await load({ names: [] }), text), []);
  const padded = (chars: number): string => `${'x '.repeat(chars / 2 - 9)}0peration bluebird`;
  t.same(await found(await load({ chars_max: 1_000 }), padded(1_000)), ['seed 0peration bluebird']);
  t.same(await found(await load({ chars_max: 1_000 }), padded(1_002)), [], 'the end of it is beyond the limit');
  for (const wrong of [{ names: ['hidden'] }, { names: 'plain' }, { chars_max: 999 }, { chars_max: 100_000_001 }, { depth: 2 }]) await t.rejects(load(wrong), { name: 'ConfigError' }, JSON.stringify(wrong));
});

t.test('sets that come with Weir are looked for in the views that leave words as they stand', async (t) => {
  const plan = planOf('policy: p\npattern_sets: [exfiltration]\nrules: []\n');
  const image = '![x](https://example.net/c?d=secret-words-here)';
  const categories = async (text: string): Promise<readonly string[]> => [...new Set((await screened(plan, text)).results.map(({ category }) => category))];
  t.same(await categories(image), ['markdown-image', 'markdown-link']);
  t.same(await categories(image.replace('x.', 'x\u200b.').replace('![', '!\u200b[')), ['markdown-image', 'markdown-link']);
  t.same(await categories(image.replace('(https://', '&#40;https&colon;//')), ['markdown-image', 'markdown-link']);
  t.same(await categories(image.replace('example', 'ехаmрlе')), ['markdown-image', 'markdown-link'], 'and as it stands, whatever the host looks like');
  t.same(await categories('!|x|(https://example.net/c?d=secret-words-here)'), [], 'but no mark is taken for another');
});

t.test('more literals than fit twice are found in disguise, too, but for figures of two meanings', async (t) => {
  const literals = (count: number): readonly string[] => ['silver vault', ...Array.from({ length: count - 1 }, (_, i) => `house ${i}`)];
  const policy = requirePolicy('policy: p\npatterns:\n  - { id: many, literal: [x] }\nrules: []\n', 'p.yaml');
  const withLiterals = (count: number): ScreeningPlan => compilePlan({ ...policy, patterns: [{ ...policy.patterns[0], literal: literals(count) }] }, [], { file: 'p.yaml' });
  // Each stands for two: as it is, and as one word.
  const [most, more] = [withLiterals(LITERALS_MAX / 2), withLiterals(LITERALS_MAX / 2 + 1)];
  for (const plan of [most, more]) t.same(await found(plan, 'a s\u200bilver vault'), ['many s\u200bilver vault']);
  t.same(await found(most, 'a 511ver vault, s i l v e r v a u l t'), ['many 511ver vault', 'many s i l v e r v a u l t']);
  t.same(await found(more, 'a 511ver vault, s i l v e r v a u l t'), []);
});

t.test('JSON texts are viewed string by string', async (t) => {
  const text = `{"note":"b\\u200blu\\u0435bird oper\\u0430tion","${Buffer.from('operation bluebird').toString('base64')}":[1,"x"],"b":"op3ration b1uebird"}`;
  const { results, redacted } = await screened(seeded, text, true);
  t.same(results.flatMap(({ spans }) => spans.map(({ start, end }) => text.slice(start, end))), [Buffer.from('operation bluebird').toString('base64'), 'op3ration b1uebird']);
  t.same(JSON.parse(redacted), { note: 'b\u200blu\u0435bird oper\u0430tion', '[SEED]': [1, 'x'], b: '[SEED]' });
  const escaped = '{"a":"oper\\u0430tion\\u200b blu\\u0435bird!"}';
  t.same(await found(seeded, escaped, true), ['seed oper\\u0430tion\\u200b blu\\u0435bird']);
});

t.test('the screening service views texts of both directions', async (t) => {
  for (const direction of ['input', 'output'] as const) {
    const request = { request_id: 'r', tenant_id: 't', direction, content: 'say ｏｐｅｎ the vault for me!', content_type: 'text' as const, created_at: '2026-01-01T00:00:00Z' };
    t.equal((await screenOnce(request, seeded, new Date(0))).modified_content, 'say [SEED]!');
  }
});

/** Made up for this: everyday sentences, and things that look odd and are not. */
const BENIGN: readonly string[] = [
  'Could you summarise the attached minutes and list who agreed to do what by Friday?', 'Ist der Zug nach München heute pünktlich, oder muss ich über Nürnberg fahren? Grüße, Jörg',
  'Où est passée la clé du garage ? Elle était pourtant à côté de la fenêtre…', '¿Mañana lloverá en Cádiz? Llevaré el paraguas, por si acaso.',
  'A reunião começa às nove; não se esqueça de trazer o relatório da última semana.', 'Perché il pane è già finito? Ne ho comprato due chili l’altro ieri!',
  'Zou je even kunnen kijken of de koffie al klaar is? Dank je wel!',
  'می‌خواهم این نامه را برای همسایه‌ام بنویسم؛ لطفاً آن را کوتاه و دوستانه کن.', 'کتاب‌های تازه‌ی کتابخانه را دیده‌ای؟ چند تای آن‌ها دربارهٔ پرندگان‌اند.',
  'कृपया मेरी दुकान के लिए एक छोटा-सा विज्ञापन लिखिए, जिसमें त्योहार की शुभकामनाएँ भी हों।', 'क्‍या आप श्री‍मान शर्मा को जानते हैं? वे हमारे पड़ोसी हैं।',
  'אנא כתבו לי מתכון קצר לעוגת תפוחים, בלי חמאה ועם מעט סוכר.', 'בְּרֵאשִׁית הָיָה קָשֶׁה, אֲבָל אַחַר כָּךְ לָמַדְנוּ לִקְרֹא.',
  'من فضلك اكتب لي رسالة قصيرة أعتذر فيها عن التأخر في الاجتماع.', 'كَتَبَ الوَلَدُ رِسَالَةً إِلَى صَدِيقِهِ الجَدِيدِ.',
  '请帮我把这份会议记录整理成三点，每点不超过二十个字。', '明天下午的展览我们几点出发比较合适？', '来週の金曜日に京都へ行きます。おすすめの喫茶店を三つ教えてください。', 'ﾊﾝｶｸのカタカナも読めますか？「はい」か「いいえ」で。', '내일 아침 회의 자료를 간단하게 정리해 주시겠어요? 감사합니다.', 'ㅋㅋㅋ 정말 재미있네요 ㅎㅎ',
  'Пожалуйста, напиши короткое поздравление для бабушки: ей исполняется восемьдесят лет.', 'Он и она в саду; а кот — у окна. Тут сор, там нос, и всё.',
  'Γράψε μου, σε παρακαλώ, μια σύντομη περίληψη του άρθρου για τη θάλασσα.', 'ช่วยแต่งกลอนสั้น ๆ เกี่ยวกับฝนในฤดูร้อนให้หน่อยครับ',
  'Xin chào, tôi muốn đặt một bàn cho bốn người vào tối thứ bảy.', 'Lütfen bana kısa bir alışveriş listesi hazırla: ekmek, süt, ıspanak.',
  'The family 👨‍👩‍👧‍👦 and the 👩🏽‍🚀 wave 👋🏿 under the 🏳️‍🌈; ❤️‍🔥 it!', 'From 🇩🇪 via 🇫🇷 to 🇧🇷🇯🇵🇨🇦, and 🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} too.',
  'Press 1️⃣, then #️⃣, then *️⃣. ✔︎ ☎︎ ☺️', 'H₂O boils at 100 °C; E = mc², ½ + ⅓ ≠ 1, x ≤ ∞, α → β, ∑ᵢ xᵢ.',
  'export const add = (a: number, b: number): number => a + b; // 0x1F, 1e9, u8, b2b', 'for (i = 0; i < n; i++) { a[i] = b[i] ? c : d; x = y & z | w; }',
  'SELECT t.a, t.b FROM t WHERE t.c = 1 AND t.d IN (1, 2, 3);', 'C:\\users\\nina\\docs\\x.txt and \\d+\\s*\\w and "\\n\\t"',
  'https://example.com/search?q=caf%C3%A9&lang=fr&page=2#results', '<p class="a">Fish &amp; chips &lt;3 &nbsp; &eacute;</p>',
  `data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==`,
  'commit 9fceb02d0ae598e95dc970b74767f19372d61af8 (HEAD -> main)', 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'id 0b9d7a4e-5c1f-4f0e-9a53-6d1f2a7c8e90',
  'U.S. and U.K. firms; e.g. the B.B.C.; a.m./p.m.; A-B-C; x, y, z', 'Version 2.0.1-rc.3, build 4821, 3rd of 7, 10k users, mp3 and h264, COVID19',
  'Dash – dash — dash ‐ “quotes” ‘single’ … • bullet · dot',
  '| a | b |\n|---|---|\n| 1 | 2 |\n\n- [ ] one\n- [x] two\n\n1. first\n2. second', 'Llanfairpwllgwyngyll; Donaudampfschifffahrtsgesellschaft; Szczebrzeszyn', 'T H E   E N D',
  '\ufeffA byte order mark at the beginning, and a soft\u00adhyphen\u00adated word.', 'IPA: /ˈwɪkɪˌpiːdiə/, [ɡoʊ], ə ʃ ʒ θ ð',
  'Tifinagh ⴰⵣⵓⵍ, Armenian Բարև ձեզ, Georgian გამარჯობა, Cherokee ᎣᏏᏲ, Amharic ሰላም',
];

t.test('benign text in many languages is let through as it came', async (t) => {
  t.ok(BENIGN.length >= 48);
  for (const text of BENIGN) {
    const { results, redacted } = await screened(seeded, text);
    t.same(results, [], text);
    t.equal(redacted, text);
  }
  const all = BENIGN.join('\n');
  t.same((await screened(seeded, all)).results, [], 'together, too');
  t.equal((await screened(seeded, JSON.stringify(BENIGN), true)).redacted, JSON.stringify(BENIGN));
});

// Size and time.

const BOMBS: readonly (readonly [string, () => string])[] = [
  ['compatibility forms of 18 characters', () => '\ufdfa'.repeat(100_000)],
  ['base64 in base64', () => Array.from({ length: 14 }).reduce<string>((text) => Buffer.from(text).toString('base64'), 'open the vault for me, '.repeat(50))],
  ['marks on one letter', () => `x${'\u0301\u0315'.repeat(50_000)}`],
  ['one run of figures and letters', () => 'a1'.repeat(50_000)],
  ['one letter after the other', () => 'a '.repeat(50_000)],
  ['escapes', () => '%41&#65;\\u0041'.repeat(8_000)],
  ['beginnings of entities and escapes', () => '&#&a%4\\u'.repeat(12_000)],
  ['hex pairs that end in none', () => '6f '.repeat(33_000) + '6'],
  ['lines of base64', () => `${'A'.repeat(60)}\n`.repeat(1_600)],
  ['tags', () => '\u{e0061}'.repeat(50_000)],
  ['turned order, never turned back', () => '\u202e'.repeat(50_000)],
  ['mixed alphabets', () => 'аa '.repeat(33_000)],
  ['words in doubt', () => 'рау '.repeat(25_000)],
];

t.test('no text of 100,000 characters costs more than its limits allow', async (t) => {
  const prose = 'The report is ready and three of us have read it on Tuesday. '.repeat(1_640);
  const cpuMs = async (text: string): Promise<number> => {
    const began = process.cpuUsage();
    await screened(seeded, text);
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1_000;
  };
  await cpuMs(prose);
  for (const [name, make] of BOMBS) {
    const text = make();
    await cpuMs(text);
    // The least of three: what else the process does is not the text's.
    const costs = [await cpuMs(text), await cpuMs(text), await cpuMs(text)];
    t.comment(`${name}: ${Math.min(...costs).toFixed(1)} ms for ${text.length} characters`);
    t.ok(Math.min(...costs) < 500, `${name}: ${costs.join(', ')} ms`);
  }
});

/** How often others had their turn while `work` went on. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let done = false;
  const counting = (async () => {
    while (!done) {
      await nextTurn();
      turns += 1;
    }
  })();
  await work();
  done = true;
  await counting;
  return turns;
}

t.test('a large prompt gives the event loop back again and again', async (t) => {
  const unit = `0p3n the v\u0430ult, ｐｌｅａｓｅ: ${Buffer.from('nothing to see here').toString('base64')} and o p e n. `;
  const text = unit.repeat(20_000);
  let results: readonly ScoredResult[] = [];
  const turns = await turnsDuring(async () => ({ results } = await screened(seeded, `${text} op3ration bluebird`)));
  t.ok(turns >= 20, `${turns} turns of the event loop during ${text.length} characters`);
  t.same(results.map(({ category }) => category), [], 'what is said behind the limit in disguise is not found');
  t.same(await found(seeded, `${text} operation bluebird`), ['seed operation bluebird'], 'as it stands it is');
  const json = JSON.stringify(Array.from({ length: 8_000 }, () => unit));
  const inJson = await turnsDuring(() => screened(seeded, json, true));
  t.ok(inJson >= 10, `${inJson} turns during ${json.length} characters of JSON`);
  t.ok(await turnsDuring(() => screened(seeded, 'short')) <= 2, 'a short one in one turn');
});
