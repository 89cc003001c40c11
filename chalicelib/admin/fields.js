// The fields of a form, made from the noun's schema, however deep they stand. `at` is where a field stands, as problems
// name it: /methods/2/per_order. What an entry was before it was changed goes with the entry, wherever it is moved to.
import { html, signal, useEffect, useRef, useState } from './lib.js';
import { count, money, shop, words } from './format.js';
import { WAS, fresh, same } from './merge.js';
import { Tag } from './ui.js';

const idOf = (at) => `field${at.replaceAll('/', '-')}`;
const inside = (at, outer) => `${at}/`.startsWith(`${outer}/`);

const INPUTS = 'input, select, textarea';

// What somebody wants to see: the entries around it open themselves, and it gets the focus once it is there.
const wanted = signal(null);
const FRAMES = 6;
export function reveal(pointer) {
  wanted.value = { pointer };
  const look = (left) => {
    let found = document.getElementById(idOf(pointer));
    if (!found && left) {
      requestAnimationFrame(() => look(left - 1));
      return;
    }
    for (let at = pointer; at && !found; at = at.slice(0, at.lastIndexOf('/'))) found = document.getElementById(idOf(at));
    found?.scrollIntoView({ block: 'center' });
    (found?.matches(`${INPUTS}, button`) ? found : found?.querySelector(INPUTS) || found?.querySelector('button'))?.focus({ preventScroll: true });
  };
  look(FRAMES);
}

export const shown = (value) => (value === undefined || value === null || value === '' ? 'blank' : value === true ? 'on' : value === false ? 'off'
  : Array.isArray(value) ? (value.some((one) => typeof one === 'object') ? count(value.length, 'entry', 'entries') : value.join(', ') || 'none')
    : typeof value === 'object' ? Object.entries(value).filter(([part]) => !part.endsWith('_oid')).map(([, one]) => shown(one)).join(', ') : /^\d{4}-\d\d-\d\dT/.test(value) ? value.slice(0, 10) : String(value));

// The noun that a part of a schema refers to.
export const named = (of, defs) => (of?.$ref ? defs[of.$ref.split('/').pop()] : null);
// What a row holds and nobody edits: it stays as it was read.
const quiet = ([part, of]) => of.readOnly || /_oid$|_e164$|^last_used_dts$|^customer_profile/.test(part);
// The parts of a noun that are edited: first those that the form names, in its order.
function parts(noun, of) {
  const order = of['x-ui']?.parts || [];
  const place = ([part]) => (order.includes(part) ? order.indexOf(part) : order.length);
  return Object.entries(noun.properties).filter((pair) => !quiet(pair)).sort((one, other) => place(one) - place(other))
    .map(([part, its]) => [part, of['x-ui']?.titles?.[part] ? { ...its, title: of['x-ui'].titles[part] } : its]);
}

// The parts of a form in their order; what names none comes last.
export function grouped(fields, groups = [], rest = 'More') {
  const known = new Set(groups.map((group) => group.name));
  const of = ([, field]) => (known.has(field['x-ui']?.group) ? field['x-ui'].group : 'more');
  return [...groups, { name: 'more', title: rest }].map((group) => ({ ...group, fields: fields.filter((field) => of(field) === group.name) })).filter((group) => group.fields.length);
}

// The field's place in words: of a problem, or of what somebody else has changed.
export function titled(pointer, schema) {
  let of = schema;
  const said = [];
  for (const name of pointer.split('/').slice(1)) {
    if (of.type === 'array') {
      said.push(`${words(of['x-ui']?.entry || said.pop())} ${Number(name) + 1}`);
      if (of['x-ui']?.entry) said.splice(-2, 1);
      of = named(of.items, schema.$defs) || of.items;
    } else {
      of = (named(of, schema.$defs) || of).properties?.[name] || {};
      said.push(of.title || words(name));
    }
  }
  return said.join(', ');
}

