/**
 * The pii classifier: personal data and secrets that have a form, found by patterns in the shared automaton and
 * accepted by validators. It asks no model and opens no connection; all of its answers come from the scan.
 *
 * It does not find what has no form: names, street addresses, dates of birth in prose.
 */
import type { CategoryDefinition, CreateClassifier } from '#contract/classifier.ts';
import { PATTERNS } from './patterns.ts';

const CATEGORIES: readonly CategoryDefinition[] = [
  { id: 'EMAIL', definition: 'An e-mail address of a person or an organisation.' },
  { id: 'PHONE_NUMBER', definition: 'A telephone or fax number, with its extension.' },
  { id: 'CREDIT_CARD', definition: 'The number of a payment card, with a valid issuer, length and check digit.' },
  { id: 'IBAN', definition: 'An international bank account number with a valid length and check digits.' },
  { id: 'US_SSN', definition: 'A social security number of the United States.' },
  { id: 'IP_ADDRESS', definition: 'An IPv4 or IPv6 address.' },
  { id: 'API_KEY', definition: 'A key or token that opens a service to whoever holds it.' },
  { id: 'PRIVATE_KEY', definition: 'A private key in a PEM or PGP block.' },
];

const createPii: CreateClassifier = ({ id }) => ({
  id,
  version: '1.0.0',
  categories: CATEGORIES,
  directions: ['input', 'output'],
  contentTypes: ['text'],
  languages: ['*'],
  cost: 'fast',
  needsContext: false,
  patterns: PATTERNS,
});

export default createPii;
