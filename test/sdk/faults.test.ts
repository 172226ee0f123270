/**
 * Errors, breaks and departures through the official SDKs: what the provider refuses arrives as the same error class
 * with the same body, headers and retries; a stream that breaks is an error and never a short answer; a stream that the
 * application leaves stops the provider.
 */
import t from 'tap';
import { SDKS, SdkHouse, askBothWays, beginning, chunksOf, endOfBody, endToEnd, errorFacts, errorOf } from '../helpers/sdk.ts';
import { SSE_HEAD, chunk, json, pause, until, type Script } from '../helpers/upstream.ts';

const REQUEST = { model: 'm', messages: [{ role: 'user' as const, content: 'Tell me more.' }] };
const PIECES = ['One', ' two ', 'three', ' four '];

const refusal = (message: string, type: string, code: string | null): unknown => ({ error: { message, type, param: null, code } });

const REFUSALS: readonly { readonly kind: string; readonly script: Script; readonly attempts: number }[] = [
  { kind: 'AuthenticationError', attempts: 1, script: json(401, refusal('Incorrect API key provided: sk-ma***-up.', 'invalid_request_error', 'invalid_api_key'), { 'x-request-id': 'req_401', 'x-made-up': 'kept' }) },
  { kind: 'NotFoundError', attempts: 1, script: json(404, refusal('The model does not exist', 'invalid_request_error', 'model_not_found'), { 'x-request-id': 'req_404' }) },
  { kind: 'RateLimitError', attempts: 3, script: json(429, refusal('Slow down', 'tokens', 'rate_limit_exceeded'), { 'retry-after': '1', 'retry-after-ms': '5', 'x-request-id': 'req_429' }) },
  { kind: 'RateLimitError', attempts: 1, script: json(429, refusal('Out of quota', 'insufficient_quota', 'insufficient_quota'), { 'x-should-retry': 'false' }) },
  { kind: 'InternalServerError', attempts: 3, script: json(500, refusal('We are sorry', 'server_error', null), { 'retry-after-ms': '5', 'x-request-id': 'req_500' }) },
  { kind: 'InternalServerError', attempts: 3, script: json(503, 'overloaded', { 'retry-after-ms': '5' }) },
];

