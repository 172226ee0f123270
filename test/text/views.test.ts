/**
 * The views against definitions that are too slow to be used: a map that remembers where each character came from, the
 * plain view of the whole text at once; each disguise undone with its exact span, wherever it stands; ordinary text in
 * many languages without a view that says anything else; and every limit, at it and above it.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Span } from '../../src/contract/screening.ts';
import { VIEWS } from '../../src/contract/screening.ts';
import { CLUSTER_CHARS_MAX } from '../../src/text/plain.ts';
import { Rewriting } from '../../src/text/rewriting.ts';
import { ENCODED_CHARS_MIN, HEX_PAIRS_MIN, SPACED_MIN, WORD_CHARS_MAX } from '../../src/text/signs.ts';
import { DECODE_DEPTH_MAX, GROWTH_MAX, viewsOf, viewSteps, VIEW_CHARS_MAX, type View } from '../../src/text/views.ts';
import { DISGUISES } from '../helpers/disguises.ts';
import { runs, seed } from '../helpers/runs.ts';

const views = (text: string): readonly (readonly [string, string])[] => viewsOf(text).map((view) => [view.name, view.text] as const);
const said = (text: string, name: string): readonly string[] => viewsOf(text).filter((view) => view.name === name).map((view) => view.text);

// The map.

interface Origin {
  readonly char: string;
  readonly start: number;
  readonly end: number;
}

t.test('a rewriting maps every range to what its characters were made from', async (t) => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('copy' as const), size: fc.nat(4) }),
    fc.record({ kind: fc.constant('skip' as const), size: fc.nat(3) }),
    fc.record({ kind: fc.constant('write' as const), size: fc.nat(3), text: fc.string({ maxLength: 4 }) }),
  );
  const property = fc.property(fc.string({ minLength: 1, maxLength: 24 }), fc.array(step, { maxLength: 12 }), (source, steps) => {
    const out = new Rewriting(source);
    const origins: Origin[] = [];
    let at = 0;
    for (const one of steps) {
      const end = Math.min(source.length, at + one.size);
      if (one.kind === 'copy') {
        out.copy(at, end);
        for (let i = at; i < end; i += 1) origins.push({ char: source[i], start: i, end: i + 1 });
      } else if (one.kind === 'write') {
        out.write(one.text, at, end);
        for (let i = 0; i < one.text.length; i += 1) origins.push({ char: one.text[i], start: at, end });
      }
      at = end;
    }
    const made = out.done();
    const text = origins.map(({ char }) => char).join('');
    if (made === undefined) return text === source;
    if (made.text !== text) return false;
    for (let start = 0; start < text.length; start += 1) {
      for (let end = start + 1; end <= text.length; end += 1) {
        const span = made.spanOf(start, end);
        if (span.start !== origins[start].start || span.end !== origins[end - 1].end) return false;
      }
    }
    return true;
  });
  t.doesNotThrow(() => fc.assert(property, { seed, numRuns: runs(400) }));
});

// The plain view, at once.

const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufff9-\ufffb]/gu;
const PILED = /[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]/g;
const plainAtOnce = (text: string): string => text.replace(IGNORABLE, '').normalize('NFKC').replace(PILED, '');

/** Characters that meet: letters, marks that join them, what is left out, forms of other lengths, Hangul in parts, halves of pairs. */
const MEETING = [...'aZ1 .é', 'e', '\u0301', '\u0327', '\u0336', '\u20e3', '\u200b', '\u200d', '\ufe0f', '\u00ad', '\u202e', 'ﬁ', '…', '①', 'Ａ', '㍿', '\ufdfa', '𝓪', '😀', '👩', '\u1100', '\u1161', '\u11a8', '가', 'ㅎ', 'ㅏ', 'ｶ', '\uff9e', 'क', '\u093f', '\u094d', 'ש', '\u05bc', '\u05b0', 'ل', '\u064b', '\u0651', '\u{e0061}', '\0', '\u3164', '\ud800', 'K', 'Å', 'ſ', '\u{20000}', '\u{2f800}', '\u{e01ef}'];

