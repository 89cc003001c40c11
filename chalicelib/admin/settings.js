// A section of settings as a form that is made from its schema: what the API adds stands here by itself. Nothing is
// checked here but by the API.
import { html, useEffect, useMemo, useRef, useState } from './lib.js';
import { call, get, may } from './api.js';
import { count, words } from './format.js';
import { guarded } from './router.js';
import { Card, Do, Loaded, Page, Summary, problemsOf, toast, useLoad } from './ui.js';

const LEADS = {
  auto_order_processing: 'How rebills are billed, retried, shipped and announced.',
  merchant: 'Whose shop it is, where its days begin, and who may call from a browser.',
};

export default function Settings({ section, query }) {
  const path = `/configuration/${section.settings}`;
  const schema = useLoad(async () => (await get(`${path}/schema`)).schema, [path]);
  const stands = useLoad(async () => {
    const { data, etag } = await call('GET', path);
    return { said: data[section.settings], etag };
  }, [path]);
  return html`<${Page} title=${section.title} lead=${LEADS[section.settings]}>
    <${Loaded} of=${schema}>${(form) => html`<${Loaded} of=${stands}>${(now) => html`
      <${Form} key=${path} path=${path} name=${section.settings} schema=${form} read=${now} shown=${query.field} />`}<//>`}<//>
  <//>`;
}

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

