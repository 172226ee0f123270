/** All pages of the console, and what they say to whom they refuse. */
import { safeNext } from '../admin/login.ts';
import type { Page, Pages } from '../admin/pages.ts';
import { ANNOTATE_PAGES } from './annotate.ts';
import { ANNOTATOR_PAGES } from './annotators.ts';
import { ASSET_PAGES } from './assets.ts';
import { auditPages } from './audit.ts';
import { BESIDE_PAGES } from './beside.ts';
import { CALIBRATION_PAGES } from './calibration.ts';
import { CLASSIFIER_PAGES } from './classifiers.ts';
import { COMPARE_PAGES } from './compare.ts';
import { HEALTH_PAGE } from './degraded.ts';
import { DISPUTE_PAGES } from './disputes.ts';
import { ERASURE_PAGES } from './erasures.ts';
import { exchangePages, type ExchangeParts } from './exchange.ts';
import { EXCHANGE_LIST_PAGE } from './exchanges.ts';
import { onwardPage } from './layout.ts';
import { LEARN_PAGES } from './learn.ts';
import { loginFailedPage, loginPages } from './login.ts';
import { OVERVIEW_PAGE } from './overview.ts';
import { PLAYGROUND_PAGES } from './playground.ts';
import { POLICY_EDIT_PAGES } from './policy-edit.ts';
import { POLICY_PAGES } from './policies.ts';
import { REVIEW_PAGES } from './review.ts';
import { RISK_REPORT_PAGES } from './risk-reports.ts';
import { guarded, refusalPage, strangerPage } from './refusal.ts';
import { RISK_CAMPAIGN_PAGE } from './risk-campaign.ts';
import { RISK_PAGE } from './risk.ts';
import { SETTINGS_PAGES } from './settings.ts';
import { TENANT_PAGES } from './tenants.ts';
import { WEEKLY_PAGE } from './weekly-reports.ts';
import { WELLNESS_PAGES } from './wellness.ts';

export interface ConsoleParts extends ExchangeParts {
  /** People log in through an OpenID Connect provider too. */
  readonly hasProvider: boolean;
}

export function createPages(parts: ConsoleParts): Pages {
  const routes: readonly Page[] = [
    ...ASSET_PAGES, ...loginPages(parts.hasProvider), OVERVIEW_PAGE, ...REVIEW_PAGES, ...ANNOTATE_PAGES, ...DISPUTE_PAGES, ...ANNOTATOR_PAGES, ...CALIBRATION_PAGES, ...WELLNESS_PAGES, EXCHANGE_LIST_PAGE, ...exchangePages(parts), ...POLICY_PAGES, ...POLICY_EDIT_PAGES, ...BESIDE_PAGES, ...PLAYGROUND_PAGES, ...COMPARE_PAGES, ...CLASSIFIER_PAGES, HEALTH_PAGE, ...LEARN_PAGES, RISK_PAGE, RISK_CAMPAIGN_PAGE, ...TENANT_PAGES, ...auditPages(parts), ...ERASURE_PAGES, ...RISK_REPORT_PAGES, WEEKLY_PAGE, ...SETTINGS_PAGES,
  ];
  return {
    routes: routes.map(guarded),
    loginFailed: loginFailedPage,
    again: (path) => onwardPage(safeNext(path)),
    refused: (answer, path, known) => (known === undefined ? strangerPage(answer, path) : refusalPage(known.api, answer, known.request)),
  };
}
