/** Templates of the console against texts of every kind: nothing of a text is markup, and nothing of it is hidden or lost. */
import fc from 'fast-check';
import t from 'tap';
import { exact, html, visible } from '../../src/console/html.ts';
import { marked, spansOf } from '../../src/console/marked.ts';

const UNESCAPES: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };
const plain = (markup: string): string => markup.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => UNESCAPES[entity]!);

const text = fc.string({ unit: fc.oneof(fc.constantFrom('<', '>', '"', "'", '&', '\u202E', '\u2066', '\u001B', '\u0000', '\u200B', '\uFEFF', '\u{E0041}', '\uD800', '\n', '\r', '\t', '☃️', '&lt;', '</script>', '${x}'), fc.string({ unit: 'binary', maxLength: 3 })) });

t.test('a text in a template is that text, and no markup', async () => {
  fc.assert(fc.property(text, (given) => {
    const { markup } = html`<p title="${given}">${given}</p>`;
    const inner = html`${given}`.markup;
    return markup === `<p title="${inner}">${inner}</p>` && !/[<>"']/.test(inner) && plain(inner) === visible(given).toWellFormed();
  }), { numRuns: 2_000 });
});

t.test('what cannot be seen, or turns others, is written out', async (t) => {
  fc.assert(fc.property(text, (given) => !/[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF]/.test(visible(given))), { numRuns: 2_000 });
  t.equal(visible('a\u202Eb\u001B[0m\u0000\r\nc\td'), 'a⟨202E⟩b⟨001B⟩[0m⟨0000⟩\nc\td');
  t.equal(visible('naïve ☃️ 日本語 עברית'), 'naïve ☃️ 日本語 עברית', 'other scripts are as they are');
  t.equal(visible('\u{E0041}\uD800'), '⟨E0041⟩⟨D800⟩');
});

t.test('a text in a field of a form is sent back as it was', async () => {
  fc.assert(fc.property(text, (given) => !/[<>"']/.test(exact(given).markup) && plain(exact(given).markup) === given.toWellFormed()), { numRuns: 2_000 });
});

t.test('templates nest, and what is not there is nothing', async (t) => {
  t.equal(html`<ul>${(['<a>', html`<b>x</b>`, false, null, undefined, 7, ['&']] as const).map((piece) => html`<li>${piece}</li>`)}</ul>`.markup, '<ul><li>&lt;a&gt;</li><li><b>x</b></li><li></li><li></li><li></li><li>7</li><li>&amp;</li></ul>');
});

t.test('marks stand where something was found, and the text is whole', async (t) => {
  const span = fc.tuple(fc.nat(40), fc.nat(40)).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));
  const results = fc.array(fc.record({ label: fc.constantFrom('EMAIL', 'NAME', '<i>'), spans: fc.array(span, { maxLength: 4 }) }), { maxLength: 4 });
  fc.assert(fc.property(fc.string({ minLength: 0, maxLength: 40 }), results, (given, found) => {
    const { markup } = html`${marked(given, spansOf(found.map(({ label, spans }) => ({ classifier_id: 'c', category: 'k', score: 1, label, latency_ms: 0, spans: spans.map(({ start, end }) => ({ start: Math.min(start, given.length), end: Math.min(end, given.length) })) }))))}`;
    const bare = plain(markup.replace(/<span class="sr">.*?<\/span>/gs, '').replace(/<mark title="[^"]*">|<\/mark>/g, ''));
    return bare === visible(given);
  }), { numRuns: 1_000 });
  const scored = (label: string, start: number, end: number) => ({ classifier_id: 'c', category: 'k', score: 1, label, latency_ms: 0, spans: [{ start, end }] });
  t.equal(html`${marked('abcdef', spansOf([scored('X', 1, 4), scored('Y', 3, 5)]))}`.markup.replace(/<span class="sr">.*?<\/span>/g, ''), 'a<mark title="X">bc</mark><mark title="X, Y">d</mark><mark title="Y">e</mark>f');
});
