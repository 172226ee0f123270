/**
 * Charts as SVG, drawn here: columns over time and bars by name. Each says in words what it shows, and its numbers stand
 * beside it in a table, so that nothing is told by the picture alone. Pure.
 */
import { html, type Html, type Piece } from './html.ts';
import { count } from './parts.ts';

export interface Column {
  /** Under the axis, for some of them. */
  readonly label: string;
  readonly total: number;
  /** Of the total. */
  readonly marked: number;
  /** It stands out from the others. */
  readonly isSpike?: boolean;
}

const WIDTH = 960;
const HEIGHT = 160;
const FOOT = 22;

export function columnChart({ title, columns, totalName, markedName, timeName }: { readonly title: string; readonly columns: readonly Column[]; readonly totalName: string; readonly markedName: string; readonly timeName: string }): Html {
  const most = Math.max(1, ...columns.map(({ total }) => total));
  const step = WIDTH / Math.max(1, columns.length);
  const y = (value: number): number => Math.round(((HEIGHT - FOOT - 12) * value * 10) / most) / 10;
  const every = Math.max(1, Math.ceil(columns.length / 8));
  return html`<figure><figcaption>${title} <span class="quiet"><span class="swatch marked"></span> ${markedName} <span class="swatch"></span> the others</span></figcaption>
<div class="scroll newest" tabindex="0" role="region" aria-label="${title}, drawn"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}: at most ${count(most)} ${totalName} in one column; the table below has the numbers" class="chart">
<text x="0" y="10" class="label">${count(most)}</text><line x1="0" x2="${WIDTH}" y1="${HEIGHT - FOOT}" y2="${HEIGHT - FOOT}" class="axis"/>
${columns.map(({ label, total, marked, isSpike }, index) => {
    const [x, width] = [(index * step + step * 0.12).toFixed(1), (step * 0.76).toFixed(1)];
    return html`<rect x="${x}" width="${width}" y="${HEIGHT - FOOT - y(total)}" height="${y(total)}" class="bar"><title>${label}: ${count(total)} ${totalName}, ${count(marked)} ${markedName}</title></rect><rect x="${x}" width="${width}" y="${HEIGHT - FOOT - y(marked)}" height="${y(marked)}" class="bar marked"/>${isSpike === true ? html`<text x="${(index * step + step / 2).toFixed(1)}" y="${Math.max(22, HEIGHT - FOOT - y(total) - 3)}" text-anchor="middle" class="spike">▲</text>` : ''}${index % every === 0 ? html`<text x="${(index * step + step / 2).toFixed(1)}" y="${HEIGHT - 6}" text-anchor="middle" class="label">${label}</text>` : ''}`;
  })}
</svg></div>
<details><summary>The numbers</summary><div class="scroll" tabindex="0" role="region" aria-label="${title}, as a table"><table><thead><tr><th scope="col">${timeName}</th><th scope="col" class="number">${totalName}</th><th scope="col" class="number">${markedName}</th></tr></thead><tbody>${columns.map(({ label, total, marked, isSpike }) => html`<tr><th scope="row">${label}${isSpike === true ? ' ▲ out of the ordinary' : ''}</th><td class="number">${count(total)}</td><td class="number">${count(marked)}</td></tr>`)}</tbody></table></div></details></figure>`;
}

export interface Bar {
  readonly name: Piece;
  readonly plain: string;
  readonly value: number;
  /** In words. */
  readonly told: string;
}

/** A table whose last column is the picture. */
export function barTable({ title, nameHead, valueHead, bars }: { readonly title: string; readonly nameHead: string; readonly valueHead: string; readonly bars: readonly Bar[] }): Html {
  const most = Math.max(1e-9, ...bars.map(({ value }) => value));
  return html`<figure><figcaption>${title}</figcaption>${bars.length === 0 ? html`<p class="quiet">Nothing yet.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="${title}"><table class="bars"><thead><tr><th scope="col">${nameHead}</th><th scope="col" class="number">${valueHead}</th><th scope="col"><span class="sr">Bar</span></th></tr></thead><tbody>${bars.map(({ name, value, told }) => html`
<tr><th scope="row">${name}</th><td class="number">${told}</td><td class="wide"><svg viewBox="0 0 200 12" class="strip" aria-hidden="true" preserveAspectRatio="none"><rect width="200" height="12" class="ground"/><rect width="${((200 * value) / most).toFixed(1)}" height="12" class="bar"/></svg></td></tr>`)}</tbody></table></div>`}</figure>`;
}
