/**
 * The commands of the program, in the order in which the list shows them. Each is loaded only when it is called, so
 * that `weir --version` does not wait for a server it will not start.
 */
import type { CliCommand } from './command.ts';

export const COMMANDS: Readonly<Record<string, () => Promise<CliCommand>>> = {
  start: async () => (await import('./start.ts')).start,
  demo: async () => (await import('./demo.ts')).demo,
  check: async () => (await import('./check.ts')).check,
  screen: async () => (await import('./screen.ts')).screen,
  redact: async () => (await import('./redact.ts')).redact,
  policy: async () => (await import('./policy.ts')).policy,
  keys: async () => (await import('./keys.ts')).keys,
  admin: async () => (await import('./admin.ts')).admin,
  review: async () => (await import('./review.ts')).review,
  risk: async () => (await import('./risk.ts')).risk,
  report: async () => (await import('./report.ts')).report,
  classifier: async () => (await import('./classifier.ts')).classifier,
  audit: async () => (await import('./audit.ts')).audit,
  backup: async () => (await import('./backup.ts')).backup,
  learn: async () => (await import('./learn.ts')).learn,
};
