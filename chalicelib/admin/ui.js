// What screens are made of.
import { html, useEffect, useRef, useState } from './lib.js';
import { ApiError, may } from './api.js';
import { number } from './format.js';
import { toast } from './parts.js';
import { requery, route } from './router.js';

export * from './parts.js';

// --- lists and buttons -------------------------------------------------------------------------------------------

export const PAGE = 25;
export const offset = () => Number(route.value.query.offset || 0);

// Whether the dialog is open in which something new is made: that stands in the address, so that the palette leads there.
export const useAdding = (permission) => [Boolean(route.value.query.add) && may(permission), (opens) => requery({ add: opens ? 1 : '' })];

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

// --- above the page -----------------------------------------------------------------------------------------------

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
