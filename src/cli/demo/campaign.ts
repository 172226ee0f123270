/**
 * What goes on behind the demo's script: a help desk's prompts pass through the proxy, a campaign draws some of them, and
 * two made-up people label most of what was drawn, over the same ports that everybody has. So the console has something to
 * show, and leaves some texts for the visitor to label.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { PLANTED_CATEGORY, plantedPrompts, wantsTheCode } from './traffic.ts';

export const CAMPAIGN = { id: 'help-desk', directions: ['input'], strata: [{ id: 'all', probability_percent: 50 }], calibration_percent: 0 } as const;

const PROMPTS = 120;
const WANTING = 24;
const PEOPLE = ['ana', 'ben'] as const;
/** About a third of what is drawn stays for the visitor. */
const LABELS_EACH = 22;
const LABELLED_FROM = 48;
const DRAWN_WAIT_MS = 100;
const DRAWN_WAITS_MAX = 40;

export interface CampaignPlace {
  readonly proxyUrl: string;
  readonly adminUrl: string;
  /** Of an admin. */
  readonly token: string;
  /** Between two prompts. */
  readonly pauseMs: number;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

interface NextText {
  readonly annotation: { readonly annotation_id: string } | null;
  readonly texts: readonly { readonly text: string }[];
}

/** Asks over HTTP; POST where there is a body. Rejects where the answer is none. */
type Ask = <T>(url: string, token: string, body?: object) => Promise<T>;

/** Resolves when all is labelled that is to be. Rejects where a port does not answer as it should. */
export async function playCampaign({ proxyUrl, adminUrl, token, pauseMs, random, signal }: CampaignPlace): Promise<void> {
  const ask: Ask = async <T>(url: string, as: string, body?: object): Promise<T> => {
    const response = await fetch(url, { signal, headers: { 'content-type': 'application/json', authorization: `Bearer ${as}` }, ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`${new URL(url).pathname} answered ${response.status}`);
    return (await response.json()) as T;
  };
  const api = `${adminUrl}/api/v1`;
  for (const { text } of plantedPrompts(PROMPTS, WANTING, random)) {
    await ask(`${proxyUrl}/v1/chat/completions`, 'made-up', { model: 'demo', messages: [{ role: 'user', content: text }] });
    await pause(pauseMs, undefined, { signal });
  }
  const drawn = async (): Promise<number> => (await ask<{ readonly total: { readonly drawn: number } }>(`${api}/risk/campaigns/${CAMPAIGN.id}`, token)).total.drawn;
  for (let waits = 0; waits < DRAWN_WAITS_MAX && (await drawn()) < LABELLED_FROM; waits++) await pause(DRAWN_WAIT_MS, undefined, { signal });
  for (const name of PEOPLE) await label(ask, api, (await ask<{ readonly token: string }>(`${api}/tokens`, token, { name, roles: ['reviewer'] })).token);
}

async function label(ask: Ask, api: string, token: string): Promise<void> {
  for (let labels = 0; labels < LABELS_EACH; labels++) {
    const { annotation, texts } = await ask<NextText>(`${api}/risk/next`, token, {});
    if (annotation === null) return;
    await ask(`${api}/risk/annotations/${annotation.annotation_id}/label`, token, wantsTheCode(texts.at(-1)!.text) ? { label: 'violation', category: PLANTED_CATEGORY } : { label: 'safe' });
  }
  await ask(`${api}/risk/release`, token, {});
}
