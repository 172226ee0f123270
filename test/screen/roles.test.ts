/** Who said it, from the wire to the decision: prompts of several roles, answers, the screening service, cases, and what is recorded. */
import t from 'tap';
import { OPAQUE_KINDS, type RecordedFacts } from '../../src/contract/exchange.ts';
import type { Context } from '../../src/contract/screening.ts';
import { anthropicMessages } from '../../src/dialect/anthropic-messages.ts';
import type { Dialect } from '../../src/dialect/dialect.ts';
import { readJson } from '../../src/dialect/json.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { openaiResponses } from '../../src/dialect/openai-responses.ts';
import { runCases } from '../../src/policy/cases.ts';
import { decidePrompt, screenPrompt, type OpaqueTreatments, type PromptVerdict } from '../../src/proxy/prompt.ts';
import { stageOf } from '../../src/rehearsal.ts';
import { answerScreening } from '../../src/screen/service.ts';
import { planOf } from '../helpers/plans.ts';

const TREATMENTS = Object.fromEntries(OPAQUE_KINDS.map((kind) => [kind, 'pass'])) as OpaqueTreatments;
const rule = (role: string, action: string, more = ''): string => `policy: test\n${more}rules:\n  - { id: r, when: { all: [ { context: role, eq: ${role} }, { score: pii.EMAIL, gte: 0.5 } ] }, action: ${action} }\n`;

async function decided(policy: string, body: object, dialect: Dialect = openaiChat): Promise<PromptVerdict> {
  const plan = planOf(policy);
  const document = readJson(Buffer.from(JSON.stringify(body)), { depthMax: 100, itemsMax: 100_000 });
  const context: Context = { tenant: 'one', direction: 'input' };
  return decidePrompt(plan, await screenPrompt(plan, { document, reading: dialect.readRequest(document) }, context, TREATMENTS, new AbortController().signal), context);
}
const forwarded = (verdict: PromptVerdict): string => (verdict.kind === 'forward' ? verdict.request.body.toString() : verdict.kind);
const facts = (verdict: PromptVerdict): RecordedFacts => verdict.record.facts!;

/** Each mail names who says it. */
const CHAT = {
  model: 'm',
  messages: [
    { role: 'system', content: 'answer to sys@example.com' }, { role: 'user', content: 'I am user@example.com' },
    { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'look', arguments: '{"who":"bot@example.com"}' } }] },
    { role: 'tool', tool_call_id: 'c', content: 'found tool@example.com' },
  ],
  tools: [{ type: 'function', function: { name: 'look', description: 'of nobody@example.com' } }],
};

t.test('only the texts of the role that a rule names are redacted', async (t) => {
  for (const [role, redacted] of [['system', 'sys'], ['user', 'user'], ['assistant', 'bot'], ['tool', 'tool']] as const) {
    const body = forwarded(await decided(rule(role, 'redact', 'history: all\n'), CHAT));
    t.equal(body, JSON.stringify(CHAT).replace(`${redacted}@example.com`, '[EMAIL]'), role);
  }
  const unsaid = 'policy: test\nhistory: all\nrules:\n  - { id: r, when: { all: [ { context: role, exists: false }, { score: pii.EMAIL, gte: 0.5 } ] }, action: redact }\n';
  t.equal(forwarded(await decided(unsaid, CHAT)), JSON.stringify(CHAT).replace('nobody@example.com', '[EMAIL]'), 'a definition is of nobody');
  t.equal(forwarded(await decided(rule('developer', 'block', 'history: all\n'), CHAT)), JSON.stringify(CHAT));
});

t.test('earlier turns are redacted as their own role says', async (t) => {
  const body = { model: 'm', messages: [{ role: 'user', content: 'user@example.com' }, { role: 'assistant', content: 'bot@example.com' }, { role: 'user', content: 'again@example.com' }] };
  t.equal(forwarded(await decided(rule('user', 'redact'), body)), JSON.stringify(body).replace('user@example.com', '[EMAIL]').replace('again@example.com', '[EMAIL]'));
});

