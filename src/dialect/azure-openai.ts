/**
 * What differs where OpenAI's endpoints are called by Azure's paths: clients there look for the reason of a block in an
 * inner error. Requests and answers are OpenAI's, with Azure's annotations, which the dialects know.
 */
import { ERROR_CODES } from '../contract/errors.ts';
import type { Dialect } from './dialect.ts';

/** The same dialect, with blocks as Azure says them. Which of Azure's categories it would have been is not known here. */
export function atAzure(dialect: Dialect): Dialect {
  return {
    ...dialect,
    error(code, message, requestId) {
      const answer = dialect.error(code, message, requestId);
      if (code !== 'content_filter') return answer;
      const { status, type } = ERROR_CODES[code];
      const error = { message, type, param: 'prompt', code, status, innererror: { code: 'ResponsibleAIPolicyViolation', content_filter_result: {} } };
      return { ...answer, body: Buffer.from(JSON.stringify({ error })) };
    },
  };
}
