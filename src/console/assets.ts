/**
 * The stylesheet, the script and the icon of the console, served under names that hold a digest of what they are, so
 * that browsers keep them for good and never mix versions. They hold no secrets and are for everybody.
 */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Page } from '../admin/pages.ts';

const TYPES: Readonly<Record<string, string>> = { css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8', svg: 'image/svg+xml' };

interface Asset {
  readonly path: string;
  readonly body: string;
  readonly type: string;
}

function readAsset(name: string): Asset {
  const body = readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8');
  const [stem, ending] = name.split('.') as [string, string];
  return { path: `/assets/${stem}-${hash('sha256', body, 'hex').slice(0, 16)}.${ending}`, body, type: TYPES[ending]! };
}

const STYLE = readAsset('console.css');
const SCRIPT = readAsset('console.js');
const ICON = readAsset('icon.svg');

export const ASSET_PATHS = { style: STYLE.path, script: SCRIPT.path, icon: ICON.path } as const;

export const ASSET_PAGES: readonly Page[] = [STYLE, SCRIPT, ICON].map(({ path, body, type }) => ({
  method: 'GET', path, needs: 'open', meaning: 'a file of the console, kept for good', run: async () => ({ status: 200, body, type, headers: { 'cache-control': 'public, max-age=31536000, immutable' } }),
}));