// A warning's message where it applies to the value.
function warned(one, of, value, was, form) {
  if ('sum' in one) {
    const [, list, , part] = one.sum.split('/');
    const noun = named(form.fields[list].items, form.defs);
    const over = (form.said[list] || []).filter((row) => Object.entries(one.over || {}).every(([other, is]) => (row[other] ?? noun.properties[other].default) === is));
    const sum = Math.round(over.reduce((so_far, row) => so_far + Number(row[part] ?? one.blank), 0) * 1e6) / 1e6;
    return over.some((row) => row[part] !== undefined) && sum !== one.is_not && one.message.replace('{sum}', sum);
  }
  const now = value ?? (of.type === 'boolean' ? of['x-ui'].blank === true : of.default);
  const applies = ('changed' in one && was !== undefined && !same(was, value))
    || (now !== undefined && (('above' in one && now > one.above) || ('below' in one && now < one.below) || ('is' in one && now === one.is)));
  return applies && one.message;
}

// --- one field ---------------------------------------------------------------------------------------------------

// `said` and `fields`: the whole noun and its schema's properties, where a field looks at others.
export const Rule = ({ field, of, defs, value, was, set, locked, problems, said = {}, fields = {}, head = 'h3' }) => html`<${Field}
  at=${`/${field}`} of=${of} form=${{ defs, locked, problems, said, fields, head }} value=${value} was=${was} known set=${set} />`;

// `known`: whether it stood there before, as `was`; `brief`: its help stands above already.
function Field({ at, of, form, value, was, known, required, brief, set }) {
  const id = idOf(at);
  const ui = of['x-ui'] || {};
  const title = of.title || words(at.split('/').pop());
  const own = form.problems.find((p) => p.pointer === at);
  const warnings = (ui.warnings || []).map((one) => warned(one, of, value, known ? was : undefined, form)).filter(Boolean);
  const changed = known && !same(value, was);
  const helped = of.description && !brief;
  const about = [helped && `${id}-help`, own && `${id}-wrong`, warnings.length && `${id}-warn`].filter(Boolean).join(' ') || undefined;
  const blank = of.type === 'boolean' ? ui.blank === true : of.default;
  const help = helped && html`<p class="help" id=${`${id}-help`}>${of.description}</p>`;
  const after = html`
    ${own && html`<p class="wrong" id=${`${id}-wrong`}>${own.message}</p>`}
    ${warnings.length > 0 && html`<div id=${`${id}-warn`}>${warnings.map((message) => html`<p class="note">${message}</p>`)}</div>`}
    ${changed && html`<p class="soft">${of.writeOnly ? 'Will be replaced.' : of.items?.$ref && was?.length === value?.length ? 'Some entries are not as they were.' : `Was ${shown(was ?? blank)}.`} <button type="button" class="plain" aria-label=${`Put back ${title}`} onClick=${() => set(was)}>Put back</button></p>`}`;
  const kind = `${at.lastIndexOf('/') ? 'field' : 'rule'} ${changed ? 'changed' : ''}`;
  const props = { id, at, of, form, value, was: known ? was : undefined, set, about, wrong: own, title, required, brief };
  if (of.type === 'boolean') {
    return html`<div class=${kind}><div class="check">
      <input type="checkbox" id=${id} checked=${value ?? blank} disabled=${form.locked} aria-describedby=${about} onChange=${({ target }) => set(target.checked === blank && props.was === undefined ? undefined : target.checked)} />
      <div><label for=${id}>${title}</label>${help}${after}</div></div></div>`;
  }
  const noun = named(of, form.defs);
  const Inner = noun ? Parts : of.type !== 'array' ? null : choicesOf(of.items, form, at, ui.choices) ? Ticked : /^(words|lines)$/.test(ui.widget) ? null : Many;
  if (Inner) return html`<fieldset class=${kind} id=${id}><legend>${title}</legend>${help}<${Inner} ...${props} noun=${noun} known=${known} />${after}</fieldset>`;
  return html`<div class="field ${kind}"><label for=${id}>${title}${required && html` <span class="soft">(required)</span>`}</label>${help}<${of.type === 'array' ? Words : One} ...${props} />${after}</div>`;
}

