/** The pii classifier as the host makes it, with the shipped pattern sets that it asks for, and without names unless they are wanted. */
import createPii, { patternSets, validators } from '../../plugins/pii/index.ts';
import { shippedSet } from '../../src/config/patterns.ts';
import type { Classifier } from '../../src/contract/classifier.ts';

export function testPii(id = 'pii', names = false): Classifier {
  return createPii({ id, names, files: patternSets.map((set) => shippedSet(set, validators)) });
}
