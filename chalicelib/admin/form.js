// A form over a noun of the API: what was changed, what was there before, what is wrong, and what somebody else has saved
// meanwhile. Its fields are made from the noun's schema; nothing is checked here but by the API.
import { html, useEffect, useRef, useState } from './lib.js';
import { call } from './api.js';
import { count, words } from './format.js';
import { guarded } from './router.js';
import { Do, problemsOf, toast } from './ui.js';

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

// `read`: { said, etag } as it was read from `path`; `name`: under which the answers hold it; `fields`: what may change.
export function useDraft(path, name, read, fields) {
  // What stands, by the last answer that was taken; what is said here; what somebody else has saved meanwhile.
  const [stands, take] = useState(read);
  const [said, say] = useState(read.said);
  const [theirs, meet] = useState(null);
  const [problems, complain] = useState([]);
  const changed = fields.filter((field) => !same(said[field], stands.said[field]));
  const dirty = useRef(false);
  dirty.current = changed.length > 0;
  useEffect(() => {
    guarded(() => dirty.current && 'You have unsaved changes. Leave them?');
    return () => guarded(null);
  }, []);
  // Read again (time was moved, say): what is not touched follows, and beside what is touched what no form changes.
  useEffect(() => {
    if (!dirty.current) { take(read); say(read.said); }
    else if (fields.every((field) => same(read.said[field], stands.said[field]))) {
      take(read);
      say((mine) => ({ ...read.said, ...Object.fromEntries(changed.map((field) => [field, mine[field]])) }));
    }
  }, [read]);
  const set = (field) => (value) => say((old) => {
    const next = { ...old };
    if (value === undefined) delete next[field]; else next[field] = value;
    return next;
  });
  const save = async () => {
    // What is taken back is said to be nothing.
    const sent = Object.fromEntries(changed.map((field) => [field, said[field] ?? null]));
    try {
      const { data, etag } = await call('PUT', path, sent, { 'if-match': theirs?.etag || stands.etag });
      take({ said: data[name], etag });
      say(data[name]);
      meet(null);
      complain([]);
      toast('Saved.');
    } catch (error) {
      if (error.status === 412) {
        const { data, etag } = await call('GET', path);
        meet({ said: data[name], etag });
        complain([]);
      } else if (error.status !== 401) complain(problemsOf(error));
    }
  };
  return {
    said, stands, theirs, problems, changed, set, save,
    discard: () => { say(stands.said); complain([]); meet(null); },
    takeTheirs: () => { take(theirs); say(theirs.said); meet(null); },
    // Their version is what mine is laid over: only what I have changed is sent.
    keepMine: () => { take(theirs); say({ ...theirs.said, ...Object.fromEntries(changed.map((field) => [field, said[field]])) }); meet(null); },
  };
}

export const Dock = ({ draft }) => draft.changed.length > 0 && html`<div class="dock" role="region" aria-label="Unsaved changes"><p role="status">${count(draft.changed.length, 'unsaved change')}</p>
  <button onClick=${draft.discard}>Discard</button><${Do} kind="main" act=${draft.save} disabled=${Boolean(draft.theirs)}>Save<//></div>`;

export function reveal(pointer) {
  const [, field, position, part] = pointer.split('/');
  const found = document.getElementById(['field', field, position, part].filter(Boolean).join('-')) || document.getElementById(`field-${field}`);
  if (!found) return;
  found.scrollIntoView({ block: 'center' });
  (found.matches('input, select, textarea, button') ? found : found.querySelector('input, select, textarea, button'))?.focus({ preventScroll: true });
}

export function Theirs({ draft, titleOf }) {
  const { theirs, stands, changed } = draft;
  if (!theirs) return null;
  const all = [...new Set([...Object.keys(theirs.said), ...Object.keys(stands.said)])];
  const moved = all.filter((field) => !same(theirs.said[field], stands.said[field]) && !/^last_modified/.test(field));
  return html`<div class="note" role="alert">
    <h2>Somebody else has saved this meanwhile</h2>
    <p>Nothing of yours is lost. ${moved.length ? 'They changed:' : ''}</p>
    <ul>${moved.map((field) => html`<li>${titleOf(`/${field}`)}: ${shown(stands.said[field])} → <strong>${shown(theirs.said[field])}</strong>${changed.includes(field) && ' (you too)'}</li>`)}</ul>
    <div class="row"><button onClick=${draft.keepMine}>Lay mine over theirs</button><button onClick=${draft.takeTheirs}>Take theirs, drop mine</button></div>
  </div>`;
}