// The parts of a noun, in their groups where it has any.
function Parts({ at, of, noun, form, value = {}, was, known, brief, set, kind = 'pair' }) {
  const put = (part) => (said) => {
    const next = { ...value };
    if (said === undefined) delete next[part]; else next[part] = said;
    set(Object.keys(next).length || at.lastIndexOf('/') > 0 ? next : undefined);
  };
  return grouped(parts(noun, of), noun['x-ui']?.groups, '').map((group) => html`
    ${group.title && html`<${form.head}>${group.title}<//>`}${group.help && html`<p class="soft">${group.help}</p>`}
    <div class=${kind}>${group.fields.map(([part, its]) => html`<${Field} key=${part} at=${`${at}/${part}`} of=${its} form=${form}
      value=${value[part]} was=${was?.[part]} known=${known} brief=${brief} required=${noun.required?.includes(part)} set=${put(part)} />`)}</div>`);
}

// --- one value ---------------------------------------------------------------------------------------------------

const HOURS = Array.from({ length: 24 }, (_, hour) => `${String(hour).padStart(2, '0')}:00`);

// What may be chosen, as [value, title], or nothing where anything may be said.
function choicesOf(of, form, at, choices = of['x-ui']?.choices) {
  let all = choices || of.enum || (of['x-ui']?.widget === 'hour' ? HOURS : []);
  if (typeof all === 'string') {
    // A part of all other entries of a list of the section: /gateways/*/code.
    const [, list, , part] = all.split('/');
    all = part && (form.said[list] || []).filter((_, position) => !inside(at, `/${list}/${position}`)).map((row) => [row[part], row[part]]).filter(([one]) => one);
  } else if (!all.length) return null;
  return all && all.map(choice);
}
// A word of the contract's is shown as one of the language: gift_certificate.
const choice = (one) => (Array.isArray(one) ? one : [one, /^[a-z]+(_[a-z]+)*$/.test(one) ? words(one) : one]);

function One({ id, at, of, form, value, set, about, wrong, required }) {
  const ui = of['x-ui'] || {};
  const common = { id, disabled: form.locked, 'aria-describedby': about, 'aria-invalid': wrong ? 'true' : undefined };
  const choices = choicesOf(of, form, at);
  if (choices) {
    const now = value ?? of.default;
    const blank = required ? 'Choose…' : ui.blank === undefined ? 'Blank' : `Blank (${ui.blank})`;
    const all = now === undefined || choices.some(([one]) => one === now) ? choices : [...choices, [now, now]].sort();
    return html`<select ...${common} onChange=${({ target }) => set(target.value || undefined)}>
      ${of.default === undefined && html`<option value="">${blank}</option>`}${all.map(([one, text]) => html`<option value=${one} selected=${one === now}>${text}</option>`)}</select>`;
  }
  const unit = ui.unit && html`<span class="soft">${ui.unit === 'currency' ? shop.value.currency_code : ui.unit}</span>`;
  if (of.type === 'integer') {
    return html`<span class="row"><input ...${common} type="number" step="1" value=${value ?? ''} placeholder=${ui.blank ?? ''}
      onInput=${({ target }) => set(target.value === '' ? undefined : Number(target.value))} />${unit}</span>`;
  }
  if (of.type === 'number') return html`<span class="row"><${Typed} common=${{ ...common, inputmode: 'decimal', placeholder: ui.blank ?? '', size: 10 }} value=${value} read=${numbered} write=${(one) => `${one ?? ''}`} set=${set} />${unit}</span>`;
  if (of.maxLength >= 1000) return html`<textarea ...${common} value=${value ?? ''} onInput=${({ target }) => set(target.value || undefined)}></textarea>`;
  if (of.format === 'date-time') {
    return html`<input ...${common} class="wide" type="date" value=${(value || '').slice(0, 10)} onInput=${({ target }) => set(target.value ? noon(target.value, value || ui.offset) : undefined)} />`;
  }
  const secret = of.writeOnly || ui.widget === 'password';
  return html`<input ...${common} class="wide" list=${ui.list} type=${secret ? 'password' : of.format === 'date' ? 'date' : 'text'} autocomplete=${secret ? 'new-password' : 'off'} value=${value ?? ''} placeholder=${ui.blank ?? ''} onInput=${({ target }) => set(target.value || undefined)} />`;
}

// A day of the shop's: noon of it, whatever the season's offset is. `like`: an instant of the shop's.
const noon = (day, like) => `${day}T12:00:00${(like || '+00:00').slice(-6)}`;

// A text that means a value: it stays as it was typed while it means the same.
function Typed({ common, as = 'input', value, read, write, set }) {
  const [text, say] = useState(write(value));
  return html`<${as} ...${common} autocomplete="off" value=${same(read(text), value) ? text : write(value)} onInput=${({ target }) => { say(target.value); set(read(target.value)); }} />`;
}
// What is no number is left to the API to refuse.
const numbered = (text) => (text.trim() === '' ? undefined : Number.isNaN(Number(text)) ? text : Number(text));

// A list of short texts in one box.
function Words({ id, at, of, form, value, was, set, about, wrong }) {
  const [sign, join] = of['x-ui'].widget === 'words' ? [/[,\n]/, ', '] : [/\n/, '\n'];
  const read = (text) => {
    const all = text.split(sign).map((one) => one.trim()).filter(Boolean);
    return all.length || was ? all : undefined;
  };
  const bad = form.problems.filter((p) => p.pointer.startsWith(`${at}/`));
  const common = { id, disabled: form.locked, class: 'wide', rows: 3, 'aria-invalid': wrong || bad.length ? 'true' : undefined, 'aria-describedby': [about, bad.length && `${id}-bad`].filter(Boolean).join(' ') || undefined };
  return html`<${Typed} as=${join === '\n' ? 'textarea' : 'input'} common=${common} value=${value} read=${read} write=${(all) => (all || []).join(join)} set=${set} />
    ${bad.length > 0 && html`<div id=${`${id}-bad`}>${bad.map((p) => html`<p class="wrong">${value?.[p.pointer.split('/').pop()]}: ${p.message}</p>`)}</div>`}`;
}

// A list of what is ticked of all that there is.
function Ticked({ id, at, of, form, value = [], was, set }) {
  const all = choicesOf(of.items, form, at, of['x-ui']?.choices);
  const tick = (one, on) => {
    const next = all.map(([other]) => other).filter((other) => (other === one ? on : value.includes(other)));
    set(next.length || was ? next : undefined);
  };
  return html`<div class="ticked">${all.map(([one, text], position) => html`<span class="check"><input type="checkbox" id=${`${id}-${position}`} disabled=${form.locked}
    checked=${value.includes(one)} onChange=${({ target }) => tick(one, target.checked)} /><label for=${`${id}-${position}`}>${text}</label></span>`)}</div>`;
}

// --- lists -------------------------------------------------------------------------------------------------------

// A list of texts, or of nouns: small ones stand in rows, those with a summary each in a card.
function Many({ id, at, of, form, value, was, set, title, known }) {
  const rows = value || [];
  const ui = of['x-ui'] || {};
  const noun = named(of.items, form.defs);
  const entry = ui.entry || title.toLowerCase();
  const put = (position, row) => set(rows.map((old, place) => (place === position ? row : old)));
  const drop = (position) => { const left = rows.filter((_, place) => place !== position); set(left.length || was ? left : undefined); };
  const move = (position, by) => { const next = [...rows]; next.splice(position + by, 0, ...next.splice(position, 1)); set(next); };
  const last = useRef(rows.length);
  useEffect(() => {
    const added = rows.length > last.current && document.getElementById(`${id}-${rows.length - 1}`);
    if (added) (added.matches(INPUTS) ? added : added.querySelector(INPUTS))?.focus();
    last.current = rows.length;
  }, [rows.length]);
  return html`
    ${rows.length === 0 && html`<p class="soft">None.</p>`}
    ${rows.map((row, position) => {
      const here = `${at}/${position}`;
      const name = `${entry} ${position + 1}`;
      const buttons = !form.locked && html`<div class="row">
        ${ui.ordered && html`<button type="button" aria-label=${`Move ${name} up`} disabled=${!position} onClick=${() => move(position, -1)}>↑</button><button type="button" aria-label=${`Move ${name} down`} disabled=${position === rows.length - 1} onClick=${() => move(position, 1)}>↓</button>`}
        <button type="button" aria-label=${`Remove ${name}`} onClick=${() => drop(position)}>Remove</button></div>`;
      const props = { at: here, of, noun, form, value: row, was: row?.[WAS]?.row, known: known && Boolean(row?.[WAS]?.row), set: (said) => put(position, said ?? '') };
      if (ui.summary) return html`<${Entry} key=${row[WAS]?.key} ...${props} name=${name} buttons=${buttons} />`;
      if (noun) return html`<div class="many" key=${row[WAS]?.key} role="group" aria-label=${words(name)} id=${idOf(here)}><${Parts} ...${props} brief=${position > 0} />${problem(form, here)}${buttons}</div>`;
      return html`<div class="field"><label class="hidden" for=${idOf(here)}>${words(name)}</label><${One} ...${props} of=${of.items} id=${idOf(here)} wrong=${problem(form, here)} />${problem(form, here)}${buttons}</div>`;
    })}
    ${!form.locked && html`<button type="button" onClick=${() => set([...rows, noun ? fresh() : ''])}>${ui.entry ? `Add ${/^[aeiou]/.test(entry) ? 'an' : 'a'} ${entry}` : 'Add'}</button>`}`;
}

const problem = (form, at) => form.problems.filter((p) => p.pointer === at).map((p) => html`<p class="wrong">${p.message}</p>`)[0];

// A noun of a list: one line that tells it from the others, and its form once somebody opens it.
function Entry({ buttons, name, ...props }) {
  const { at, of, noun, form, value, was, known } = props;
  const wrong = form.problems.filter((p) => inside(p.pointer, at)).length;
  const [open, set] = useState(!known && !was);
  const seen = useRef(wanted.value);
  if (seen.current !== wanted.value) {
    seen.current = wanted.value;
    if (inside(wanted.value.pointer, at)) set(true);
  }
  const [title, ...rest] = of['x-ui'].summary.map((part) => [noun.properties[part], value[part]]);
  const changed = known && !same(value, was);
  return html`<div class="entry" role="group" aria-label=${words(name)} id=${idOf(at)}>
    <button type="button" class="head" aria-expanded=${open ? 'true' : 'false'} onClick=${() => set(!open)}><strong>${inOneLine(title[0], title[1], true) || words(name)}</strong>
      <span class="soft">${rest.map(([its, said]) => inOneLine(its, said)).filter(Boolean).join(' · ')}</span>
      ${wrong > 0 ? html` <${Tag} kind="bad">${count(wrong, 'problem')}<//>` : !known ? html` <${Tag}>New<//>` : changed && html` <${Tag}>Changed<//>`}</button>
    ${open && html`${problem(form, at)}<${Parts} ...${props} kind="fields" />${buttons}`}</div>`;
}

function inOneLine(of, value, bare = false) {
  const ui = of['x-ui'] || {};
  if (value === undefined || value === '' || value?.length === 0) return '';
  if (of.type === 'boolean') return value === (ui.blank === true) ? '' : value ? of.title : `${of.title}: off`;
  const [, chosen] = (Array.isArray(ui.choices) ? ui.choices : of.enum || []).map(choice).find(([one]) => one === value) || [];
  const said = Array.isArray(value) ? [...value.slice(0, 4), ...(value.length > 4 ? [`${value.length - 4} more`] : [])].join(', ')
    : chosen || (ui.unit === 'currency' && typeof value === 'number' ? money(value) : `${value}${ui.unit === '%' ? '%' : ''}`);
  return bare ? said : `${of.title} ${said}`;
}
