/**
 * The demo's app: asks the proxy as any SDK would, over HTTP, and tells each piece of text as it arrives.
 */
import type { DemoExchange } from './script.ts';

export interface DemoAnswer {
  readonly status: number;
  readonly requestId: string;
  readonly finishReason: string;
  /** The error's code and message when the proxy refused. */
  readonly error?: { readonly code: string; readonly message: string };
}

interface ChatChunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null; readonly tool_calls?: readonly { readonly function?: { readonly arguments?: string } }[] };
    readonly finish_reason?: string | null;
  }[];
}

export async function ask(proxyUrl: string, exchange: DemoExchange, seed: number, onPiece: (piece: string) => void, signal: AbortSignal): Promise<DemoAnswer> {
  const response = await fetch(`${proxyUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer made-up' },
    body: JSON.stringify({ model: 'demo', stream: true, seed, messages: [{ role: 'user', content: exchange.prompt.text }] }),
    signal,
  });
  const requestId = response.headers.get('x-weir-request-id') ?? '';
  if (!response.ok || response.body === null) {
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    return { status: response.status, requestId, finishReason: '', error };
  }
  let finishReason = '';
  for await (const chunk of readEvents(response.body)) {
    for (const choice of chunk.choices ?? []) {
      onPiece((choice.delta?.content ?? '') + (choice.delta?.tool_calls ?? []).map((call) => call.function?.arguments ?? '').join(''));
      finishReason = choice.finish_reason ?? finishReason;
    }
  }
  return { status: response.status, requestId, finishReason };
}

/** The chunks of an event stream; enough for one that our own upstream wrote. */
async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ChatChunk> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split('\n\n');
    rest = events.pop() as string;
    for (const event of events) {
      const data = event.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
      if (data !== '' && data !== '[DONE]') yield JSON.parse(data) as ChatChunk;
    }
  }
}