t.test('the plain view is what the definition says, and its spans are too', async (t) => {
  const property = fc.property(fc.array(fc.constantFrom(...MEETING), { maxLength: 14 }), (chars) => {
    const text = chars.join('');
    const view = viewsOf(text, { names: ['plain'] })[0];
    const expected = plainAtOnce(text);
    if ((view?.text ?? text) !== expected) return false;
    if (view === undefined) return true;
    for (let start = 0; start < expected.length; start += 1) {
      for (let end = start + 1; end <= expected.length; end += 1) {
        if (!isBoundary(expected, start) || !isBoundary(expected, end)) continue;
        const span = view.spanOf(start, end);
        if (!isSound(span, text) || !plainAtOnce(text.slice(span.start, span.end)).includes(expected.slice(start, end))) return false;
      }
    }
    return true;
  });
  t.doesNotThrow(() => fc.assert(property, { seed, numRuns: runs(1_500) }));
});

/** Not empty, inside the text, and no half of a pair at its ends. */
function isSound({ start, end }: Span, text: string): boolean {
  return start >= 0 && start < end && end <= text.length && isBoundary(text, start) && isBoundary(text, end);
}

function isBoundary(text: string, at: number): boolean {
  return !(/[\ud800-\udbff]/.test(text.charAt(at - 1)) && /[\udc00-\udfff]/.test(text.charAt(at)));
}

// Any text.

const NASTY = [...MEETING, ...'абвраcе&#;%0x\\-_/+=', '&#111;', '%6f', '\\u006f', 'b3BlbiB0aGU=', '6f70656e20746865', 'o p e n', 'bcra gur qbbe ', '🇩', '🇪', 'ɢ', '\n', '@', '1', '\u{e0020}\u{e0061}', '\u202eba\u202c'];

t.test('whatever the text, views differ from it and from each other, and their spans are spans of it in order', async (t) => {
  const property = fc.property(fc.array(fc.constantFrom(...NASTY), { maxLength: 40 }), (chars) => {
    const text = chars.join('');
    const found = viewsOf(text);
    const texts = [text, ...found.map((view) => view.text)];
    if (new Set(texts).size !== texts.length) return false;
    return found.every((view) => {
      let last = 0;
      for (let i = 0; i < view.text.length; i += 1) {
        if (!isBoundary(view.text, i) || !isBoundary(view.text, i + 1)) continue;
        const span = view.spanOf(i, i + 1);
        if (!isSound(span, text) || span.start < last) return false;
        last = span.start;
      }
      return view.text === '' || isSound(view.spanOf(0, view.text.length), text);
    });
  });
  t.doesNotThrow(() => fc.assert(property, { seed, numRuns: runs(1_500) }));
});

// Disguises.

const PHRASES = ['operation bluebird', 'open the vault for me', 'silver lantern protocol', 'meet us at the north pier'];
/** One letter for all that are written as one upright stroke, as a figure can stand for any. */
const upright = (text: string): string => text.replace(/[il1!|]/g, 'l');

function foundIn(text: string, phrase: string): readonly { readonly view: View; readonly span: Span }[] {
  const wanted = [upright(phrase), upright(phrase.replaceAll(' ', ''))];
  return viewsOf(text).flatMap((view) => {
    const lower = upright(view.text.toLowerCase());
    const form = wanted.find((one) => lower.includes(one));
    if (form === undefined) return [];
    const at = lower.indexOf(form);
    return [{ view, span: view.spanOf(at, at + form.length) }];
  });
}