export const shown = (value) => (value === undefined || value === null || value === '' ? 'blank' : value === true ? 'on' : value === false ? 'off' : Array.isArray(value) ? count(value.length, 'entry', 'entries') : typeof value === 'object' ? Object.values(value).map(shown).join(', ') : String(value));

// --- one field ---------------------------------------------------------------------------------------------------

export function Rule({ field, of, defs, value, was, changed, set, locked, problems }) {
  const id = `field-${field}`;
  const own = problems.find((p) => p.pointer === `/${field}`);
  const warnings = (of['x-ui']?.warnings || []).filter((one) => applies(one, value));
  const about = [of.description && `${id}-help`, own && `${id}-wrong`, warnings.length && `${id}-warn`].filter(Boolean).join(' ');
  const props = { id, of, defs, value, set, locked, about, wrong: Boolean(own), title: of.title || words(field), problems, field };
  const after = html`
    ${own && html`<p class="wrong" id=${`${id}-wrong`}>${own.message}</p>`}
    ${warnings.length > 0 && html`<div id=${`${id}-warn`}>${warnings.map((one) => html`<p class="note">${one.message}</p>`)}</div>`}
    ${changed && html`<p class="soft">Was ${shown(was ?? (of.type === 'boolean' ? false : undefined))}. <button type="button" class="plain" onClick=${() => set(was)}>Put back</button></p>`}`;
  const help = of.description && html`<p class="help" id=${`${id}-help`}>${of.description}</p>`;
  if (of.type === 'boolean') {
    return html`<div class=${`rule ${changed ? 'changed' : ''}`}><div class="check">
      <input type="checkbox" id=${id} checked=${Boolean(value)} disabled=${locked} aria-describedby=${about} onChange=${(event) => set(event.target.checked || (was === undefined ? undefined : false))} />
      <div><label for=${id}>${props.title}</label>${help}${after}</div></div></div>`;
  }
  const noun = named(of, defs);
  if (noun) {
    const put = (part) => (said) => {
      const next = { ...value };
      if (said === undefined) delete next[part]; else next[part] = said;
      set(Object.keys(next).length ? next : undefined);
    };
    return html`<fieldset class=${`rule ${changed ? 'changed' : ''}`} id=${id}><legend>${props.title}</legend>${help}<div class="pair">${parts(noun, of).map(([part, its]) => html`
      <${Part} id=${`${id}-${part}`} of=${its} label=${its.title || words(part)} about=${props.title} value=${value?.[part]} locked=${locked} wrong=${problems.find((p) => p.pointer === `/${field}/${part}`)} set=${put(part)} />`)}</div>${after}</fieldset>`;
  }
  if (of.type === 'array') return html`<fieldset class=${`rule ${changed ? 'changed' : ''}`} id=${id}><legend>${props.title}</legend>${help}<${Many} ...${props} />${after}</fieldset>`;
  return html`<div class=${`rule field ${changed ? 'changed' : ''}`}><label for=${id}>${props.title}</label>${help}<${One} ...${props} />${after}</div>`;
}

const applies = (one, value) => value !== undefined && value !== null && (('above' in one && value > one.above) || ('below' in one && value < one.below) || ('is' in one && value === one.is));

// The noun that a part of a schema refers to.
const named = (of, defs) => (of?.$ref ? defs[of.$ref.split('/').pop()] : null);
// What a row holds and nobody edits: it stays as it was read.
const quiet = ([part, of]) => of.readOnly || /_oid$|_e164$|^last_used_dts$|^customer_profile/.test(part);
// The parts of a noun that are edited: first those that the form names, in its order.
function parts(noun, of) {
  const order = of['x-ui']?.parts || [];
  const place = ([part]) => (order.includes(part) ? order.indexOf(part) : order.length);
  return Object.entries(noun.properties).filter((pair) => !quiet(pair)).sort((one, other) => place(one) - place(other))
    .map(([part, its]) => [part, of['x-ui']?.titles?.[part] ? { ...its, title: of['x-ui'].titles[part] } : its]);
}

const HOURS = Array.from({ length: 24 }, (_, hour) => `${String(hour).padStart(2, '0')}:00`);

