// A section of settings as a form that is made from its schema: what the API adds stands here by itself. Nothing is
// checked here but by the API.
import { html, useEffect, useMemo } from './lib.js';
import { call, get, may } from './api.js';
import { words } from './format.js';
import { Dock, Rule, Theirs, reveal, useDraft } from './form.js';
import { Card, Loaded, Page, Summary, useLoad } from './ui.js';

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

function Form({ path, name, schema, read, shown }) {
  const fields = Object.entries(schema.properties).filter(([, field]) => !field.readOnly);
  const draft = useDraft(path, name, read, fields.map(([field]) => field));
  const { said, stands, changed, problems, set } = draft;
  useEffect(() => { if (shown) reveal(`/${shown}`); }, [shown]);
  const groups = useMemo(() => grouped(fields, schema['x-ui']?.groups || []), [schema]);
  const titleOf = (pointer) => {
    const [, field, position, part] = pointer.split('/');
    const group = groups.find((one) => one.fields.some(([other]) => other === field));
    const title = schema.properties[field]?.title || words(field);
    return `${group?.title ? `${group.title}, ` : ''}${title}${position ? ` ${Number(position) + 1}` : ''}${part ? `, ${words(part).toLowerCase()}` : ''}`;
  };
  const writes = may('configuration_write');
  return html`
    <${Summary} problems=${problems} title="Some settings are not valid" titleOf=${titleOf} show=${reveal} />
    <${Theirs} draft=${draft} titleOf=${titleOf} />
    <div class=${groups.length > 1 ? 'settings' : ''}>
      ${groups.length > 1 && html`<nav class="index" aria-label="Parts of this page"><ul>${groups.map((group) => html`<li><a href=${location.hash} onClick=${(event) => { event.preventDefault(); const box = document.getElementById(`group-${group.name}`); box.scrollIntoView(); box.querySelector('input, select, button')?.focus(); }}>${group.title}</a></li>`)}</ul></nav>`}
      <form onSubmit=${(event) => event.preventDefault()}>${groups.map((group) => html`<${Card} title=${group.title} id=${`group-${group.name}`}>
        ${group.help && html`<p class="soft">${group.help}</p>`}
        ${group.fields.map(([field, of]) => html`<${Rule} key=${field} field=${field} of=${of} defs=${schema.$defs} value=${said[field]} was=${stands.said[field]}
          changed=${changed.includes(field)} set=${set(field)} locked=${!writes} problems=${problems.filter((p) => p.pointer === `/${field}` || p.pointer.startsWith(`/${field}/`))} />`)}
      <//>`)}</form>
    </div>
    <${Dock} draft=${draft} />`;
}

// The parts of the form in their order; what names none comes last.
function grouped(fields, groups) {
  const known = new Set(groups.map((group) => group.name));
  const of = ([, field]) => (known.has(field['x-ui']?.group) ? field['x-ui'].group : 'more');
  return [...groups, { name: 'more', title: groups.length ? 'More' : 'General' }]
    .map((group) => ({ ...group, fields: fields.filter((field) => of(field) === group.name) })).filter((group) => group.fields.length);
}
