/** Every page of the console in a real browser, by keyboard, narrow and wide, light. */
import t from 'tap';
import { NO_BROWSER } from '../helpers/browser.ts';
import { walk } from '../helpers/console-walk.ts';

t.setTimeout(600_000);

for (const width of [360, 768, 1280]) t.test(`by keyboard at ${width} pixels`, { skip: NO_BROWSER }, (t) => walk(t, { width, scheme: 'light' }));
