/** The secret of a webhook, as every part of the configuration that names one declares it. */
import { text } from './shape.ts';

export const webhookSecret = () => text('Key of the signature, HMAC-SHA256 of the time and the body; 16 characters at least.', { required: true, lengthMax: 4096, pattern: /^[\x21-\x7e]{16,}$/, patternMeaning: 'a secret of 16 characters or more, without spaces', example: '${WEIR_WEBHOOK_SECRET}' });
