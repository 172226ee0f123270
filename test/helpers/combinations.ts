/** `screening.combine` of a configuration as it is read and checked: the issues, as `path: message; suggestion`. */
import { combinationIssues } from '../../src/config/combine.ts';
import { readWithEnvironment } from '../../src/config/environment.ts';
import { CONFIG } from '../../src/config/schema.ts';
import { readShape } from '../../src/config/shape.ts';

const SCORERS = [
  { id: 'tox', categories: [{ id: 'hate' }], isAsked: true },
  { id: 'other', categories: [{ id: 'hate' }], isAsked: true },
  { id: 'pii', categories: [{ id: 'EMAIL' }], isAsked: false },
];

export function combineIssues(combine: string): readonly string[] {
  const source = `upstreams: { up: { url: https://api.example.com/v1 } }\ntenants: [ { id: one, policy: p, upstream: up } ]\nscreening: { combine: [ ${combine} ] }`;
  const { value, issues } = readShape(CONFIG, readWithEnvironment(source, 'weir.yaml', {}));
  const all = value === undefined ? issues : combinationIssues(value.screening.combine ?? [], SCORERS, 'weir.yaml');
  return all.map(({ path, message, suggestion }) => `${path.replace('screening.combine[0].', '')}: ${message}${suggestion === undefined ? '' : `; ${suggestion}`}`);
}