function Form({ path, name, schema, read, shown }) {
  // What stands, by the last answer that was taken; what is said here; what somebody else has saved meanwhile.
  const [stands, take] = useState(read);
  const [said, say] = useState(read.said);
  const [theirs, meet] = useState(null);
  const [problems, complain] = useState([]);
  const fields = Object.entries(schema.properties).filter(([, field]) => !field.readOnly);
  const changed = fields.map(([field]) => field).filter((field) => !same(said[field], stands.said[field]));
  const dirty = useRef(false);
  dirty.current = changed.length > 0;
  useEffect(() => guarded(() => dirty.current && 'You have unsaved changes. Leave them?'), []);
  useEffect(() => () => guarded(null), []);
  // Read again (time was moved, say): what is not touched follows.
  useEffect(() => {
    if (!dirty.current) { take(read); say(read.said); }
  }, [read]);
  useEffect(() => { if (shown) reveal(`/${shown}`); }, [shown]);

  const groups = useMemo(() => grouped(fields, schema['x-ui']?.groups || []), [schema]);
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
  const discard = () => { say(stands.said); complain([]); meet(null); };
  const takeTheirs = () => { take(theirs); say(theirs.said); meet(null); };
  // Their version is what mine is laid over: only what I have changed is sent.
  const keepMine = () => { take(theirs); say({ ...theirs.said, ...Object.fromEntries(changed.map((field) => [field, said[field]])) }); meet(null); };
  const titleOf = (pointer) => {
    const [, field, position, part] = pointer.split('/');
    const group = groups.find((one) => one.fields.some(([other]) => other === field));
    const title = schema.properties[field]?.title || words(field);
    return `${group?.title ? `${group.title}, ` : ''}${title}${position ? ` ${Number(position) + 1}` : ''}${part ? `, ${words(part).toLowerCase()}` : ''}`;
  };
  const writes = may('configuration_write');
  return html`
    <${Summary} problems=${problems} title="Some settings are not valid" titleOf=${titleOf} show=${reveal} />
    ${theirs && html`<${Theirs} theirs=${theirs} stands=${stands} fields=${fields} changed=${changed} keep=${keepMine} take=${takeTheirs} />`}
    <div class=${groups.length > 1 ? 'settings' : ''}>
      ${groups.length > 1 && html`<nav class="index" aria-label="Parts of this page"><ul>${groups.map((group) => html`<li><a href=${location.hash} onClick=${(event) => { event.preventDefault(); const box = document.getElementById(`group-${group.name}`); box.scrollIntoView(); box.querySelector('input, select, button')?.focus(); }}>${group.title}</a></li>`)}</ul></nav>`}
      <form onSubmit=${(event) => event.preventDefault()}>${groups.map((group) => html`<${Card} title=${group.title} id=${`group-${group.name}`}>
        ${group.help && html`<p class="soft">${group.help}</p>`}
        ${group.fields.map(([field, of]) => html`<${Rule} key=${field} field=${field} of=${of} defs=${schema.$defs} value=${said[field]} was=${stands.said[field]}
          changed=${changed.includes(field)} set=${set(field)} locked=${!writes} problems=${problems.filter((p) => p.pointer === `/${field}` || p.pointer.startsWith(`/${field}/`))} />`)}
      <//>`)}</form>
    </div>
    ${changed.length > 0 && html`<div class="dock" role="region" aria-label="Unsaved changes"><p role="status">${count(changed.length, 'unsaved change')}</p>
      <button onClick=${discard}>Discard</button><${Do} kind="main" act=${save} disabled=${Boolean(theirs)}>Save<//></div>`}`;
}

// The parts of the form in their order; what names none comes last.
function grouped(fields, groups) {
  const known = new Set(groups.map((group) => group.name));
  const of = ([, field]) => (known.has(field['x-ui']?.group) ? field['x-ui'].group : 'more');
  return [...groups, { name: 'more', title: groups.length ? 'More' : 'General' }]
    .map((group) => ({ ...group, fields: fields.filter((field) => of(field) === group.name) })).filter((group) => group.fields.length);
}

function reveal(pointer) {
  const [, field, position, part] = pointer.split('/');
  const found = document.getElementById(['field', field, position, part].filter(Boolean).join('-')) || document.getElementById(`field-${field}`);
  if (!found) return;
  found.scrollIntoView({ block: 'center' });
  (found.matches('input, select, textarea, button') ? found : found.querySelector('input, select, textarea, button'))?.focus({ preventScroll: true });
}

function Theirs({ theirs, stands, fields, changed, keep, take }) {
  const moved = fields.filter(([field]) => !same(theirs.said[field], stands.said[field]));
  const both = moved.filter(([field]) => changed.includes(field));
  return html`<div class="note" role="alert">
    <h2>Somebody else has saved this section meanwhile</h2>
    <p>Nothing of yours is lost. ${moved.length ? 'They changed:' : ''}</p>
    <ul>${moved.map(([field, of]) => html`<li>${of.title}: ${shown(stands.said[field])} → <strong>${shown(theirs.said[field])}</strong>${both.some(([other]) => other === field) && ' (you too)'}</li>`)}</ul>
    <div class="row"><button onClick=${keep}>Lay mine over theirs</button><button onClick=${take}>Take theirs, drop mine</button></div>
  </div>`;
}

const shown = (value) => (value === undefined || value === null || value === '' ? 'blank' : value === true ? 'on' : value === false ? 'off' : Array.isArray(value) ? `${count(value.length, 'entry', 'entries')}` : String(value));

// --- one field ---------------------------------------------------------------------------------------------------

function Rule({ field, of, defs, value, was, changed, set, locked, problems }) {
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
  if (of.type === 'array') return html`<fieldset class=${`rule ${changed ? 'changed' : ''}`} id=${id}><legend>${props.title}</legend>${help}<${Many} ...${props} />${after}</fieldset>`;
  return html`<div class=${`rule field ${changed ? 'changed' : ''}`}><label for=${id}>${props.title}</label>${help}<${One} ...${props} />${after}</div>`;
}

const applies = (one, value) => value !== undefined && value !== null && (('above' in one && value > one.above) || ('below' in one && value < one.below) || ('is' in one && value === one.is));

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
  return html`<input ...${common} class="wide" value=${value ?? ''} placeholder=${ui.blank ?? ''} onInput=${(event) => set(event.target.value || undefined)} />`;
}

// A list of texts, or of small nouns of the schema.
function Many({ id, of, defs, value, set, locked, title, problems, field }) {
  const rows = value || [];
  const noun = of.items?.$ref ? defs[of.items.$ref.replace('#/$defs/', '')] : null;
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
    ${rows.map((row, position) => html`<div class="field" data-row=${position} id=${noun ? `${id}-${position}` : undefined}>${noun ? html`<div class="pair">${Object.entries(noun.properties).map(([part, its]) => html`
        <${Part} id=${`${id}-${position}-${part}`} of=${its} label=${`${its.title || words(part)}`} about=${`${title} ${position + 1}`} value=${row[part]} locked=${locked} wrong=${wrong(position, part)}
          set=${(said) => { const next = { ...row }; if (said === undefined) delete next[part]; else next[part] = said; put(position, next); }} />`)}</div>`
      : html`<${Part} id=${`${id}-${position}`} of=${of.items} label=${`${title} ${position + 1}`} hide value=${row} locked=${locked} wrong=${wrong(position)} set=${(said) => put(position, said ?? '')} />`}
      ${!locked && html`<button type="button" aria-label=${`Remove ${title.toLowerCase()} ${position + 1}`} onClick=${() => drop(position)}>Remove</button>`}</div>`)}
    ${!locked && html`<button type="button" onClick=${add}>Add</button>`}`;
}

function Part({ id, of, label, about, hide, value, set, locked, wrong }) {
  const told = wrong ? `${id}-wrong` : undefined;
  const name = about ? `${about}, ${label.toLowerCase()}` : label;
  const note = wrong && html`<p class="wrong" id=${told}>${wrong.message}</p>`;
  if (of.type === 'boolean') return html`<div class="field check"><input type="checkbox" id=${id} checked=${value !== false} disabled=${locked} onChange=${(event) => set(event.target.checked)} aria-label=${name} /><label for=${id}>${label}</label></div>`;
  return html`<div class="field"><label for=${id} class=${hide ? 'hidden' : ''}>${label}</label>
    <input id=${id} class="wide" value=${value ?? ''} disabled=${locked} aria-label=${name} aria-invalid=${wrong ? 'true' : undefined} aria-describedby=${told} onInput=${(event) => set(event.target.value || undefined)} />${note}</div>`;
}
