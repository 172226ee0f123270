/** Azure's paths: the same dialects, and blocks as clients there look for them. */
import t from 'tap';
import { atAzure } from '../../src/dialect/azure-openai.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';

t.test('a block has an inner error, any other error is OpenAI’s', async (t) => {
  const azure = atAzure(openaiChat);
  const { status, headers, body } = azure.error('content_filter', 'blocked', 'r1');
  t.match({ status, headers }, { status: 400, headers: { 'x-should-retry': 'false', 'x-request-id': 'r1' } });
  t.same(JSON.parse(body.toString()), { error: { message: 'blocked', type: 'invalid_request_error', param: 'prompt', code: 'content_filter', status: 400, innererror: { code: 'ResponsibleAIPolicyViolation', content_filter_result: {} } } });
  t.same(azure.error('invalid_api_key', 'wrong', 'r1'), openaiChat.error('invalid_api_key', 'wrong', 'r1'));
  t.same([azure.id, azure.readRequest], [openaiChat.id, openaiChat.readRequest]);
});
