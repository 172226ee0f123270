/**
 * Which tests are run with coverage, for tap: those by which the folders of test/helpers/coverage.ts are full. Gathering it
 * costs a third more, so the others go without. Where a line there is run by another test alone, that test is named here.
 */
const FOLDERS = /^test\/(?:match|stream|policy|dialect|config|screen)\//;

/** Tests elsewhere by which lines of those folders are run. */
const OTHERS: ReadonlySet<string> = new Set([
  ...['beside', 'beside-text', 'policies', 'trials'].map((name) => `test/admin/${name}.test.ts`), ...['policy', 'policy-store', 'screen'].map((name) => `test/cli/${name}.test.ts`), ...['pii', 'pii-names', 'phones'].map((name) => `test/plugins/${name}.test.ts`),
]);

/** `null`: no coverage; none in the list: of all. */
function coverageOf(test: string): readonly string[] | null {
  return FOLDERS.test(test) || OTHERS.has(test) ? [] : null;
}

/** tap asks for the default. */
export { coverageOf as default };
