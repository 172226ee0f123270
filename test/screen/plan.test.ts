/** The plan on arguments that a prompt carries: redacted as the stream would redact them, and JSON all the same. */
import t from 'tap';
import type { Segment } from '../../src/contract/exchange.ts';
import { Redactor } from '../../src/stream/redactor.ts';
import { JsonChannel } from '../../src/stream/channel.ts';
import { applyEdits, sliceEdited } from '../../src/text/edits.ts';
import { planOf, REDACT_PII } from '../helpers/plans.ts';

const plan = planOf(REDACT_PII);

async function inPrompt(content: string, json: boolean): Promise<string> {
  const segment: Segment = { path: 'a', carrier: 'a', contentType: 'text', content, json, history: false };
  const screened = await plan.screen([segment], 'input', {});
  const decision = plan.decide(screened, 'input', {});
  return decision.action === 'redact' ? applyEdits(content, plan.edits(screened.segments[0]!.results, decision, segment)) : content;
}

function inStream(content: string): string {
  const output = plan.forOutput({});
  const judge = output.openChannel();
  const channel = new JsonChannel({ set: output.patterns, judge: (component, text) => judge.judge(component, text) });
  channel.feed(content);
  channel.close();
  return sliceEdited(content, 0, 0, content.length, channel.edits);
}

t.test('arguments of a prompt are written as those of an answer', async (t) => {
  const cases: readonly [string, string][] = [
    ['{"card": 4111111111111111, "n": 1}', '{"card": "[CREDIT_CARD]", "n": 1}'],
    ['{"card": -4111111111111111}', '{"card": "[CREDIT_CARD]"}'],
    ['{"mail":"ana\\u0040example.com"}', '{"mail":"[EMAIL]"}'],
    ['{"ana@example.com":true}', '{"[EMAIL]":true}'],
    ['{"a":"say \\"ana@example.com\\"","b":["10.1.2.3"]}', '{"a":"say \\"[EMAIL]\\"","b":["[IP_ADDRESS]"]}'],
    ['{"a":"nothing"}', '{"a":"nothing"}'],
  ];
  for (const [given, expected] of cases) {
    t.equal(await inPrompt(given, true), expected, given);
    t.equal(inStream(given), expected, given);
    t.doesNotThrow(() => JSON.parse(expected));
  }
});

t.test('plain text of a prompt is redacted as the redactor does', async (t) => {
  const output = plan.forOutput({});
  for (const text of ['write to ana@example.com, 4111 1111 1111 1111', 'nothing here', 'ana@example.com']) {
    const judge = output.openChannel();
    const redactor = new Redactor(output.patterns, (component, part) => judge.judge(component, part));
    t.equal(await inPrompt(text, false), redactor.feed(text) + redactor.flush());
  }
});