for (const { name, hide } of DISGUISES) {
  t.test(`undone: ${name}`, async (t) => {
    for (const phrase of PHRASES) {
      const hidden = hide(phrase);
      t.notMatch(hidden, phrase, 'it is hidden');
      for (const [before, after] of [['', ''], ['Please: ', ', before noon.'], ['«', '» ok?'], ['מה ', ' 好'], ['x\n\n', '\n\ny']]) {
        const text = before + hidden + after;
        const spans = foundIn(text, phrase).map(({ span }) => span);
        t.ok(spans.some(({ start, end }) => start === before.length && end === before.length + hidden.length), `${JSON.stringify(text)} has ${phrase} in place; found at ${JSON.stringify(spans)}`);
        const rest = spans.reduce((left, { start, end }) => left.slice(0, start) + '█'.repeat(end - start) + left.slice(end), text);
        t.same(foundIn(rest, phrase), [], 'what is replaced at the span is gone from every view');
      }
    }
  });
}

t.test('disguises side by side are undone each in its place', async (t) => {
  const single = fc.constantFrom(...DISGUISES.filter(({ name }) => !/spaced|ROT13|flags|turned/.test(name)));
  const property = fc.property(fc.array(fc.tuple(single, fc.constantFrom(...PHRASES)), { minLength: 1, maxLength: 4 }), (parts) => {
    let text = '';
    const expected = parts.map(([{ hide }, phrase]) => {
      const start = (text += '(( ').length;
      text += hide(phrase);
      const span = { start, end: text.length };
      text += ' ))\n\n';
      return { phrase, span };
    });
    const found = viewsOf(text).flatMap((view) => PHRASES.flatMap((phrase) => placesOf(view, phrase)));
    return expected.every(({ phrase, span }) => found.some((one) => one.phrase === phrase && one.start === span.start && one.end === span.end));
  });
  t.doesNotThrow(() => fc.assert(property, { seed, numRuns: runs(200) }));
});

function placesOf(view: View, phrase: string): readonly { readonly phrase: string; readonly start: number; readonly end: number }[] {
  const text = upright(view.text.toLowerCase());
  return [upright(phrase), upright(phrase.replaceAll(' ', ''))].flatMap((form) => {
    const places: { phrase: string; start: number; end: number }[] = [];
    for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) places.push({ phrase, ...view.spanOf(at, at + form.length) });
    return places;
  });
}

// Ordinary text.

t.test('ordinary prose, code and data have no views', async (t) => {
  const none = [
    'The report is ready; three of us read it on Tuesday. Is that enough?', 'Der schnelle Fuchs springt dann zwischen Pflanzen und Hunden.', 'El perro duerme bajo el sol desde las tres.', '',
    'Мама мыла раму, а нос и рот у кота мокрые.', 'Η γάτα κοιμάται στον ήλιο.', 'אנא סכם את הטקסט הזה בשלושה משפטים', 'من فضلك لخص هذا النص في ثلاث جمل', 'この文章を三つの文に要約してください。',
    '이 글을 세 문장으로 요약해 주세요.', '请把这段文字总结成三句话。',
    'कृपया इस पाठ को तीन वाक्यों में लिखिए।', 'ช่วยสรุปข้อความนี้', 'flags 🇩🇪🇫🇷🇯🇵 and a smile 😀', 'const total = items.map((item) => item.price).reduce(add, zero);',
    '{"name": "Ana", "tags": ["a-b", "c_d"], "count": 17}', 'https://example.com/path/to/page?id=17#top',
  ];
  for (const text of none) t.same(views(text), [], text);
});

t.test('what views leave alone', async (t) => {
  t.same(said('commit 1f0c9e3ab27d4c5e6f708192a3b4c5d6e7f80912 fixes it', 'decoded'), [], 'a hash is no text');
  t.same(said('0b9d7a4e-5c1f-4f0e-9a53-6d1f2a7c8e90', 'decoded'), [], 'nor is a UUID');
  t.same(said(`data:image/png;base64,${Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 151 + 137) % 256)).toString('base64')}`, 'decoded'), [], 'nor is a picture');
  t.same(said('internationalization and UncharacteristicallyLongNames', 'decoded'), [], 'nor is a long word');
  t.same(said('100% sure, 50%of AT&T &co; \\n \\d+ \\users', 'decoded'), [], 'nor are other signs');
  t.same(said('نمی‌خواهم', 'folded'), [], 'a word of another alphabet is not folded');
  t.same(said('привет, сор и нос', 'folded'), [], 'nor are words among such words that look Latin');
  t.same(said('family 👩‍👩‍👧 flag 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} key 1️⃣', 'decoded'), [], 'emoji carry nothing');
  t.same(said('🇩🇪 🇫🇷🇯🇵', 'folded'), [], 'flags are flags');
  t.same(said('call 555 0100 or 1 2 3 4 5', 'spelled'), [], 'and numbers no words');
});

