/** Case results as JUnit XML, the form that CI systems read: one suite for each policy, one test case for each case. */
import type { CaseResult, PolicyTest } from '../../policy/cases.ts';

export function junitXml(tests: readonly PolicyTest[]): string {
  const suites = tests.map(suite);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('')}</testsuites>\n`;
}

function suite({ file, issues, report }: PolicyTest): string {
  if (report === undefined) {
    const reasons = issues.filter(({ severity }) => severity === 'error').map(({ line, column, message }) => `${file}:${line}:${column} ${message}`).join('\n');
    const error = `    <testcase classname="${escape(file)}" name="the policy can be used"><error message="refused">${escape(reasons)}</error></testcase>\n`;
    return `  <testsuite name="${escape(file)}" tests="1" failures="0" errors="1">\n${error}  </testsuite>\n`;
  }
  const { policy, cases } = report;
  const count = (state: CaseResult['state']): number => cases.filter((one) => one.state === state).length;
  return `  <testsuite name="${escape(policy)}" tests="${cases.length}" failures="${count('FAIL')}" errors="${count('ERROR')}">\n${cases.map((one) => testCase(policy, one)).join('')}  </testsuite>\n`;
}

function testCase(policy: string, { name, state, problems, took_ms: tookMs }: CaseResult): string {
  const element = state === 'FAIL' ? 'failure' : 'error';
  const body = state === 'PASS' ? '/>' : `><${element} message="${escape(problems[0]!)}">${escape(problems.join('\n'))}</${element}></testcase>`;
  return `    <testcase classname="${escape(policy)}" name="${escape(name)}" time="${(tookMs / 1000).toFixed(3)}"${body}\n`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;' };

/** Control characters are no XML, not even escaped. */
function escape(text: string): string {
  return text.toWellFormed().replaceAll(/[&<>"\n]/g, (char) => ENTITIES[char]!).replaceAll(/[^\t\n\r\u0020-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD');
}
