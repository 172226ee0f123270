/**
 * Which provider answers, in the words of the GenAI conventions, as far as can be known: what the configuration says, else
 * what the host is known for, else whose wire format it speaks. No I/O.
 */
import { nameOf } from '../contract/names.ts';
import type { UpstreamCall } from '../contract/upstream-call.ts';

/** How people call them, and how the conventions do. */
const CALLED: Readonly<Record<string, string>> = {
  azure: 'azure.ai.openai', bedrock: 'aws.bedrock', gemini: 'gcp.gemini', vertex: 'gcp.vertex_ai', vertex_ai: 'gcp.vertex_ai', mistral: 'mistral_ai', xai: 'x_ai', grok: 'x_ai', moonshot: 'moonshot_ai', watsonx: 'ibm.watsonx.ai',
};

/** By the end of a host's name. */
const HOSTS: readonly (readonly [host: RegExp, provider: string])[] = [
  [/(?:^|\.)openai\.azure\.com$|(?:^|\.)cognitiveservices\.azure\.com$/, 'azure.ai.openai'],
  [/(?:^|\.)services\.ai\.azure\.com$|(?:^|\.)inference\.ai\.azure\.com$/, 'azure.ai.inference'],
  [/(?:^|\.)openai\.com$/, 'openai'],
  [/(?:^|\.)anthropic\.com$/, 'anthropic'],
  [/(?:^|\.)bedrock-runtime(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com$/, 'aws.bedrock'],
  [/(?:^|\.)generativelanguage\.googleapis\.com$/, 'gcp.gemini'],
  [/(?:^|[.-])aiplatform\.googleapis\.com$/, 'gcp.vertex_ai'],
  [/(?:^|\.)groq\.com$/, 'groq'],
  [/(?:^|\.)mistral\.ai$/, 'mistral_ai'],
  [/(?:^|\.)deepseek\.com$/, 'deepseek'],
  [/(?:^|\.)perplexity\.ai$/, 'perplexity'],
  [/(?:^|\.)x\.ai$/, 'x_ai'],
  [/(?:^|\.)cohere\.(?:ai|com)$/, 'cohere'],
  [/(?:^|\.)ml\.cloud\.ibm\.com$/, 'ibm.watsonx.ai'],
  [/(?:^|\.)moonshot\.(?:ai|cn)$/, 'moonshot_ai'],
];

/** Told once for each upstream and wire format. */
const told = new Map<string, string>();
const TOLD_MAX = 1_000;

export function providerOf({ provider, address, dialect }: Pick<UpstreamCall, 'provider' | 'address' | 'dialect'>): string {
  if (provider !== undefined) return CALLED[provider.toLowerCase()] ?? nameOf(provider);
  const key = `${dialect} ${address}`;
  let name = told.get(key);
  if (name === undefined) {
    if (told.size >= TOLD_MAX) told.clear();
    told.set(key, name = HOSTS.find(([host]) => host.test(address))?.[1] ?? (dialect.startsWith('anthropic') ? 'anthropic' : 'openai'));
  }
  return name;
}
