/** How a stream may end: on an event that is whole but not closed, in the middle of one, on a frame that is for nobody. */
import t from 'tap';
import { guarded } from '../helpers/guarded.ts';
import { EMPTY_POLICY, planOf } from '../helpers/plans.ts';

const event = 'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}';

t.test('the last event of a stream', async (t) => {
  const plan = planOf(EMPTY_POLICY);
  const out = (text: string): string => guarded(plan, [Buffer.from(text)]).bytes.toString();
  t.equal(out(`${event}\n\n${event}`), `${event}\n\n${event}`, 'is whole, though no empty line follows');
  t.equal(out(`${event}\n\ndata: [DONE]`), `${event}\n\ndata: [DONE]`);
  t.equal(out(`retry: 10\n\n${event}\n\n`), `${event}\n\n`, 'a frame that is for nobody does not leave');
  t.throws(() => out(`${event}\n\ndata: {"choices":[{"index":0,"del`), { code: 'upstream_unreachable' }, 'is broken off');
});
