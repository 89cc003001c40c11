// What the frame and home are made of; the other screens find it in ui.js, with the rest.
import { html, signal, useEffect, useRef, useState } from './lib.js';
import { tick } from './api.js';

// --- reading -----------------------------------------------------------------------------------------------------

// What `read` promises, read again when one of `deps` changes or time was moved. An answer that comes too late is
// not shown. While it is read again the old one stands.
export function useLoad(read, deps) {
  const [state, set] = useState({ loading: true });
  const [round, anew] = useState(0);
  const asked = useRef(0);
  useEffect(() => {
    const mine = ++asked.current;
    set((old) => ({ ...old, loading: true }));
    read().then(
      (data) => mine === asked.current && set({ data }),
      (error) => mine === asked.current && set((old) => ({ data: old.data, error })),
    );
  }, [...deps, tick.value, round]);
  return { ...state, reload: () => anew((n) => n + 1) };
}

// What is loaded, or how it stands with it.
export function Loaded({ of, children }) {
  if (of.error && of.error.status !== 401) return html`<${Failure} error=${of.error} retry=${of.reload} />`;
  if (of.data === undefined) return html`<p class="soft" role="status">Loading…</p>`;
  return html`<div class=${of.loading ? 'gone' : ''} aria-busy=${of.loading ? 'true' : 'false'}>${children(of.data)}</div>`;
}

export function Failure({ error, retry }) {
  const next = {
    0: 'Nothing was changed.',
    403: 'Ask whoever looks after the users of this shop for the permission.',
    404: 'It may have been deleted, or the address has a slip of the pen.',
    400: 'Look at what was asked for, and try again.',
    412: 'Somebody else was faster. Read it again and repeat your change.',
    429: 'Wait a minute, then try again.',
    503: 'Try again in a moment.',
  }[error.status] || 'Try again. If it stays so, the number below helps whoever looks into it.';
  return html`<div class="note bad" role="alert">
    <h2>${error.message}</h2>
    <p>${next}</p>
    ${error.problems?.map((p) => html`<p>${p.pointer ? `${p.pointer}: ` : ''}${p.message}</p>`)}
    ${error.request_id && html`<p class="small">Request <code>${error.request_id}</code></p>`}
    ${retry && html`<button onClick=${retry}>Try again</button>`}
  </div>`;
}

// A module's part, once it is there.
export function Late({ load, of, ...props }) {
  const [state, set] = useState({});
  const [round, anew] = useState(0);
  useEffect(() => {
    let mine = true;
    load().then(
      (module) => mine && set({ load, Part: module.default }),
      () => mine && set({ load, error: { status: 0, message: 'This screen could not be loaded.' } }),
    );
    return () => { mine = false; };
  }, [load, round]);
  if (state.load !== load) return html`<p class="soft" role="status">Loading…</p>`;
  if (state.error) return html`<${Failure} error=${state.error} retry=${() => { set({}); anew(round + 1); }} />`;
  return html`<${state.Part} ...${props} />`;
}

// --- parts -------------------------------------------------------------------------------------------------------

export function Page({ title, lead, actions, children }) {
  const head = useRef();
  useEffect(() => {
    document.title = `${title} · Backroom`;
    head.current?.focus({ preventScroll: true });
  }, [title]);
  return html`<div class="title">
      <div><h1 tabindex="-1" ref=${head}>${title}</h1>${lead && html`<p>${lead}</p>`}</div>
      ${actions && html`<div class="row">${actions}</div>`}
    </div>
    ${children}`;
}

export const Card = ({ title, children, id, actions }) => html`<section class="card" id=${id}>
  ${title && html`<div class="title-row"><h2>${title}</h2>${actions}</div>`}${children}
</section>`;

export const Tag = ({ kind = '', children }) => html`<span class="tag ${kind}">${children}</span>`;

export const Empty = ({ title, children, action }) => html`<div class="empty">
  <h2>${title}</h2>
  ${children && html`<p>${children}</p>`}
  ${action}
</div>`;

// `columns`: [title, cell of a row, 'num' or nothing]. What is wider than the screen scrolls by itself, with the
// keyboard too.
export const Table = ({ label, columns, rows, empty }) => rows.length === 0 ? empty || html`<p class="soft">None.</p>` : html`<div
  class="scroll" tabindex="0" role="region" aria-label=${label}>
  <table>
    <thead><tr>${columns.map(([title, , kind]) => html`<th scope="col" class=${kind}>${title}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${columns.map(([, cell, kind]) => html`<td class=${kind}>${cell(row)}</td>`)}</tr>`)}</tbody>
  </table>
</div>`;

// --- above the page ----------------------------------------------------------------------------------------------

const toasts = signal([]);
let numbered = 0;
export function toast(text, kind = '') {
  const id = ++numbered;
  toasts.value = [...toasts.value, { id, text, kind }].slice(-4);
  if (kind !== 'bad') setTimeout(() => dismiss(id), 6000);
}
const dismiss = (id) => { toasts.value = toasts.value.filter((one) => one.id !== id); };

export const Toasts = () => html`<div class="toasts" role="status" aria-live="polite">
  ${toasts.value.map((one) => html`<div key=${one.id}><span>${one.text}</span>
    <button aria-label="Dismiss" onClick=${() => dismiss(one.id)}>✕</button></div>`)}
</div>`;

// --- charts ------------------------------------------------------------------------------------------------------

// Columns: [label, value, text above, second value]. The texts are texts; the whole is told in one sentence.
export function Columns({ label, data }) {
  const most = Math.max(1, ...data.flatMap(([, value, , second]) => [value || 0, second || 0]));
  const wide = 34;
  const tall = (value) => Math.round((110 * (value || 0)) / most);
  const told = data.map(([name, value, text]) => `${name}: ${text ?? value}`).join(', ');
  return html`<svg class="chart" role="img" aria-label=${`${label}. ${told}`} viewBox=${`0 0 ${wide * data.length} 156`}>
    ${data.map(([name, value, text, second], at) => html`<g>
      <rect x=${at * wide + 5} y=${134 - tall(value)} width=${second === undefined ? 24 : 12} height=${tall(value)} rx="3" />
      ${second !== undefined && html`<rect class="second" x=${at * wide + 18} y=${134 - tall(second)} width="11" height=${tall(second)} rx="3" />`}
      <text x=${at * wide + 17} y=${128 - Math.max(tall(value), tall(second))} text-anchor="middle">${text ?? value}</text>
      <text class="soft" x=${at * wide + 17} y="152" text-anchor="middle">${name}</text>
    </g>`)}
  </svg>`;
}

// Bars: [label, value, text behind].
export function Bars({ label, data }) {
  const most = Math.max(1, ...data.map(([, value]) => value));
  const told = data.map(([name, value, text]) => `${name}: ${text ?? value}`).join(', ');
  const cut = (text) => (text.length > 24 ? `${text.slice(0, 23)}…` : text);
  return html`<svg class="chart" role="img" aria-label=${`${label}. ${told}`} viewBox=${`0 0 480 ${data.length * 32}`}>
    ${data.map(([name, value, text], at) => html`<g>
      <text x="0" y=${at * 32 + 20}>${cut(name)}</text>
      <rect x="175" y=${at * 32 + 4} width=${Math.max(2, Math.round((230 * value) / most))} height="23" rx="4" />
      <text x=${183 + Math.round((230 * value) / most)} y=${at * 32 + 20}>${text ?? value}</text>
    </g>`)}
  </svg>`;
}