t.test('a rule about one role does not stop at another', async (t) => {
  const asked = { model: 'm', messages: [{ role: 'system', content: 'be kind' }, { role: 'user', content: 'user@example.com' }] };
  t.equal((await decided(rule('tool', 'block', 'history: all\n'), CHAT)).kind, 'blocked');
  t.equal((await decided(rule('tool', 'block', 'history: all\n'), asked)).kind, 'forward');
  t.equal((await decided(rule('user', 'block'), asked)).kind, 'blocked');
});

t.test('every dialect tells the roles', async (t) => {
  const claude = { model: 'm', max_tokens: 1, system: 'sys@example.com', messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'tool@example.com' }, { type: 'text', text: 'user@example.com' }] }] };
  const responses = { model: 'm', instructions: 'sys@example.com', input: [{ type: 'message', role: 'user', content: 'user@example.com' }, { type: 'function_call_output', call_id: 'a', output: 'tool@example.com' }] };
  for (const [dialect, body] of [[anthropicMessages, claude], [openaiResponses, responses]] as const) {
    for (const [role, redacted] of [['system', 'sys'], ['user', 'user'], ['tool', 'tool']] as const) {
      t.equal(forwarded(await decided(rule(role, 'redact', 'history: all\n'), body, dialect)), JSON.stringify(body).replace(`${redacted}@example.com`, '[EMAIL]'), `${dialect.id} ${role}`);
    }
  }
});

t.test('what a record says of the roles', async (t) => {
  const policy = rule('tool', 'warn', 'history: all\n');
  const several = facts(await decided(policy, CHAT));
  t.same(several.roles?.map(({ role, results }) => [role, results.map(({ category, count }) => [category, count])]), ['system', 'user', 'assistant', 'tool', undefined].map((role) => [role, [['EMAIL', 1]]]));
  t.same(several.context, undefined);
  t.same(facts(await decided(policy, { model: 'm', messages: [{ role: 'tool', tool_call_id: 'c', content: 'a' }] })).context, { role: 'tool' });
  t.same(facts(await decided(policy, { model: 'm', messages: [{ role: 'no role, but a sentence', content: 'a' }] })).context, { role: null }, 'what looks like no role is text');
  t.notOk('roles' in facts(await decided('policy: test\nhistory: all\n', CHAT)), 'where no rule asks, nothing');
});

t.test('an answer is the assistant’s', async (t) => {
  for (const [role, action] of [['assistant', 'block'], ['user', 'allow']] as const) {
    const plan = planOf(`policy: test\nrules:\n  - { id: r, direction: output, when: { context: role, eq: ${role} }, action: block }\n`);
    t.equal(plan.forOutput({}).initial.action, action, role);
    t.match(plan.forOutput({}).recordFacts().context, { role: 'assistant' });
  }
});

t.test('the screening service and cases are told it in the context', async (t) => {
  const plan = planOf(`${rule('tool', 'block')}cases:
  - { name: a tool, direction: input, text: tool@example.com, context: { role: tool }, expect: { action: block, rules: [r] } }
  - { name: a tool’s score, direction: input, scores: { pii.EMAIL: 0.9 }, context: { role: tool }, expect: { action: block, rules: [r] } }
  - { name: a user, direction: input, text: user@example.com, context: { role: user }, expect: { action: allow, rules: [] } }
  - { name: nobody, direction: input, text: user@example.com, expect: { action: allow, rules: [] } }
`);
  t.same((await runCases(stageOf(plan), { clock: () => 0 })).cases.map(({ name, state }) => [name, state]), [['a tool', 'PASS'], ['a tool’s score', 'PASS'], ['a user', 'PASS'], ['nobody', 'PASS']]);
  const ask = async (direction: string, context?: object): Promise<unknown> => {
    const { body } = await answerScreening({ direction, content: 'a@example.com', ...(context === undefined ? {} : { context }) }, { requestId: 'r', tenantId: 'one', now: new Date() }, () => plan);
    return (body as { readonly action: string }).action;
  };
  t.same([await ask('input', { role: 'tool' }), await ask('input', { role: 'user' }), await ask('input'), await ask('output')], ['block', 'allow', 'allow', 'allow']);
});
