/** The evidence of the grounding classifier, as the model and the training know it. */
import type { EvidenceReader } from '#model/pairs.ts';
import { evidenceOf, EVIDENCE } from './evidence.ts';
import { Sources } from './sources.ts';
import { readWords } from './words.ts';

export const evidence: EvidenceReader = {
  names: EVIDENCE,
  stemsOf(text) {
    const { count, stems } = readWords(text);
    return stems.subarray(0, count);
  },
  open(text, rarity) {
    const sources = new Sources(text);
    return (sentence) => evidenceOf(sentence, sources, rarity);
  },
};
