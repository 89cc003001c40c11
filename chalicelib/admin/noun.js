// Fields of a noun that holds nouns, each by itself under its path ('pricing/cost'), as the API's schema describes them.
import { html } from './lib.js';
import { again, may, session } from './api.js';
import { words } from './format.js';
import { Rule, named, reveal, shown, titled } from './fields.js';
import { useDraft } from './form.js';
import { Card } from './ui.js';

export { reveal };

const inside = (noun, path) => path.split('/').reduce((value, part) => value?.[part], noun);
// A copy of the noun with that value there.
export function put(noun, [part, ...rest], value) {
  const next = { ...noun, [part]: rest.length ? put(noun?.[part], rest, value) : value };
  if (next[part] === undefined) delete next[part];
  return next;
}
// The noun by its paths, and back again.
export const flatOf = (noun, paths) => Object.fromEntries(paths.map((path) => [path, inside(noun, path)]).filter(([, value]) => value !== undefined));
// A text that is left blank is taken away.
export const nested = (flat) => Object.entries(flat).reduce((noun, [path, value]) => put(noun, path.split('/'), value === '' ? null : value), {});
// A draft by paths; once it is saved, the rest of the screen is read again.
export const usePaths = (path, name, read, paths, sent = nested) => useDraft(path, name, read, paths, { shape: (noun) => flatOf(noun, paths), sent, after: again });

const schemaOf = (defs, noun, path) => path.split('/').reduce((of, part) => (named(of, defs) || of)?.properties?.[part], defs[noun]);
const flat = (path) => path.replaceAll('/', '-');
export const idOf = (path) => `field-${flat(path)}`;
// Of a pointer, the words before its message.
export const titleOf = (defs, noun) => (pointer) => titled(pointer, { ...defs[noun], $defs: defs });

export const Several = ({ paths, ...rest }) => html`<div class="fields">${paths.split(' ').map((path) => html`<${Field} key=${path} path=${path} ...${rest} />`)}</div>`;
export const Fields = ({ title, help, ...rest }) => html`<${Card} title=${title}>${help && html`<p class="soft">${help}</p>`}<${Several} ...${rest} /><//>`;

const Field = ({ draft, defs, noun, path, locked }) => html`<${Input} name=${flat(path)} of=${schemaOf(defs, noun, path)} defs=${defs} value=${draft.said[path]} was=${draft.stands.said[path]}
  changed=${draft.changed.includes(path)} set=${draft.set(path)} locked=${locked} problems=${problemsAt(draft.problems, path)} />`;

// The problems of a field and of what is in it, with their pointers as the field knows itself.
export const problemsAt = (problems, path) => problems.filter((p) => `${p.pointer}/`.startsWith(`/${path}/`)).map((p) => ({ ...p, pointer: `/${flat(path)}${p.pointer.slice(path.length + 1)}` }));

// One field: as on any form, and what nouns of the catalogue have besides: moments, values with words, many of a few.
// Where nobody says whether it was `changed`, it is a new one.
export function Input({ name, of: said, defs, value, was, changed, set, locked, problems = [], day }) {
  const id = `field-${name}`;
  const title = said.title || words(name.split('-').pop());
  const of = { ...said, title };
  const own = problems.find((p) => p.pointer === `/${name}`);
  const choices = of['x-ui']?.names;
  const several = of.type === 'array' && of.items.enum && (choices ? Object.keys(choices) : of.items.enum);
  if (of.format !== 'date-time' && !choices && !several) return html`<${Rule} field=${name} of=${of} defs=${defs} value=${value} was=${changed === undefined ? value : was} set=${set} locked=${locked} problems=${problems} />`;
  const common = { id, disabled: locked, 'aria-describedby': [of.description && `${id}-help`, own && `${id}-wrong`].filter(Boolean).join(' ') || undefined, 'aria-invalid': own ? 'true' : undefined };
  const help = of.description && html`<p class="help" id=${`${id}-help`}>${of.description}</p>`;
  const after = html`${own && html`<p class="wrong" id=${`${id}-wrong`}>${own.message}</p>`}
    ${changed && html`<p class="soft">Was ${shown(choices?.[was] ?? was)}. <button type="button" class="plain" onClick=${() => set(was)}>Put back</button></p>`}`;
  const look = `rule ${changed ? 'changed' : ''}`;
  if (several) {
    const ticked = value || [];
    const tick = (one) => set(ticked.includes(one) ? ticked.filter((other) => other !== one) : [...ticked, one]);
    return html`<fieldset class=${look} id=${id}><legend>${title}</legend>${help}<div class="pair">${several.map((one) => html`<p class="check">
      <input type="checkbox" id=${`${id}-${one}`} checked=${ticked.includes(one)} disabled=${locked} onChange=${() => tick(one)} /><label for=${`${id}-${one}`}>${one}</label></p>`)}</div>${after}</fieldset>`;
  }
  return html`<div class=${`${look} field`}><label for=${id}>${title}</label>${help}${choices ? html`<select ...${common} class="wide" onChange=${(event) => set(event.target.value || undefined)}>
      <option value=""></option>${Object.entries(choices).map(([one, text]) => html`<option value=${one} selected=${one === value}>${text}</option>`)}</select>`
    : html`<input ...${common} class="wide" type=${day ? 'date' : 'datetime-local'} value=${(value || '').slice(0, day ? 10 : 16)} onInput=${(event) => set(instant(event.target.value))} />`}${after}</div>`;
}

// What somebody says by the shop's clock, with the offset that its zone has about then. The API says how it took it.
export function instant(text) {
  if (!text) return undefined;
  const wall = `${text}${text.length > 10 ? '' : 'T00:00'}`;
  const zone = new Intl.DateTimeFormat('en', { timeZone: session.value.time_zone, timeZoneName: 'longOffset' });
  const offset = zone.formatToParts(new Date(`${wall}Z`)).find((part) => part.type === 'timeZoneName').value.slice(3);
  return `${wall}:00${offset || '+00:00'}`;
}

// A look at an item wherever its id stands.
export const toItem = (id) => (may('item_read') ? html`<a href=${`#/items/${encodeURIComponent(id)}`}>${id}</a>` : id);
