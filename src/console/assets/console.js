/*
 * Keys for the console, findings while a policy is typed, numbers that stay fresh, time that counts down; every page works
 * without this. It asks nobody but us, keeps nothing, and writes no markup.
 *   ?  the keys    g and a letter  a page    j k  rows    Enter  open    /  search    n p  older, newer    e  edit    J  JSON    letters on buttons press them
 */
'use strict';
{
  const dialog = document.getElementById('keys');
  const button = document.getElementById('keys-button');
  const rows = () => [...document.querySelectorAll('tr[data-row]')];
  /** Milliseconds in which the second key of `g o` is awaited. */
  const JUMP_MS = 1500;
  let jumpUntil = 0;

  const showKeys = () => dialog?.showModal();
  if (button !== null) {
    button.hidden = false;
    button.addEventListener('click', showKeys);
  }

  const isWriting = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

  const move = (by) => {
    const all = rows();
    if (all.length === 0) return;
    const at = all.findIndex((row) => row.classList.contains('current'));
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    for (const row of all) row.classList.toggle('current', row === next);
    (next.querySelector('a[data-open]') ?? next.querySelector('a, button'))?.focus();
    next.scrollIntoView({ block: 'nearest' });
  };

  /** A field is written in, anything else pressed. */
  const press = (target) => (isWriting(target) && !/^(?:radio|checkbox)$/.test(target.type) ? target.focus() : target.click());

  const follow = (selector) => document.querySelector(selector)?.click();

  const KEYS = {
    '?': showKeys, 'j': () => move(1), 'k': () => move(-1), 'n': () => follow('a[rel=next]'), 'p': () => history.back(), 'e': () => follow('a[data-key=e]'), 'J': () => follow('a[data-key=J]'),
    '/': () => document.querySelector('[data-search]')?.focus(),
    'g': () => { jumpUntil = Date.now() + JUMP_MS; },
  };

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog?.open) return;
    if (isWriting(event.target) && event.target.type !== 'radio') {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    const jump = Date.now() < jumpUntil && /^[a-z]$/.test(event.key) ? document.querySelector(`a[data-go="${event.key}"]`) : null;
    jumpUntil = 0;
    const pressed = /^[a-z]$/.test(event.key) ? document.querySelector(`[data-press="${event.key}"]`) : null;
    const act = jump !== null ? () => jump.click() : pressed !== null ? () => press(pressed) : Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : undefined;
    if (act === undefined) return;
    event.preventDefault();
    act();
  });

  const element = (name, className, text, attributes = {}) => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  const area = document.getElementById('f-text');

  // A finding leads to its line in the text.
  document.addEventListener('click', (event) => {
    const place = event.target instanceof Element ? event.target.closest('button[data-line]') : null;
    if (place === null || !(area instanceof HTMLTextAreaElement)) return;
    const lines = area.value.split('\n');
    const line = Math.min(lines.length, Math.max(1, Number(place.dataset.line)));
    const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    area.focus();
    area.setSelectionRange(start, start + lines[line - 1].length);
    area.scrollTop = area.scrollHeight * ((line - 3) / lines.length);
  });

  // A policy is judged while it is typed: findings stand beside their lines, and are said once typing rests.
  if (area instanceof HTMLTextAreaElement && area.dataset.check !== undefined) {
    /** Milliseconds without a key after which the text is judged, and after which a busy Weir is asked again. */
    const [RESTS_MS, AGAIN_MS] = [500, 2_000];
    const live = document.getElementById('live');
    const gutter = element('div', 'gutter', '', { 'aria-hidden': 'true' });
    const notes = element('div', 'notes', '', { 'aria-hidden': 'true' });
    area.before(gutter);
    area.after(notes);
    area.parentElement.classList.add('judged');
    let [timer, asking, issues, numbered] = [0, undefined, [], ''];
    /** As pages write what cannot be seen. */
    const visible = (text) => text.replace(/(?![\t\n\uFE0F])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, (character) => `⟨${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);

    /** Where its line is drawn. A line of the field is a line of the text. */
    const draw = () => {
      const style = getComputedStyle(area);
      const [height, top] = [parseFloat(style.lineHeight), parseFloat(style.paddingTop) + parseFloat(style.borderTopWidth)];
      const place = (node, line) => node.style.setProperty('top', `${top + (line - 1) * height - area.scrollTop}px`);
      const [first, shown] = [Math.floor(area.scrollTop / height) + 1, Math.ceil(area.clientHeight / height) + 1];
      const total = area.value.split('\n').length;
      const wanted = `${first} ${shown} ${total} ${issues.map(({ line }) => line).join()} ${area.scrollTop}`;
      if (wanted === numbered) return;
      numbered = wanted;
      gutter.replaceChildren(...Array.from({ length: Math.max(0, Math.min(shown, total - first + 1)) }, (_, i) => {
        const found = issues.find(({ line }) => line === first + i);
        const made = element('span', found === undefined ? '' : `found ${found.severity}`, `${found === undefined ? '' : '▸'}${first + i}`);
        place(made, first + i);
        return made;
      }));
      notes.replaceChildren(...issues.filter(({ line }, index) => issues.findIndex((other) => other.line === line) === index).map((issue) => {
        const made = element('p', issue.severity, visible(`${issue.column}: ${issue.message}`).slice(0, 300));
        place(made, issue.line);
        return made;
      }));
    };

    let said = '';
    const tell = (summary, found) => {
      issues = found.slice(0, 100);
      const saying = JSON.stringify([summary, found]);
      // What was said is not said again.
      if (saying === said) return draw();
      said = saying;
      const list = element('ul', '', '');
      for (const { line, column, path, message, suggestion, severity } of found.slice(0, 50)) {
        const item = element('li', '', '');
        item.append(element('button', 'plain', `line ${line}, column ${column}`, { 'type': 'button', 'data-line': line }), ' ', element('code', '', visible(path)), visible(`: ${message}${suggestion === undefined ? '' : ` (${suggestion})`}${severity === 'warning' ? ' (a warning)' : ''}`));
        list.append(item);
      }
      live.replaceChildren(element('p', '', visible(summary)), ...(found.length === 0 ? [] : [list]));
      live.className = `live ${found.some(({ severity }) => severity === 'error') ? 'fault' : 'good'}`;
      area.setAttribute('aria-invalid', String(found.some(({ severity }) => severity === 'error')));
      draw();
    };

    const judge = async () => {
      asking?.abort();
      asking = new AbortController();
      const { signal } = asking;
      try {
        // No case has such a name: the text is judged, and its cases wait for the button.
        const answer = await fetch(area.dataset.check, { method: 'POST', signal, headers: { 'content-type': 'application/json', 'x-csrf-token': area.form.elements.csrf.value }, body: JSON.stringify({ source: area.value, filter: '\u0000' }) });
        if (answer.status === 429) return rest(AGAIN_MS);
        const told = await answer.json();
        if (signal.aborted) return undefined;
        if (answer.status === 200) return tell('The policy can be used. Its cases are run when it is checked or stored.', told.policies[0]?.issues ?? []);
        return tell(told.error?.message ?? 'It could not be judged.', told.issues ?? []);
      } catch (error) {
        if (!signal.aborted) live.replaceChildren(element('p', 'quiet', 'It could not be judged now; the button does.'));
        return undefined;
      }
    };
    const rest = (ms) => {
      clearTimeout(timer);
      timer = setTimeout(judge, ms);
    };
    area.addEventListener('input', () => { draw(); rest(RESTS_MS); });
    area.addEventListener('scroll', draw);
    new ResizeObserver(() => { numbered = ''; draw(); }).observe(area);
    draw();
  }

  // What had left of an answer when so many of its characters had come.
  const came = document.getElementById('f-came');
  if (came instanceof HTMLInputElement) {
    const told = document.getElementById('came');
    const pieces = [...document.querySelectorAll('[data-after]')];
    came.hidden = false;
    came.addEventListener('input', () => {
      const at = Number(came.value);
      for (const piece of pieces) piece.hidden = Number(piece.dataset.after) > at;
      if (told !== null) told.textContent = `${at} of ${came.max}`;
    });
  }

  // A page that is kept fresh is made anew by us while somebody looks at it, and not while they are at work in it.
  const fresh = () => document.querySelector('#fresh[data-live]');
  if (fresh() !== null) {
    /** Milliseconds without a key, a click or a touch after which nobody is taken to look: a session is to end unused. */
    const LOOKED_MS = 900_000;
    let lookedMs = Date.now();
    for (const name of ['keydown', 'pointerdown', 'pointermove', 'scroll']) document.addEventListener(name, () => { lookedMs = Date.now(); }, { passive: true });
    const again = async () => {
      const now = fresh();
      if (now !== null && !document.hidden && Date.now() - lookedMs < LOOKED_MS && !now.contains(document.activeElement)) {
        const madeMs = performance.now();
        try {
          const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
          const made = answer.ok ? new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('fresh') : null;
          // The session may have ended: then the login comes, which has none.
          if (made === null) location.reload();
          else if (!now.contains(document.activeElement)) {
            now.replaceWith(made);
            countDown(madeMs);
          }
        } catch { /* nobody answers now; the next look may find somebody */ }
      }
      setTimeout(again, Number(now?.dataset.live ?? 10_000));
    };
    setTimeout(again, Number(fresh().dataset.live));
  }

  // The time for which a request waits counts down by our own clock; the words of what came of it are those of a page.
  const countDown = (() => {
    /** Milliseconds between two looks at what became of it, and after its end; between two looks at the clock; seconds left that are told aloud. */
    const [ASK_MS, SOON_MS, TICK_MS, SAID_S] = [5_000, 400, 250, [60, 30, 10]];
    const waiting = () => [...document.querySelectorAll('[data-wait]')];
    const voice = element('p', 'sr', '', { role: 'status', id: 'wait-said' });
    const ends = new Map();
    const secondsOf = (place) => Math.max(0, Math.ceil((ends.get(place.id) - performance.now()) / 1000));
    const words = (seconds) => (seconds >= 60 ? `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s left` : `${seconds} s left`);
    /** Seconds that were left at the last look. */
    const before = new Map();

    const tick = () => {
      for (const place of waiting()) {
        const left = secondsOf(place);
        const shown = place.querySelector('[data-left]');
        if (shown.textContent !== words(left)) shown.textContent = words(left);
        shown.classList.toggle('soon', left <= SAID_S.at(-1));
        const isPassed = SAID_S.some((seconds) => left <= seconds && seconds < before.get(place.id));
        if (place.dataset.says !== undefined && isPassed && left > 0) voice.textContent = words(left);
        before.set(place.id, left);
      }
    };

    /** What each page says now takes the place of what it said. */
    const look = async () => {
      for (const from of new Set(waiting().map((place) => place.dataset.wait))) {
        try {
          const answer = await fetch(from, { headers: { accept: 'text/html' } });
          const made = answer.ok ? new DOMParser().parseFromString(await answer.text(), 'text/html') : null;
          if (made === null || answer.redirected) continue;
          for (const place of waiting().filter((one) => one.dataset.wait === from)) {
            const now = made.getElementById(place.id);
            if (now !== null && now.dataset.wait !== undefined) continue;
            if (now === null && secondsOf(place) > 0) continue;
            place.removeAttribute('data-wait');
            if (now === null) place.textContent = 'waits no more';
            else place.replaceChildren(...now.childNodes);
            voice.textContent = `A request ${place.textContent}`;
          }
        } catch { /* nobody answers now; the next look may find somebody */ }
      }
    };

    let [askedMs, toldOver, isRunning] = [performance.now(), 0, false];
    const round = async () => {
      tick();
      const over = waiting().filter((place) => performance.now() > ends.get(place.id) + SOON_MS).length;
      if (!document.hidden && (over > toldOver || performance.now() - askedMs > ASK_MS)) {
        [askedMs, toldOver] = [performance.now(), over];
        await look();
        toldOver = Math.min(toldOver, waiting().length);
      }
      isRunning = waiting().length > 0;
      if (isRunning) setTimeout(round, TICK_MS);
    };

    /** Of places that say what was left at `madeMs`. */
    return (madeMs) => {
      for (const place of waiting()) {
        ends.set(place.id, madeMs + Number(place.dataset.leftMs));
        if (!before.has(place.id)) before.set(place.id, secondsOf(place));
      }
      if (isRunning || waiting().length === 0) return;
      document.getElementById('main').append(voice);
      isRunning = true;
      void round();
    };
  })();
  countDown(performance.getEntriesByType('navigation')[0]?.responseStart ?? 0);

  const outcome = document.getElementById('outcome');
  if (outcome !== null) outcome.scrollIntoView({ block: 'start' });
}