function One({ id, of, value, set, locked, about, wrong }) {
  const ui = of['x-ui'] || {};
  const common = { id, disabled: locked, 'aria-describedby': about || undefined, 'aria-invalid': wrong ? 'true' : undefined };
  const choices = of.enum || (ui.widget === 'hour' ? [...new Set([...HOURS, value].filter(Boolean))].sort() : null);
  if (choices) {
    return html`<select ...${common} onChange=${(event) => set(event.target.value || undefined)}>
      <option value="">${ui.blank === undefined ? 'Blank' : `Blank (${ui.blank})`}</option>${choices.map((one) => html`<option selected=${one === value}>${one}</option>`)}</select>`;
  }
  if (of.type === 'integer' || of.type === 'number') {
    const said = (text) => (text === '' ? undefined : Number.isNaN(Number(text)) ? text : Number(text));
    return html`<span class="row"><input ...${common} type="number" step=${of.type === 'integer' ? 1 : 'any'} value=${value ?? ''} placeholder=${ui.blank ?? ''}
      onInput=${(event) => set(said(event.target.value))} />${ui.unit && html`<span class="soft">${ui.unit}</span>`}</span>`;
  }
  if (of.maxLength >= 1000) return html`<textarea ...${common} value=${value ?? ''} onInput=${(event) => set(event.target.value || undefined)}></textarea>`;
  return html`<input ...${common} class="wide" type=${ui.widget === 'password' ? 'password' : of.format === 'date' ? 'date' : 'text'} autocomplete=${ui.widget === 'password' ? 'new-password' : 'off'} value=${value ?? ''} placeholder=${ui.blank ?? ''} onInput=${(event) => set(event.target.value || undefined)} />`;
}

// A list of texts, or of small nouns of the schema.
function Many({ id, of, defs, value, set, locked, title, problems, field }) {
  const rows = value || [];
  const noun = named(of.items, defs);
  const put = (position, row) => set(rows.map((old, at) => (at === position ? row : old)));
  const drop = (position) => set(rows.filter((_, at) => at !== position));
  const add = () => set([...rows, noun ? {} : '']);
  const wrong = (position, part) => problems.find((p) => p.pointer === ['', field, position, part].filter((one) => one !== undefined).join('/'));
  const last = useRef(rows.length);
  useEffect(() => {
    if (rows.length > last.current) document.querySelector(`#${id} [data-row="${rows.length - 1}"] input`)?.focus();
    last.current = rows.length;
  }, [rows.length]);
  return html`
    ${rows.length === 0 && html`<p class="soft">None.</p>`}
    ${rows.map((row, position) => html`<div class="field" data-row=${position} id=${noun ? `${id}-${position}` : undefined}>${noun ? html`<div class="pair">${parts(noun, of).map(([part, its]) => html`
        <${Part} id=${`${id}-${position}-${part}`} of=${its} label=${`${its.title || words(part)}`} about=${`${title} ${position + 1}`} value=${row[part]} locked=${locked} wrong=${wrong(position, part)}
          set=${(said) => { const next = { ...row }; if (said === undefined) delete next[part]; else next[part] = said; put(position, next); }} />`)}</div>`
      : html`<${Part} id=${`${id}-${position}`} of=${of.items} label=${`${title} ${position + 1}`} hide value=${row} locked=${locked} wrong=${wrong(position)} set=${(said) => put(position, said ?? '')} />`}
      ${!locked && html`<button type="button" aria-label=${`Remove ${title.toLowerCase()} ${position + 1}`} onClick=${() => drop(position)}>Remove</button>`}</div>`)}
    ${!locked && html`<button type="button" onClick=${add}>Add</button>`}`;
}

function Part({ id, of, label, about, hide, value, set, locked, wrong }) {
  const told = wrong ? `${id}-wrong` : undefined;
  const name = about ? `${about}, ${label.toLowerCase()}` : label;
  const common = { id, disabled: locked, 'aria-label': name, 'aria-invalid': wrong ? 'true' : undefined, 'aria-describedby': told };
  const note = wrong && html`<p class="wrong" id=${told}>${wrong.message}</p>`;
  // A rule that is on where nothing is said, says so itself.
  const on = of['x-ui']?.blank === true ? value !== false : Boolean(value);
  if (of.type === 'boolean') return html`<div class="field check"><input ...${common} type="checkbox" checked=${on} onChange=${(event) => set(event.target.checked)} /><label for=${id}>${label}</label></div>`;
  const number = of.type === 'integer' || of.type === 'number';
  const said = (text) => (text === '' ? undefined : number ? Number(text) : of.format === 'date-time' ? `${text}T12:00:00${(value || '+00:00').slice(-6)}` : text);
  const text = of.format === 'date-time' ? (value || '').slice(0, 10) : value ?? '';
  return html`<div class="field"><label for=${id} class=${hide ? 'hidden' : ''}>${label}</label>
    ${of.enum ? html`<select ...${common} class="wide" onChange=${(event) => set(event.target.value || undefined)}><option value=""></option>${of.enum.map((one) => html`<option selected=${one === value}>${one}</option>`)}</select>`
      : html`<input ...${common} class="wide" type=${number ? 'number' : /^date/.test(of.format || '') ? 'date' : 'text'} step="any" value=${text} onInput=${(event) => set(said(event.target.value))} />`}${note}</div>`;
}
