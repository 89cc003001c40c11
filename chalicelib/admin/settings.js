// A section of settings as a form that is made from its schema: what the API adds stands here by itself. Nothing is
// checked here but by the API.
import { html, useEffect, useMemo } from './lib.js';
import { call, get, may } from './api.js';
import { Rule, grouped, reveal, titled } from './fields.js';
import { Dock, Theirs, useDraft } from './form.js';
import { ABOUT } from './rules.js';
import { Card, Loaded, Page, Summary, useLoad } from './ui.js';

export default function Settings({ section, query }) {
  const path = `/configuration/${section.settings}`;
  const schema = useLoad(async () => (await get(`${path}/schema`)).schema, [path]);
  const stands = useLoad(async () => {
    const { data, etag } = await call('GET', path);
    return { said: data[section.settings], etag };
  }, [path]);
  return html`<${Page} title=${section.title} lead=${ABOUT[section.settings]}>
    <${Loaded} of=${schema}>${(form) => html`<${Loaded} of=${stands}>${(now) => html`
      <${Form} key=${path} path=${path} name=${section.settings} schema=${form} read=${now} shown=${query.field} />`}<//>`}<//>
  <//>`;
}

function Form({ path, name, schema, read, shown }) {
  const fields = Object.entries(schema.properties).filter(([, field]) => !field.readOnly);
  const draft = useDraft(path, name, read, fields.map(([field]) => field), schema);
  const { said, stands, problems, set } = draft;
  useEffect(() => { if (shown) reveal(`/${shown}`); }, [shown]);
  const all = schema['x-ui']?.groups || [];
  const groups = useMemo(() => grouped(fields, all, all.length ? 'More' : 'General'), [schema]);
  const titleOf = (pointer) => {
    const group = groups.find((one) => one.fields.some(([field]) => field === pointer.split('/')[1]));
    return `${group?.title && groups.length > 1 ? `${group.title}, ` : ''}${titled(pointer, schema)}`;
  };
  const writes = may('configuration_write');
  return html`
    <${Summary} problems=${problems} title="Some settings are not valid" titleOf=${titleOf} show=${reveal} />
    <${Theirs} draft=${draft} titleOf=${titleOf} />
    <div class=${groups.length > 1 ? 'settings' : ''}>
      ${groups.length > 1 && html`<nav class="index" aria-label="Parts of this page"><ul>${groups.map((group) => html`<li><a href=${location.hash} onClick=${(event) => { event.preventDefault(); const box = document.getElementById(`group-${group.name}`); box.scrollIntoView(); box.querySelector('input, select, button')?.focus(); }}>${group.title}</a></li>`)}</ul></nav>`}
      <form onSubmit=${(event) => event.preventDefault()}>${groups.map((group) => html`<${Card} title=${groups.length > 1 ? group.title : ''} id=${`group-${group.name}`}>
        ${group.help && html`<p class="soft">${group.help}</p>`}
        ${group.fields.map(([field, of]) => html`<${Rule} key=${field} field=${field} of=${of} defs=${schema.$defs} value=${said[field]} was=${stands.said[field]}
          set=${set(field)} locked=${!writes} problems=${problems} said=${said} fields=${schema.properties} head=${groups.length > 1 ? 'h3' : 'h2'} />`)}
      <//>`)}</form>
    </div>
    <${Dock} draft=${draft} />`;
}
