/** A Weir with a campaign of prompts, people who label, and items with known answers, for tests of labelling. */
import type { Test } from 'tap';
import { ask, tokenFor, type Answered } from './admin.ts';
import { openHouse, until, type House } from './house.ts';

export const CAMPAIGN = { id: 'q', directions: ['input'], strata: [{ id: 'all', probability_percent: 100 }], calibration_percent: 0, double_blind_percent: 0 };

export interface Campaign {
  readonly house: House;
  call(method: string, path: string, body?: object, token?: string): Promise<Answered>;
  /** The token of somebody who reviews. */
  person(name: string, roles?: readonly string[]): Promise<string>;
  /** Labels what is next with what is said of its text; the state where there is none. */
  labelNext(token: string, say: (text: string) => object): Promise<string>;
}

/** With these texts drawn. */
export async function openCampaign(t: Test, texts: readonly string[], campaign: object = {}, annotation: object = {}, config: object = {}): Promise<Campaign> {
  const house = await openHouse(t, {
    config: { risk: { campaigns: [{ ...CAMPAIGN, ...campaign }], annotation }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', product: 'Help centre', data: { campaigns: true } }], ...config },
    files: { 'acme.yaml': 'policy: acme\nrules:\n  - { id: pii, direction: output, when: { score: pii.*, gte: 0.5 }, action: redact }\n' },
  });
  const call: Campaign['call'] = (method, path, body, token = house.token) => ask(house.adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) });
  for (const text of texts) await house.chat(text);
  await until(async () => ((await call('GET', 'risk/campaigns/q')).body.total?.drawn ?? 0) === texts.length, 'the tasks');
  return {
    house, call,
    person: (name, roles = ['reviewer']) => tokenFor(house.adminUrl, house.token, name, roles),
    labelNext: async (token, say) => {
      const { body: { state, annotation: given, texts: [shown] } } = await call('POST', 'risk/next', undefined, token);
      if (state === 'there') await call('POST', `risk/annotations/${given.annotation_id}/label`, say(shown.text), token);
      return state;
    },
  };
}

/** Known to be of a category, or safe. */
export function knownItems(count: number, label: 'safe' | 'violation' = 'safe', direction = 'input'): readonly object[] {
  return Array.from({ length: count }, (_, i) => ({ text: `a known text ${label} ${i}`, label, direction, ...(label === 'violation' ? { category: 'toxicity.hate' } : {}) }));
}