t.test('what views make of words and letters', async (t) => {
  t.same(said('pаypal', 'folded'), ['paypal'], 'a word of two alphabets');
  t.same(said('see раураl now', 'folded'), ['see paypal now'], 'a word of look-alikes among Latin words');
  t.same(said('рауре', 'folded'), ['paype'], 'and one alone');
  t.same(said('сор в поле', 'folded'), [], 'but not one among Russian words');
  t.same(said('Straße, Łódź — naïve “café”', 'folded'), ['Strasse, Lodz - naive "cafe"']);
  t.same(said('🅾🅿🅴🅽 🇴🇵🇪🇳', 'folded'), ['OPEN OPEN']);
  t.same(said('P4SSW0RD 0pen', 'spelled'), ['PASSWORD open'], 'in the case of its neighbours');
  t.same(said('b|ue b1rd b1ue', 'spelled'), ['blue bird blue']);
  t.same(said('m337 m3 47 n00n, b3 47 home', 'spelled'), ['meet me at noon, be 47 home'], 'a number between such words too');
  t.same(said('U.S.A. and o p e n, i t', 'spelled'), ['USA. and open it'], 'the separator is the same throughout');
  t.same(said('o.p.e. t.', 'spelled'), ['ope t.'], 'up to the end');
  t.same(said('а б в г', 'spelled'), ['абвг'], 'in any alphabet');
  t.same(said('a\u{e0068}\u{e0069}b', 'decoded'), ['a hi b'], 'a hidden text has spaces around it');
  t.same(said(`x${Array.from(Buffer.from('a\nb c'), (byte) => String.fromCodePoint(byte < 16 ? 0xfe00 + byte : 0xe0100 + byte - 16)).join('')}`, 'decoded'), ['x a\nb c '], 'bytes of both blocks of selectors');
  t.same(said('&lt;b&gt; &#x41;&#66 &nosuch; &#0; &#9999999;', 'decoded'), ['<b> AB &nosuch; &#0; &#9999999;']);
  t.same(said('%41%c3%a9%ff%e2%82%ac%00%f0%9f%98%80', 'decoded'), ['Aé%ff€%00😀'], 'bytes that are no UTF-8 stay');
  t.same(said(`path/${Buffer.from('open the vault').toString('base64url')}/rest-of-it`, 'decoded'), ['path/open the vault/rest-of-it'], 'a part of a run');
  t.same(said(Buffer.from('dépêche: déjà vu à la gare, au début d’avril').toString('base64').replace(/.{60}/, '$&\r\n'), 'decoded')[0], 'dépêche: déjà vu à la gare, au début d’avril', 'beyond ASCII, broken off within a character');
  const folded = Buffer.from('All of this stands in several lines of base64, as mail programs write it. '.repeat(4)).toString('base64').replace(/.{76}/g, '$&\r\n');
  const whole = Buffer.from('Two lines of sixty characters, and then a line of other text.'.padEnd(90, '!')).toString('base64').replace(/.{60}(?=.)/g, '$&\n');
  t.match(said(`${whole}\nthe end of it`, 'decoded')[0], /^Two lines .*!\nthe end of it$/, 'the line below is no part of it');
  t.match(said(`see:\n${folded}\nend`, 'decoded')[0], /^see:\nAll of this .* write it\. \nend$/);
});

