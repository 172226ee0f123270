/**
 * The parts of a process that can work less well than configured, by name: the one list from which their type, the page of
 * health and the tests derive, so that no part can be told without what it means. Parts of which there are several, one
 * for each classifier, shipped log or policy, are named by how they begin.
 */
export const PARTS = [
  'audit', 'audit_ship', 'campaign texts', 'campaigns', 'configuration', 'content', 'content retention', 'copies of policies', 'copies of tenant-keys', 'decisions', 'erasures', 'export of metrics', 'export of traces', 'models', 'pager', 'policies', 'redis',
  'retention', 'review content', 'review deadlines', 'review queue', 'review webhooks', 'screening', 'shadow models', 'tenant keys', 'usage', 'webhook', 'weekly reports', 'weekly training',
] as const;

/** Each begins the names of parts of its kind; the rest is the id of a classifier, the name of a log, the id of a policy. */
export const PART_FAMILIES = ['audit:', 'classifier.', 'policy '] as const;

export type PartKind = (typeof PARTS)[number] | (typeof PART_FAMILIES)[number];
export type Part = (typeof PARTS)[number] | `${(typeof PART_FAMILIES)[number]}${string}`;

export function kindOfPart(part: Part): PartKind {
  return PART_FAMILIES.find((family) => part.startsWith(family)) ?? (part as (typeof PARTS)[number]);
}
