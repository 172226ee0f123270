/**
 * `weir redact`: stdin to stdout, redacted as it streams, with the proxy's own engine. A character leaves as soon as no
 * match can contain it; a character that two chunks share is put together first. Nothing is stored.
 */
import { StringDecoder } from 'node:string_decoder';
import { ClassifierPool, loadRuntime, planOf } from '../runtime.ts';
import type { Context } from '../contract/screening.ts';
import { Redactor } from '../stream/redactor.ts';
import { parseCall, type CliCommand } from './command.ts';
import { readStored } from './stored.ts';
import { chooseTenant } from './screen.ts';

export const redact: CliCommand = {
  name: 'redact',
  summary: 'stdin to stdout, redacted as it streams',
  help: `usage: weir redact [--tenant ID] [--config FILE]

Copies stdin to stdout and redacts what the tenant's policy redacts in an answer. Bytes that are no UTF-8 become U+FFFD.

  --tenant ID    whose policy; default: the only tenant
  --config FILE  default: config/weir.yaml in the working directory, else the one that comes with weir

exit code: 0 all of it was copied, 1 the policy blocked the text and the copy stops there, 2 wrong call
`,
  async run(args, io) {
    const { options } = parseCall(args, { tenant: 'value', config: 'value' }, 0);
    const pool = new ClassifierPool();
    try {
      const runtime = await loadRuntime(options.config, io.env, pool, readStored(pool));
      const tenantId = chooseTenant(runtime.snapshot.config.tenants.map(({ id }) => id), options.tenant);
      const context: Context = { tenant: tenantId, direction: 'output', content_type: 'text' };
      const plan = planOf(runtime, tenantId).forOutput(context);
      const channel = plan.openChannel();
      const redactor = new Redactor(plan.patterns, (component, text) => channel.judge(component, text));
      const decoder = new StringDecoder('utf8');
      const leave = (text: string): void => void (text !== '' && io.stdout(text));
      for await (const chunk of io.stdin) {
        leave(redactor.feed(decoder.write(chunk as Buffer)));
        if (redactor.blocked) break;
      }
      leave(redactor.feed(decoder.end()) + redactor.flush());
      if (!redactor.blocked) return 0;
      io.stderr('weir redact: the policy blocked the text; nothing after this point was copied\n');
      return 1;
    } finally {
      await pool.close();
    }
  },
};
