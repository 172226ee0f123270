/**
 * Views of texts: what finding out that there are none costs for ordinary texts, what making them costs for disguised,
 * foreign and hostile ones, and the whole scan of a prompt with and without them. What is timed is checked first.
 */
import assert from 'node:assert/strict';
import type { ViewName } from '../../../src/contract/screening.ts';
import { requirePolicy } from '../../../src/policy/parse.ts';
import { scanText } from '../../../src/match/set.ts';
import { compilePlan } from '../../../src/screen/plan.ts';
import { TextScan } from '../../../src/screen/scan.ts';
import { viewsOf } from '../../../src/text/views.ts';
import { testPii } from '../../helpers/pii.ts';
import { DISGUISES } from '../../helpers/disguises.ts';
import { setOf, PII, TWENTY } from '../detectors.ts';
import { type Row, type Table } from '../report.ts';
import { timeCases, type Case, type Effort } from '../rounds.ts';
import { textOf, type TextKind } from '../texts.ts';

const CHARS = 4_096;
const ORDINARY: readonly TextKind[] = ['prose', 'two-byte', 'code', 'json', 'dense'];
/** Made up; repeated to the length. */
const FOREIGN: Readonly<Record<string, string>> = {
  German: 'Ist der Zug nach München heute pünktlich, oder muss ich über Nürnberg fahren? ', Persian: 'می‌خواهم این نامه را برای همسایه‌ام بنویسم و آن را کوتاه کنم. ', Hindi: 'कृपया मेरी दुकान के लिए एक छोटा विज्ञापन लिखिए। ',
  Chinese: '请帮我把这份会议记录整理成三点，每点不超过二十个字。', Russian: 'Пожалуйста, напиши короткое поздравление для бабушки. ',
};
const HOSTILE: Readonly<Record<string, string>> = {
  'forms of 18 characters': '\ufdfa', 'marks on one letter': '\u0301\u0315', 'letters that stand alone': 'a ', 'figures in words': 'a1 ', escapes: '%41&#65;\\u0041',
  'beginnings of escapes': '&#&a%4\\u', 'hex in pairs': '6f ', 'mixed alphabets': 'аa ', tags: '\u{e0061}',
};

export function measureViews(effort: Effort): readonly Table[] {
  return [costOfViews(effort), wholeScan(effort)];
}

const repeated = (unit: string): string => unit.repeat(Math.ceil(CHARS / unit.length)).slice(0, CHARS);

function costOfViews(effort: Effort): Table {
  const prose = textOf('prose', CHARS);
  const words = textOf('prose', 400).toLowerCase().replace(/[^a-z ]/g, '');
  const texts: readonly (readonly [string, string])[] = [
    ...ORDINARY.map((kind) => [kind, textOf(kind, CHARS)] as const),
    ...Object.entries(FOREIGN).map(([name, unit]) => [name, repeated(unit)] as const),
    ...DISGUISES.filter(({ name }) => /^(zero-width spaces|Cyrillic letters|mathematical bold|base64|ROT13|figures for letters|spaced|URL encoding)$/.test(name)).map(({ name, hide }) => [name, repeated(`${hide(words)}\n`)] as const),
    ...Object.entries(HOSTILE).map(([name, unit]) => [`hostile: ${name}`, repeated(unit)] as const),
  ];
  assert.deepEqual(viewsOf(prose), []);
  const set = setOf(TWENTY);
  const cases: readonly Case[] = [{ name: 'prose, matched with 20 detectors', work: CHARS, run: () => scanText(set, prose).length }, ...texts.map(([name, text]): Case => ({ name, work: text.length, run: () => viewsOf(text).length }))];
  const timings = timeCases('views', cases, effort);
  const rows = cases.map(({ name }, i): Row => {
    const { medianNs, minNs, maxNs } = timings[i];
    return { cells: [name, (medianNs * 1_024) / 1e3, medianNs, minNs, maxNs, i === 0 ? 0 : viewsOf(texts[i - 1][1]).length], timing: timings[i] };
  });
  return { title: `Views of ${CHARS.toLocaleString('en-US')} characters`, columns: ['text', 'µs/KB', 'ns/char', 'min', 'max', 'views'], rows, note: 'The first row is for scale: matching, which every text costs.' };
}

function wholeScan(effort: Effort): Table {
  const policy = requirePolicy('policy: p\npatterns: [ { id: names, literal: [operation bluebird, open the vault], ignore_case: true } ]\nrules: []\n', 'p.yaml');
  const { patterns } = compilePlan(policy, [testPii()], { file: 'p.yaml' });
  const disguised = compilePlan(policy, [], { file: 'p.yaml' }).patterns;
  assert.ok(patterns.patterns.length > PII.length);
  const texts = [['prose', textOf('prose', CHARS)], ['two-byte', textOf('two-byte', CHARS)], ['code', textOf('code', CHARS)], ['Chinese', repeated(FOREIGN['Chinese'] as string)]] as const;
  const modes: readonly (readonly [string, readonly ViewName[]])[] = [['as it stands', []], ['plain, decoded', ['plain', 'decoded']], ['all views', ['plain', 'folded', 'spelled', 'decoded']]];
  const cases = texts.flatMap(([name, content]) => modes.map(([mode, names]): Case => {
    const scan = new TextScan({ patterns, disguised, upright: disguised }, { names });
    return { name: `${name}, ${mode}`, work: content.length, run: () => countOf(scan, content) };
  }));
  const timings = timeCases('scans', cases, effort);
  const rows = cases.map(({ name }, i): Row => {
    const { medianNs, minNs, maxNs } = timings[i];
    return { cells: [name, (medianNs * 1_024) / 1e3, medianNs, minNs, maxNs, `${(medianNs / timings[i - (i % modes.length)].medianNs).toFixed(2)}×`], timing: timings[i] };
  });
  return { title: `A prompt of ${CHARS.toLocaleString('en-US')} characters, pii plugin and a policy's own literals`, columns: ['text, views', 'µs/KB', 'ns/char', 'min', 'max', 'of as it stands'], rows };
}

function countOf(scan: TextScan, content: string): number {
  const steps = scan.findings({ content });
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value.length;
  }
}
