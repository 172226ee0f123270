/*
 * Keys for the console; every page works without this. It asks nothing of the network, keeps nothing, and writes no markup.
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

  const follow = (selector) => document.querySelector(selector)?.click();

  const KEYS = {
    '?': showKeys, 'j': () => move(1), 'k': () => move(-1), 'n': () => follow('a[rel=next]'), 'p': () => history.back(), 'e': () => follow('a[data-key=e]'), 'J': () => follow('a[data-key=J]'),
    '/': () => document.querySelector('[data-search]')?.focus(),
    'g': () => { jumpUntil = Date.now() + JUMP_MS; },
  };

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog?.open) return;
    if (isWriting(event.target)) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    const jump = Date.now() < jumpUntil && /^[a-z]$/.test(event.key) ? document.querySelector(`a[data-go="${event.key}"]`) : null;
    jumpUntil = 0;
    const pressed = /^[a-z]$/.test(event.key) ? document.querySelector(`[data-press="${event.key}"]`) : null;
    const act = jump !== null ? () => jump.click() : pressed !== null ? () => pressed.click() : Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : undefined;
    if (act === undefined) return;
    event.preventDefault();
    act();
  });

  // A finding leads to its line in the text.
  for (const place of document.querySelectorAll('button[data-line]')) {
    place.addEventListener('click', () => {
      const area = document.getElementById('f-text');
      if (!(area instanceof HTMLTextAreaElement)) return;
      const lines = area.value.split('\n');
      const line = Math.min(lines.length, Math.max(1, Number(place.dataset.line)));
      const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
      area.focus();
      area.setSelectionRange(start, start + lines[line - 1].length);
      area.scrollTop = area.scrollHeight * ((line - 3) / lines.length);
    });
  }

  const outcome = document.getElementById('outcome');
  if (outcome !== null) outcome.scrollIntoView({ block: 'start' });
}
