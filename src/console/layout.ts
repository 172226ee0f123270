/**
 * The frame of every page: the head with what browsers may load, the ways to the other pages that the caller may see,
 * who is logged in, and where the same is as JSON. What is refused is a page too, and leads to the login where nobody is
 * logged in. No page may load anything from elsewhere or run what is written in it.
 */
import type { Api, PageRequest } from '../admin/pages.ts';
import type { DeskAnswer } from '../admin/desk.ts';
import { ASSET_PATHS } from './assets.ts';
import { html, type Html, type Piece } from './html.ts';

/** A way to a page, with the route of the API that it stands on and the key that leads there after `g`. */
export interface NavEntry {
  readonly path: string;
  readonly label: string;
  readonly needs: string;
  readonly key: string;
}

export const NAV: readonly NavEntry[] = [
  { path: '/', label: 'Overview', needs: 'countDecisions', key: 'o' },
  { path: '/review', label: 'Review', needs: 'listReviews', key: 'r' },
  { path: '/risk', label: 'Risk', needs: 'listRiskCampaigns', key: 'i' },
  { path: '/risk/annotate', label: 'Annotate', needs: 'readAnnotator', key: 'l' },
  { path: '/exchanges', label: 'Exchanges', needs: 'listDecisions', key: 'e' },
  { path: '/policies', label: 'Policies', needs: 'listPolicies', key: 'p' },
  { path: '/playground', label: 'Playground', needs: 'screenText', key: 'y' },
  { path: '/classifiers', label: 'Classifiers', needs: 'listClassifiers', key: 'c' },
  { path: '/health', label: 'Health', needs: 'readHealth', key: 'h' },
  { path: '/learn', label: 'Learning', needs: 'listModels', key: 'd' },
  { path: '/reports', label: 'Reports', needs: 'listWeeklyReports', key: 'w' },
  { path: '/tenants', label: 'Tenants', needs: 'listTenants', key: 't' },
  { path: '/audit', label: 'Audit', needs: 'readCheckpoint', key: 'a' },
  { path: '/me', label: 'Me', needs: 'readWellness', key: 'm' },
  { path: '/settings', label: 'Settings', needs: 'status', key: 's' },
];

export interface PageContent {
  readonly title: string;
  readonly body: Piece;
  /** Where the API has the same. */
  readonly json?: string;
  /** Default: 200. */
  readonly status?: number;
  /** Which entry of the navigation it belongs to. */
  readonly at?: string;
}

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  // Without a referrer of our own, browsers name no origin when they send a form.
  'referrer-policy': 'same-origin', 'cross-origin-opener-policy': 'same-origin', 'cross-origin-resource-policy': 'same-origin', 'permissions-policy': 'camera=(), geolocation=(), microphone=()', 'x-robots-tag': 'noindex',
};

/** A page for who is logged in. */
export function page(api: Api, request: PageRequest, { title, body, json, status = 200, at = '' }: PageContent): DeskAnswer {
  const entries = NAV.filter(({ needs }) => api.may(request.actor, needs));
  const { name, roles } = request.actor;
  return answer(status, title, html`
<header class="top">
<a class="brand" href="/">Weir</a>
<nav aria-label="Pages"><ul>${entries.map(({ path, label, key }) => html`<li><a href="${path}" data-go="${key}"${path === at ? html` aria-current="page"` : ''}>${label}</a></li>`)}</ul></nav>
<form class="who" method="post" action="/logout">${proofField(request)}<span title="${roles.join(', ')}"><bdi>${name}</bdi></span> <button class="plain">Log out</button></form>
</header>
<main id="main" tabindex="-1"><h1>${title}</h1>
${body}
</main>
<footer>${json === undefined ? '' : html`<a href="${json}" rel="alternate" type="application/json" data-key="J">JSON</a> <code>${json}</code> · `}<button type="button" class="plain" id="keys-button" hidden>Keys <kbd>?</kbd></button></footer>
<dialog id="keys" aria-labelledby="keys-title"><h2 id="keys-title">Keys</h2>
<dl class="keys">${entries.map(({ key, label }) => html`<dt><kbd>g</kbd> <kbd>${key}</kbd></dt><dd>${label}</dd>`)}
<dt><kbd>j</kbd> <kbd>k</kbd></dt><dd>next and previous row</dd><dt><kbd>Enter</kbd></dt><dd>open the row</dd><dt><kbd>/</kbd></dt><dd>search</dd><dt><kbd>n</kbd> <kbd>p</kbd></dt><dd>older, and back</dd><dt>letters on buttons</dt><dd>press them</dd><dt><kbd>?</kbd></dt><dd>these keys</dd><dt><kbd>Esc</kbd></dt><dd>leave a field or this list</dd></dl>
<form method="dialog"><button>Close</button></form></dialog>`);
}

/** A page for everybody. */
export function openPage({ title, body, status = 200 }: Omit<PageContent, 'json'>): DeskAnswer {
  return answer(status, title, html`<main id="main" class="alone" tabindex="-1"><p class="brand">Weir</p><h1>${title}</h1>${body}</main>`);
}

/** Leads on at once, by a page of ours. `to`: a path of ours. */
export function onwardPage(to: string): DeskAnswer {
  return answer(200, 'One moment', html`<main id="main" class="alone" tabindex="-1"><p class="brand">Weir</p><h1>One moment</h1><p><a href="${to}">Go on</a></p></main>`, html`<meta http-equiv="refresh" content="0;url=${to}">`);
}

/** Leads on after a form, or elsewhere. `to`: a path of ours. */
export function redirect(to: string, headers: DeskAnswer['headers'] = {}): DeskAnswer {
  return { status: 303, body: '', type: 'text/html; charset=utf-8', headers: { ...HEADERS, ...headers, location: to } };
}

export function proofField({ csrf }: PageRequest): Html {
  return html`<input type="hidden" name="csrf" value="${csrf}">`;
}

function answer(status: number, title: string, body: Html, head: Piece = ''): DeskAnswer {
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · Weir</title>
${head}<link rel="stylesheet" href="${ASSET_PATHS.style}">
<link rel="icon" href="${ASSET_PATHS.icon}" type="image/svg+xml">
<script src="${ASSET_PATHS.script}" defer></script>
</head>
<body>
<a class="skip" href="#main">To the content</a>
${body}
</body>
</html>
`;
  return { status, body: document.markup, type: 'text/html; charset=utf-8', headers: HEADERS };
}
