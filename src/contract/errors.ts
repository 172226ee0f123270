/**
 * The one error class and the closed list of codes that a caller can meet, with HTTP status, error type in OpenAI's
 * vocabulary, meaning and what to do next. README lists the same table; a test holds them together.
 *
 * INVARIANT: messages are lower case, name what was received, say what to do next, and never contain user text.
 */

export const ERROR_CODES = {
  // who
  missing_api_key: { status: 401, type: 'authentication_error', meaning: 'no API key in the request', next: 'send Authorization: Bearer <key>' },
  invalid_api_key: { status: 401, type: 'authentication_error', meaning: 'the API key is unknown, expired or revoked', next: 'check the key; weir keys list shows the active ones' },
  two_credentials: { status: 400, type: 'invalid_request_error', meaning: 'the request carries two credentials', next: 'send exactly one of authorization, api-key, x-api-key' },
  key_scope: { status: 403, type: 'invalid_request_error', meaning: 'the API key is not for this endpoint', next: 'use a key with that scope; weir keys list shows the scopes' },
  rate_limited: { status: 429, type: 'rate_limit_error', meaning: 'a request, token or concurrency limit of the tenant or the key is reached', next: 'wait for Retry-After, or raise the limit' },
  no_policy: { status: 503, type: 'server_error', meaning: 'the tenant has no usable policy, and a tenant without a policy is never allowed', next: 'run weir check and correct the policy' },
  policy_stale: { status: 503, type: 'server_error', meaning: "the tenant's stored policy could not be confirmed for longer than tenants[].policy_stale_max_s, and the tenant fails closed", next: 'repair Redis or the store; /metrics tells the age of each policy' },
  // where
  unknown_endpoint: { status: 404, type: 'invalid_request_error', meaning: 'the endpoint is neither screened nor on the pass_through list', next: 'check the base URL, or add the path to proxy.pass_through' },
  method_not_allowed: { status: 405, type: 'invalid_request_error', meaning: 'the endpoint does not take this method', next: 'use the method in the Allow header' },
  upgrade_refused: { status: 501, type: 'invalid_request_error', meaning: 'WebSocket is not screened on this endpoint, or the configuration refuses it', next: 'use the HTTP endpoint, or see proxy.websockets' },
  upgrade_required: { status: 426, type: 'invalid_request_error', meaning: 'the endpoint speaks WebSocket, version 13, and the request is no handshake of it', next: 'connect with a WebSocket client' },
  // what
  bad_request: { status: 400, type: 'invalid_request_error', meaning: 'the HTTP request is malformed or ambiguous', next: 'send each singular header once and a valid request line' },
  url_too_long: { status: 414, type: 'invalid_request_error', meaning: 'the request target is longer than proxy.limits.url_bytes_max', next: 'shorten the URL' },
  headers_too_large: { status: 431, type: 'invalid_request_error', meaning: 'the headers exceed proxy.limits.header_bytes_max or headers_max', next: 'send fewer or smaller headers' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error', meaning: 'the content type is not one that this endpoint is screened in', next: 'send application/json in UTF-8, or multipart/form-data with one boundary where the endpoint takes a form' },
  unsupported_encoding: { status: 415, type: 'invalid_request_error', meaning: 'the body is compressed or transfer-encoded in a way that cannot be screened', next: 'send the body without Content-Encoding' },
  body_too_large: { status: 413, type: 'invalid_request_error', meaning: 'the body is larger than proxy.limits.body_bytes_max', next: 'send less, or raise the limit' },
  body_timeout: { status: 408, type: 'invalid_request_error', meaning: 'the body did not arrive within proxy.timeouts.request_ms', next: 'send it faster, or raise the timeout' },
  invalid_utf8: { status: 400, type: 'invalid_request_error', meaning: 'the body is not valid UTF-8', next: 'encode the body as UTF-8 without a byte order mark' },
  invalid_json: { status: 400, type: 'invalid_request_error', meaning: 'the body is not valid JSON', next: 'correct the JSON' },
  duplicate_key: { status: 400, type: 'invalid_request_error', meaning: 'a JSON object or a form names a key twice, so two readers could read two texts', next: 'name each key once' },
  json_too_deep: { status: 400, type: 'invalid_request_error', meaning: 'the JSON is nested deeper than proxy.limits.json_depth_max', next: 'flatten the body, or raise the limit' },
  json_too_many_keys: { status: 400, type: 'invalid_request_error', meaning: 'the JSON holds more keys and elements than proxy.limits.json_items_max', next: 'send less, or raise the limit' },
  invalid_form: { status: 400, type: 'invalid_request_error', meaning: 'the multipart form is broken, or two parsers could read it differently', next: 'send it as the official SDKs write it' },
  form_too_large: { status: 400, type: 'invalid_request_error', meaning: 'the form has more than 1000 parts, or a part has more than 4096 bytes of headers', next: 'send fewer parts, with shorter headers' },
  invalid_request: { status: 400, type: 'invalid_request_error', meaning: 'the body is not a request of this endpoint', next: "see the endpoint's documentation" },
  unknown_request: { status: 404, type: 'invalid_request_error', meaning: 'the tenant has no such request, or none that is still known here', next: 'send the id that x-weir-request-id told, soon after' },
  opaque_refused: { status: 400, type: 'invalid_request_error', meaning: 'the request, or the answer, holds or names something that cannot be screened here, and the configuration refuses that', next: 'send the text itself, or allow it under proxy.opaque' },
  // decided
  content_filter: { status: 400, type: 'invalid_request_error', meaning: 'the policy blocked the prompt', next: 'change the prompt; the request id finds the reasons' },
  session_barred: { status: 403, type: 'invalid_request_error', meaning: 'an earlier exchange of the session was found to violate the policy after it had gone through', next: 'wait for the time that the policy sets under screening.bar_session, or begin another session' },
  screening_failed: { status: 400, type: 'invalid_request_error', meaning: 'a required score is missing and the policy fails closed', next: 'retry later; the operator sees which classifier is down' },
  // beyond
  upstream_unreachable: { status: 502, type: 'server_error', meaning: 'the upstream refused or broke the connection', next: 'check that the upstream runs at the configured URL' },
  upstream_timeout: { status: 504, type: 'server_error', meaning: 'the upstream did not answer within upstreams.*.timeouts', next: 'retry, or raise the timeout' },
  upstream_protocol: { status: 502, type: 'server_error', meaning: 'the upstream answered with something that cannot be screened', next: 'check that the upstream speaks the API of this endpoint' },
  response_too_large: { status: 502, type: 'server_error', meaning: 'an answer or one event of it is larger than proxy.limits allow', next: 'raise proxy.limits.response_bytes_max or event_bytes_max' },
  overloaded: { status: 503, type: 'server_error', meaning: 'more requests are open than proxy.limits.connections_max', next: 'wait for Retry-After' },
  draining: { status: 503, type: 'server_error', meaning: 'this instance is shutting down', next: 'retry; another instance will answer' },
  audit_unavailable: { status: 503, type: 'server_error', meaning: 'the audit log cannot be written and the tenant asked for strict durability', next: 'free the disk or repair the log; weir audit verify tells the state' },
  store_unavailable: { status: 503, type: 'server_error', meaning: 'the store does not answer', next: 'repair it or wait, then look whether the change was made before making it again' },
  internal: { status: 500, type: 'server_error', meaning: 'a fault in weir itself', next: 'report it with the request id' },
} as const satisfies Record<string, { status: number; type: string; meaning: string; next: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** A refusal with a code from the closed list. `detail` says what was received, without user text. */
export class WeirError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly type: string;

  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown }) {
    const entry = ERROR_CODES[code];
    super(`${detail ?? entry.meaning}; ${entry.next}`, options);
    this.name = 'WeirError';
    this.code = code;
    this.status = entry.status;
    this.type = entry.type;
  }
}

/** One finding of `weir check`: a place in a file, what is wrong, what was probably meant. Lines and columns from 1. */
export interface ConfigIssue {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Where in the document, `tenants[0].limits`. */
  readonly path: string;
  readonly message: string;
  readonly suggestion?: string;
  readonly severity: 'error' | 'warning';
}

/** A configuration or policy that was refused, with every issue found. */
export class ConfigError extends Error {
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[]) {
    super(issues.map((i) => `${i.file}:${i.line}:${i.column} ${i.message}${i.suggestion ? ` (${i.suggestion})` : ''}`).join('\n'));
    this.name = 'ConfigError';
    this.issues = issues;
  }
}