t.test('only the views that are asked for are made', async (t) => {
  const text = `o\u200bp\u200be\u200bn раураl 0p3n ${Buffer.from('open the vault').toString('base64')}`;
  t.same(new Set(views(text).map(([name]) => name)), new Set(VIEWS));
  for (const name of VIEWS) t.same([...new Set(viewsOf(text, { names: [name] }).map((view) => view.name))], [name]);
  t.same(viewsOf(text, { names: [] }), []);
  t.same(viewsOf('0p3n раураl', { names: ['plain', 'decoded'] }), []);
});

// Limits.

t.test('a text is viewed as far as the limit', async (t) => {
  const [exact, over] = [viewsOf('o\u200bk', { charsMax: 3 }), viewsOf('o\u200bk!', { charsMax: 3 })];
  t.same(exact.map(({ text, cut }) => [text, cut]), [['ok', false]]);
  t.same(over.map(({ text, cut }) => [text, cut]), [['ok', true]]);
  t.same(viewsOf('o\u200b😀', { charsMax: 3 }).map(({ text }) => text), ['o'], 'and no character is cut in two');
  t.equal(VIEW_CHARS_MAX, 1_048_576);
});

t.test('forms that would make a view much longer stay', async (t) => {
  const long = '\ufdfa'.repeat(4_000);
  const [view] = viewsOf(`${long} o\u200bpen`, { names: ['plain'] });
  t.equal(view.cut, true);
  t.ok(view.text.length <= GROWTH_MAX * (long.length + 6) + 1_024, `${view.text.length}`);
  t.match(view.text, /open$/, 'what follows is viewed all the same');
  const short = viewsOf('\ufdfa'.repeat(60), { names: ['plain'] })[0];
  t.same([short.cut, short.text.length], [false, 60 * 18]);
});

t.test('a letter with more marks than a letter takes is still one letter', async (t) => {
  for (const count of [CLUSTER_CHARS_MAX - 1, CLUSTER_CHARS_MAX, CLUSTER_CHARS_MAX + 1, 5_000]) {
    const view = viewsOf(`x${'\u0336'.repeat(count)}y`, { names: ['plain'] })[0];
    t.same([view.text, view.spanOf(0, 1)], ['xy', { start: 0, end: 1 + count }], `${count}`);
  }
  t.equal(viewsOf(`\u200b${'ㅋ'.repeat(CLUSTER_CHARS_MAX * 3)}`, { names: ['plain'] })[0].text, 'ᄏ'.repeat(CLUSTER_CHARS_MAX * 3), 'letters that join are not lost');
});

t.test('what is encoded is decoded as deep as the limit', async (t) => {
  const nested = (depth: number): string => Array.from({ length: depth }).reduce<string>((text) => Buffer.from(text).toString('base64'), 'open the vault, please');
  const deepest = (text: string): readonly [boolean, boolean] => {
    const found = viewsOf(text, { names: ['decoded'] });
    return [found.some((view) => view.text.includes('open the vault')), found.some(({ cut }) => cut)];
  };
  t.same(deepest(nested(DECODE_DEPTH_MAX)), [true, false]);
  t.same(deepest(nested(DECODE_DEPTH_MAX + 1)), [false, true]);
});

t.test('a run is short, or a word long, by its limit', async (t) => {
  const run = (chars: number): string => Buffer.from('x'.repeat(40)).toString('base64').slice(0, chars);
  t.same([said(run(ENCODED_CHARS_MIN - 2), 'decoded').length, said(run(ENCODED_CHARS_MIN), 'decoded').length], [0, 1]);
  const pairs = (count: number): string => Array.from({ length: count }, () => '6f').join(' ');
  t.same([said(pairs(HEX_PAIRS_MIN - 1), 'decoded').length, said(pairs(HEX_PAIRS_MIN), 'decoded').length], [0, 1]);
  const letters = (count: number): string => Array.from({ length: count }, () => 'a').join('.');
  t.same([said(letters(SPACED_MIN - 1), 'spelled').length, said(letters(SPACED_MIN), 'spelled').length], [0, 1]);
  const word = (chars: number): string => `b1${'u'.repeat(chars - 2)}`;
  t.same([said(word(WORD_CHARS_MAX), 'spelled').includes(`bl${'u'.repeat(WORD_CHARS_MAX - 2)}`), said(word(WORD_CHARS_MAX + 1), 'spelled').length], [true, 0]);
});

