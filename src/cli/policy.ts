/**
 * `weir policy`: work on policies before they decide anything: run their cases, explain a decision rule by rule, and
 * tell what another policy would have decided on recorded scores. Each verb is a file under src/cli/policy.
 */
import { didYouMean, UsageError, type CliCommand } from './command.ts';
import { diffPolicies } from './policy/diff.ts';
import { explainPolicy } from './policy/explain.ts';
import { testPolicies } from './policy/test.ts';
import { StoreSilent } from './stored.ts';

const VERBS = { test: testPolicies, explain: explainPolicy, diff: diffPolicies } as const;

export const policy: CliCommand = {
  name: 'policy',
  summary: 'run the cases of policies, explain decisions, compare policies',
  help: `usage: weir policy test [POLICY]... [--revision N] [--filter WORDS] [--coverage] [--watch] [--json] [--junit FILE]
                        [--config FILE]
       weir policy explain [TEXT or -] [--policy POLICY] [--revision N] [--direction input|output] [--score A.B=0.7]...
                           [--context KEY=VALUE]... [--fail-mode closed|open] [--json] [--config FILE]
       weir policy explain --request ID [--policy POLICY] [--json] [--config FILE]
       weir policy diff A B [--since TIME] [--until TIME] [--tenant ID] [--limit N] [--json] [--config FILE]
       weir policy diff ID --revision N [...]

A policy is a file, or an id: of the copy that counts for a proxy, in the store or else in a file. ID@N, or --revision N,
is revision N of the store.

test runs the cases of all policies that count, or of those named, with the configured classifiers, which
have 10 seconds for a text here. A case passes when action, rules and text are those expected, for an answer however it
is cut. Of a case that fails the explanation is printed, and of every policy the rules that no case makes decide.

  --filter WORDS   only cases whose policy and name hold these words
  --coverage       a rule that no case makes decide is a finding
  --watch          run again whenever a file changes, until stopped
  --junit FILE     write the results as JUnit XML too

explain says of every rule whether it holds, and of every part of its condition what was compared. The text is screened;
scores that are given stand in place of their classifiers'. Without a text nothing but what is given was found.

  --policy         default: the policy of the only tenant
  --score A.B=S    a score from 0 to 1, or unknown; may be repeated
  --context K=V    a context value; may be repeated
  --fail-mode      for rules that do not say on_unknown; default closed
  --request ID     explain a decision of the audit log, from its recorded scores, under the revision that made it,
                   which the store keeps and a file may not

diff decides every exchange of the audit log twice, by policy A and by policy B, on the recorded scores, and counts what
changes; with --revision by that revision and by the one that counts. What the log does not hold, such as matches of new patterns, is counted as not comparable.

  --since, --until  ISO 8601 times, or ages such as 24h and 7d
  --limit N         at most the newest N exchanges

  --json           print one JSON object
  --config FILE    default: config/weir.yaml in the working directory, else the one that comes with weir

exit code: 0 all cases passed, or the command did what it was asked, 1 a case failed or the command could not, 2 wrong call
`,
  async run(args, io) {
    const [verb, ...rest] = args;
    if (verb === undefined) throw new UsageError('what to do is missing; there is test, explain and diff');
    if (!Object.hasOwn(VERBS, verb)) throw new UsageError(`unknown verb ${JSON.stringify(verb)}${didYouMean(verb, Object.keys(VERBS)) || '; there is test, explain and diff'}`);
    try {
      return await VERBS[verb as keyof typeof VERBS](rest, io);
    } catch (error) {
      if (!(error instanceof StoreSilent)) throw error;
      io.stderr(`weir policy ${verb}: ${error.message}\n`);
      return 1;
    }
  },
};