for (const sdk of SDKS) {
  t.test(`${sdk.name}: the provider's refusals are the provider's`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    for (const { kind, script, attempts } of REFUSALS) {
      house.upstream.script = script;
      for (const stream of [false, true]) {
        const refused = await askBothWays(house, sdk, ({ chat }) => errorOf(chat.create({ ...REQUEST, stream })), 2);
        const what = `${kind}${stream ? ', stream' : ''}`;
        t.equal(refused.through.constructor.name, kind);
        t.ok(refused.through instanceof sdk.OpenAI.APIError, what);
        t.strictSame(errorFacts(refused.through), errorFacts(refused.direct), what);
        t.equal(refused.sentDirect.length, attempts, `${what}: attempts`);
        t.strictSame(refused.sentThrough.map(endToEnd), refused.sentDirect.map(endToEnd), `${what}: the same attempts`);
      }
    }
  });

  t.test(`${sdk.name}: a refusal that is overcome by a retry`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    let turn = 0;
    house.upstream.script = (socket, request) => (turn++ % 2 === 0 ? json(429, { error: { message: 'Slow down' } }, { 'retry-after-ms': '5' }) : json(200, { choices: [] }))(socket, request);
    const got = await askBothWays(house, sdk, ({ chat }) => chat.create(REQUEST), 1);
    t.strictSame(got.through, got.direct);
    t.strictSame([got.sentDirect.length, got.sentThrough.length], [2, 2]);
  });

  t.test(`${sdk.name}: an unknown endpoint is a NotFoundError of ours`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const { client } = sdk.connect(house.weirUrl, 2);
    const error = await errorOf(client.get('/made-up'));
    t.ok(error instanceof sdk.OpenAI.NotFoundError);
    t.match(error, { status: 404, code: 'unknown_endpoint' });
    t.equal((await house.takeClosed(1)).length, 1, 'asked once');
    t.equal(house.upstream.received.length, 0);
  });

  t.test(`${sdk.name}: a provider that cannot be reached is a server error`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = (socket) => void socket.destroy();
    const { chat } = sdk.connect(house.weirUrl);
    for (const stream of [false, true]) {
      const error = await errorOf(chat.create({ ...REQUEST, stream }));
      t.ok(error instanceof sdk.OpenAI.InternalServerError);
      t.match(error, { status: 502, code: 'upstream_unreachable' });
    }
  });

  t.test(`${sdk.name}: a stream that breaks off is an error, whatever had come`, async (t) => {
    for (const policy of ['empty', 'redact'] as const) {
      const house = await SdkHouse.open(t, policy);
      const { chat, helpers } = sdk.connect(house.weirUrl);
      const breaks: Readonly<Record<string, Script>> = {
        reset: beginning(PIECES, async (socket) => { await pause(20); socket.resetAndDestroy(); }),
        'closed in the middle of an event': beginning(PIECES, async (socket) => { socket.write(chunk('data: {"choices":[{"ind')); await pause(20); socket.destroy(); }),
        'no event at all': async (socket) => { socket.write(SSE_HEAD); await pause(20); socket.destroy(); },
      };
      for (const [how, script] of Object.entries(breaks)) {
        house.upstream.script = script;
        const heard: string[] = [];
        const error = await errorOf((async () => {
          for await (const { choices } of await chat.create({ ...REQUEST, stream: true })) heard.push(choices[0].delta.content ?? '');
        })());
        t.ok(error instanceof Error, `${policy}, ${how}: ${error.message}`);
        t.ok(PIECES.join('').startsWith(heard.join('')), 'what had come is the beginning');
        const helped = await errorOf(helpers.stream(REQUEST).finalChatCompletion());
        t.ok(helped instanceof Error, `${policy}, ${how}, helper: ${helped.message}`);
        t.strictSame((await house.takeClosed(2)).map(({ outcome }) => outcome), ['upstream_failed', 'upstream_failed'], how);
      }
    }
  });

  t.test(`${sdk.name}: a body that ends without the end of the answer stays without one`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = beginning(PIECES, endOfBody);
    const cut = await askBothWays(house, sdk, async ({ chat }) => chunksOf(await chat.create({ ...REQUEST, stream: true })));
    t.strictSame(cut.through, cut.direct);
    const helped = await askBothWays(house, sdk, ({ helpers }) => errorOf(helpers.stream(REQUEST).finalChatCompletion()));
    t.strictSame(errorFacts(helped.through), errorFacts(helped.direct));
  });

  t.test(`${sdk.name}: an application that leaves stops the provider within a second`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = beginning(PIECES, async (socket) => {
      while (!socket.destroyed) {
        socket.write(chunk('data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"on "},"finish_reason":null}]}\n\n'));
        await pause(5);
      }
    });
    const { chat, helpers } = sdk.connect(house.weirUrl);
    const stopped = async (how: string): Promise<void> => {
      await until(() => house.upstream.openAnswers === 0, 20_000, `${how}: the provider stopped`);
      t.strictSame((await house.takeClosed(1)).map(({ outcome }) => outcome), ['client_left'], how);
    };

    const aborted = await chat.create({ ...REQUEST, stream: true });
    for await (const { choices } of aborted) if (choices[0].delta.content === 'on ') aborted.controller.abort();
    await stopped('controller.abort()');

    for await (const { choices } of await chat.create({ ...REQUEST, stream: true })) if (choices[0].delta.content === 'on ') break;
    await stopped('break');

    const helped = helpers.stream(REQUEST);
    helped.on('content', (delta) => { if (delta === 'on ') helped.abort(); });
    t.equal((await errorOf(helped.finalChatCompletion())).constructor.name, 'APIUserAbortError');
    await stopped('abort()');

    const signal = AbortSignal.timeout(60);
    const waiting: Script = () => new Promise(() => {});
    house.upstream.script = waiting;
    t.equal((await errorOf(chat.create(REQUEST, { signal }))).constructor.name, 'APIUserAbortError');
    await stopped('a signal before the answer');
  });
}