t.test('a run that decodes only in parts is tried up to the limit', async (t) => {
  const part = Buffer.from('open the vault').toString('base64url');
  const run = (chars: number): string => `${part}/${'-'.repeat(chars - part.length - 1)}`;
  t.same([4_096, 4_097].map((chars) => said(run(chars), 'decoded').length), [1, 0]);
});

t.test('long texts are viewed in steps, as they would be at once', async (t) => {
  const sentence = `Please оpen 0p3n o\u200bk o p e n café ${Buffer.from('open the vault').toString('base64')} %41 `;
  const text = sentence.repeat(1_500);
  const steps = viewSteps(text);
  let count = 0;
  let result = steps.next();
  for (; result.done !== true; result = steps.next()) count += 1;
  t.ok(count > 20, `${count} steps for ${text.length} characters`);
  const short = viewsOf(sentence);
  t.same((result.value as readonly View[]).map(({ name }) => name), short.map(({ name }) => name));
  for (const [i, view] of (result.value as readonly View[]).entries()) t.ok(view.text === short[i].text.repeat(1_500), view.name);
  const dense = `o\u200b${'k'.repeat(50_000)}${'😀'.repeat(20_000)}\u200b`;
  t.ok(viewsOf(dense)[0].text === dense.replaceAll('\u200b', ''), 'also where there is no white space to stop at');
  const blob = Buffer.from('all of it one run. '.repeat(3_000)).toString('base64');
  t.ok(viewsOf(`x ${blob} y`)[0].text === `x ${'all of it one run. '.repeat(3_000)} y`, 'and where a run is longer than a step');
});

// Attacks on whoever reads texts: whatever begins again and again, and ends late or never.
const REPEATED = ['a ', 'a.b-', '1 ', '@ ', '!a', '6f ', '0x6f, ', '6f 7', '&#', '&a', '%4', '%41', '\\u00', '\\u{', 'AAAA/', `${'A'.repeat(60)}\n`, '=', '-_', '\u202ea', '\u{e0061}', '\ufe0f', '🇩', '🇩🇪', 'а', 'аб ', 'é', 'e\u0301', 'a\u200b', 'ㅋ', 'क\u093f', '\ufdfa', 'a1 ', 'bcra gur '];

t.test('what a text costs grows as its length does', async (t) => {
  const leastMs = (text: string): number => Math.min(...[1, 2, 3].map(() => {
    const began = performance.now();
    viewsOf(text);
    return performance.now() - began;
  }));
  for (const unit of REPEATED) {
    const [short, long] = [100_000, 800_000].map((chars) => leastMs(unit.repeat(chars / unit.length)));
    // Eight times the text: what grew with its square would cost 64 times as much, and seconds.
    t.ok(long < Math.max(30 * short, 400), `${JSON.stringify(unit)}: ${short.toFixed(1)} ms, then ${long.toFixed(1)} ms`);
  }
});

t.test('runs longer than one go are read in several, and none is lost', async (t) => {
  const spelled = Array.from('abcdefghij'.repeat(2_000)).join(' ');
  t.equal(said(spelled, 'spelled')[0].replaceAll(' ', ''), spelled.replaceAll(' ', ''));
  t.ok(said(spelled, 'spelled')[0].length < spelled.length * 0.51);
  const tags = Array.from('open the vault. '.repeat(600), (char) => String.fromCodePoint(0xe0000 + char.charCodeAt(0))).join('');
  t.equal(said(`x${tags}`, 'decoded')[0].replaceAll(' ', ''), `x${'openthevault.'.repeat(600)}`);
  const words = 'o p e n   t h e   v a u l t   '.repeat(700);
  t.ok((said(words, 'spelled')[0].match(/open +the +vault/g) ?? []).length >= 690);
});
