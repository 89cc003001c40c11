// What screens are made of.
import { html, signal, useEffect, useRef, useState } from './lib.js';
import { ApiError, tick } from './api.js';
import { number } from './format.js';
import { requery, route } from './router.js';

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

export const PAGE = 25;
export const offset = () => Number(route.value.query.offset || 0);

// Pages by the server; where we are stands in the address.
export function Pager({ set, label }) {
  const from = set.count ? set.offset + 1 : 0;
  const total = set.total_records === undefined ? '' : ` of ${number(set.total_records)}`;
  return html`<nav class="pager" aria-label=${label}>
    <button disabled=${!set.offset} onClick=${() => requery({ offset: Math.max(0, set.offset - set.limit) || '' })}>Previous</button>
    <button disabled=${!set.more} onClick=${() => requery({ offset: set.next_offset })}>Next</button>
    <span class="soft" role="status">${number(from)} to ${number(set.offset + set.count)}${total}</span>
  </nav>`;
}

// Filters that stand in the address. `fields`: [name, label, choices or nothing].
export function Filters({ fields, query, label, verb = 'Search' }) {
  const submit = (event) => {
    event.preventDefault();
    const said = Object.fromEntries([...new FormData(event.target)].map(([k, v]) => [k, v.trim()]));
    requery({ ...said, offset: '', cursor: '' });
  };
  const any = fields.some(([name]) => query[name]);
  const clear = () => requery(Object.fromEntries([...fields.map(([name]) => [name, '']), ['offset', ''], ['cursor', '']]));
  return html`<form class="filters" role="search" aria-label=${label} onSubmit=${submit} key=${JSON.stringify(query)}>
    ${fields.map(([name, title, choices, type, blank = 'Any']) => html`<label>${title}
      ${choices ? html`<select name=${name} value=${query[name] || ''} onChange=${(e) => e.target.form.requestSubmit()}>
        <option value="">${blank}</option>
        ${choices.map((choice) => { const [value, text] = [].concat(choice); return html`<option value=${value} selected=${query[name] === value}>${text || value}</option>`; })}
      </select>` : html`<input name=${name} type=${type || 'text'} defaultValue=${query[name] || ''} autocomplete="off" />`}
    </label>`)}
    <button>${verb}</button>
    ${any && html`<button type="button" class="plain" onClick=${clear}>Clear</button>`}
  </form>`;
}

// A button that does something that takes its time: it cannot be pressed twice, and says what went wrong.
export function Do({ act, children, kind = '', disabled, type = 'button' }) {
  const [busy, set] = useState(false);
  // A second press may come before it is drawn anew.
  const pressed = useRef(false);
  const press = async () => {
    if (pressed.current) return;
    set(pressed.current = true);
    try {
      await act();
    } catch (error) {
      if (error.status !== 401) toast(error.message, 'bad');
    } finally {
      set(pressed.current = false);
    }
  };
  return html`<button type=${type} class=${kind} disabled=${busy || disabled} aria-busy=${busy ? 'true' : 'false'} onClick=${press}>${children}</button>`;
}

export function Copy({ text, children = 'Copy' }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast('Copied.');
    } catch {
      toast('The browser does not let the page copy: mark the text and copy it yourself.', 'bad');
    }
  };
  return html`<button type="button" onClick=${copy}>${children}</button>`;
}

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

export function Dialog({ title, close, children, kind = '' }) {
  const box = useRef();
  useEffect(() => {
    const from = document.activeElement;
    box.current.showModal();
    return () => from?.isConnected && from.focus();
  }, []);
  return html`<dialog ref=${box} class=${kind} aria-label=${title} onClose=${close}
    onClick=${(event) => event.target === box.current && box.current.close()}>
    ${kind !== 'palette' && html`<h2>${title}</h2>`}${children}
  </dialog>`;
}

// --- what is wrong -----------------------------------------------------------------------------------------------

// The problems of a refused form by their field, and those that no field has.
export function problemsOf(error) {
  if (!(error instanceof ApiError)) throw error;
  return error.problems.length ? error.problems : [{ pointer: '', message: error.message }];
}

// `titles`: of a pointer, the words before its message; `show`: brings its field into view.
export function Summary({ problems, title, titleOf, show }) {
  const box = useRef();
  useEffect(() => { if (problems.length) box.current?.focus(); }, [problems]);
  if (!problems.length) return null;
  return html`<div class="note bad" role="alert" tabindex="-1" ref=${box}>
    <h2>${title}</h2>
    <ul>${problems.map((p) => html`<li>${p.pointer && show
      ? html`<a href=${location.hash} onClick=${(event) => { event.preventDefault(); show(p.pointer); }}>${titleOf(p.pointer)}: ${p.message}</a>`
      : html`${p.pointer && `${titleOf ? titleOf(p.pointer) : p.pointer}: `}${p.message}`}</li>`)}</ul>
  </div>`;
}

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
