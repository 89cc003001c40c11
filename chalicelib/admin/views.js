// How somebody likes to see a list: columns of one's own, and searches that are kept under a name. Lists of customers and
// of auto orders have them; the API keeps them for whoever is signed in.
import { html, useRef, useState } from './lib.js';
import { call, get, may } from './api.js';
import { go, link, route } from './router.js';
import { Dialog, Do, useLoad } from './ui.js';

const leave = (event) => event.target.closest('dialog').close();

// `screen` as the API names it; `names`: the criteria of its search; `columns`: [title, cell, kind] by the names under
// which they are kept, `usual` those of who has chosen none; `preset`: views that everybody has, as { name, filters }.
export function useViews({ screen, query, names, columns, usual, preset = [] }) {
  const path = `/${screen}`;
  const kept = `/configuration/views/${screen}`;
  const own = useLoad(async () => (may('configuration_read') ? (await get(kept)).screen_views : {}), []);
  const [dialog, show] = useState('');
  const views = own.data?.views || [];
  const open = views.find((view) => view.name === query.view);
  const chosen = open?.columns || own.data?.columns || usual;
  const any = names.some((name) => query[name]) || query._sort;
  const save = async (said) => { await call('PUT', kept, said); own.reload(); show(''); };
  const at = (view) => link(path, { view: view.name, ...(view.sort ? { _sort: view.sort } : {}), ...Object.fromEntries((view.filters || []).map((one) => [one.name, one.value])) });
  const asked = names.filter((name) => query[name]);
  const is = ({ filters }) => !query.view && !query._sort && asked.length === Object.keys(filters).length && asked.every((name) => query[name] === filters[name]);
  const forget = async () => { await call('PUT', kept, { views: views.filter((view) => view !== open) }); go(path); own.reload(); };
  const keep = async (name) => {
    await save({ views: [...views, { name, ...(query._sort ? { sort: query._sort } : {}), filters: asked.map((field) => ({ name: field, value: query[field] })) }] });
    go(path, { ...route.peek().query, view: name });
  };
  const choose = (said) => save(open ? { views: views.map((view) => (view === open ? { ...view, columns: said } : view)) } : { columns: said });
  return {
    any,
    columns: chosen.map((column) => columns[column]).filter(Boolean),
    button: may('configuration_read') && html`<button onClick=${() => show('columns')}>Columns…</button>`,
    tabs: html`<nav class="tabs" aria-label="Views">
      ${[{ name: 'All', filters: {} }, ...preset].map((view) => html`<a href=${link(path, view.filters)} aria-current=${is(view) ? 'true' : undefined}>${view.name}</a>`)}
      ${views.map((view) => html`<a href=${at(view)} aria-current=${open === view ? 'true' : undefined}>${view.name}</a>`)}
      ${any && !open && !preset.some(is) && may('configuration_read') && html`<button class="plain" onClick=${() => show('view')}>+ Save this view</button>`}
      ${open && html`<${Do} kind="plain" act=${forget}>Forget this view<//>`}</nav>`,
    dialogs: html`
      ${dialog === 'columns' && html`<${Columns} all=${columns} now=${chosen} save=${choose} close=${() => show('')} />`}
      ${dialog === 'view' && html`<${Name} save=${keep} close=${() => show('')} />`}`,
  };
}

function Columns({ all, now, save, close }) {
  const [said, say] = useState(new Set(now));
  const toggle = (name) => { const next = new Set(said); if (!next.delete(name)) next.add(name); say(next); };
  return html`<${Dialog} title="Columns" close=${close}><div class="pair">${Object.entries(all).map(([name, [title]]) => html`<p class="check">
    <input type="checkbox" id=${`column-${name}`} checked=${said.has(name)} onChange=${() => toggle(name)} /><label for=${`column-${name}`}>${title}</label></p>`)}</div>
    <div class="row"><${Do} kind="main" act=${() => save(Object.keys(all).filter((name) => said.has(name)))} disabled=${!said.size}>Show these<//><button onClick=${leave}>Leave it</button></div><//>`;
}

function Name({ save, close }) {
  const form = useRef();
  return html`<${Dialog} title="Save this view" close=${close}><form ref=${form} onSubmit=${(event) => event.preventDefault()}>
    <div class="field"><label for="view-name">Name</label><input id="view-name" class="wide" maxlength="50" required /></div></form>
    <div class="row"><${Do} kind="main" act=${async () => { if (form.current.reportValidity()) await save(form.current.elements['view-name'].value.trim()); }}>Save<//><button onClick=${leave}>Leave it</button></div><//>`;
}
