// Customers as a file, all or those of a search: asked for, made in the background, fetched.
import { html, useEffect, useRef, useState } from './lib.js';
import { get, post, query as text, session } from './api.js';
import { day, moment, number, words } from './format.js';
import { link } from './router.js';
import { FIELDS } from './customers.js';
import { Card, Do, Empty, Filters, Loaded, PAGE, Page, Summary, Table, Tag, problemsOf, useLoad } from './ui.js';
import { Onward, Progress, bytes, useMoving } from './transfers.js';

const ALL = '/customer/exports';
const FORMATS = { csv: 'CSV', xlsx: 'Excel' };
const KINDS = { done: 'good', failed: 'bad' };
const moves = (one) => !KINDS[one.state];
// Of a list of addresses and the like the first entry, the usual one, can be chosen; all columns have the others too.
const MANY = /^(billing|shipping|cc_emails|pricing_tiers|properties|software_entitlements)_1_/;
const LATER = /_(?:[2-9]|10)_|_more$/;
const GROUPS = { billing: 'Billing address', shipping: 'Shipping address', cc_emails: 'Copies of mails', pricing_tiers: 'Pricing tier', properties: 'Property', software_entitlements: 'Licence' };
const TITLES = { email: 'E-mail', signup_dts: 'Signed up', last_modified_dts: 'Changed' };
const named = (name) => TITLES[name] || words(name.replace(MANY, '').replace(/_dts$/, '_date')).replace(/\b(?:dhl|ups|edi|cod|qb)\b/gi, (short) => short.toUpperCase());

// The criteria that stand in the address, as they came with whoever came from the list.
const asked = (query) => Object.fromEntries(FIELDS.map(([field]) => [field, query[field]]).filter(([, value]) => value));
const told = (query) => FIELDS.filter(([field]) => query?.[field]).map(([field, title]) => `${field === 'signup_dts_end' ? 'signed up until' : title} ${query[field]}`).join(', ');

export default function Exports({ query }) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const found = useMoving(() => get(`${ALL}${text({ _limit: PAGE, cursor: query.cursor })}`), [query.cursor], (data) => data.customer_exports.some(moves));
  const names = useLoad(async () => (await get('/customer/import_columns')).import_columns.map((one) => one.column).filter((name) => !LATER.test(name)), []);
  // As in the last file of whoever is here, until he says otherwise.
  const last = found.data?.customer_exports.find((one) => one.created_by === session.value.login);
  const [columns, choose] = useState(undefined);
  useEffect(() => { if (columns === undefined && last) choose(last.columns || null); }, [last]);
  const criteria = asked(query);
  const start = async () => {
    complain([]);
    try {
      await post(ALL, { ...Object.fromEntries(new FormData(form.current)), ...(columns ? { columns } : {}), ...(Object.keys(criteria).length ? { query: criteria } : {}) });
      found.reload();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  const titleOf = (pointer) => FIELDS.find(([field]) => pointer === `/query/${field}`)?.[1] || words(pointer.split('/')[1]);
  // The address of a file opens it for some minutes only, so it is asked for when somebody wants it.
  const fetched = async (one) => { location.assign((await get(`${ALL}/${one.export_id}`)).customer_export.url); };
  return html`<${Page} title="Export customers" lead="Profiles as one file, made in the background. Edit it in a spreadsheet and import it again. Passwords and cards are never in it."
      actions=${html`<a class="button" href=${link('/customers/imports')}>Import…</a><a class="button" href=${link('/customers', criteria)}>All customers</a>`}>
    <${Card} title="A new file">
      <${Summary} problems=${problems} title="No export was started" titleOf=${titleOf} />
      <details open=${Object.keys(criteria).length > 0}><summary>Which customers: ${told(criteria) || 'all'}</summary><${Filters} fields=${FIELDS} query=${query} label="Customers of the file" verb="Only these" /></details>
      <${Loaded} of=${names}>${(all) => html`<${Columns} all=${all} said=${columns || null} say=${choose} />`}<//>
      <form ref=${form} class="filters" onSubmit=${(event) => event.preventDefault()}><label>Kind of file<select name="format">${Object.entries(FORMATS).map(([value, title]) => html`<option value=${value}>${title}</option>`)}</select></label>
        <${Do} kind="main" act=${start} disabled=${columns?.length === 0}>Start the export<//></form>
    <//>
    <${Card} title="Files"><${Loaded} of=${found}>${(data) => html`<${Table} label="Exports" rows=${data.customer_exports} empty=${html`<${Empty} title="Nothing was exported yet">What you start stands here, so that you find it again.<//>`} columns=${[
      ['Asked for', (one) => moment(one.created_dts)],
      ['By', (one) => one.created_by || ''],
      ['What', (one) => html`${told(one.query) || (one.query ? 'A search' : 'All')}<p class="soft small">${one.columns ? `${number(one.columns.length)} columns` : 'All columns'}</p>`],
      ['Kind', (one) => FORMATS[one.format]],
      ['State', (one) => (moves(one) ? html`<${Progress} label=${words(one.state)} done=${one.number_done} of=${one.number_of_profiles} />` : html`<${Tag} kind=${KINDS[one.state]}>${words(one.state)}<//>${one.problem && html`<p>${one.problem}</p>`}`)],
      ['Customers', (one) => number(one.number_done), 'num'],
      ['Size', (one) => bytes(one.file_size), 'num'],
      ['Kept until', (one) => day(one.kept_until_dts)],
      ['File', (one) => one.state === 'done' && html`<${Do} act=${() => fetched(one)}>Download<span class="hidden"> the file of ${moment(one.created_dts)}</span><//>`],
    ]} /><${Onward} query=${query} next=${data.metadata.next_cursor} label="Pages of exports" />`}<//><//>
  <//>`;
}

// All, or those that are ticked, in the order in which the API names them.
function Columns({ all, said, say }) {
  const groups = all.reduce((map, name) => map.set(of(name), [...(map.get(of(name)) || []), name]), new Map());
  const toggle = (name) => () => { const next = new Set(said); if (!next.delete(name)) next.add(name); say([...all.filter((one) => next.has(one)), ...[...next].filter((one) => !all.includes(one))]); };
  return html`<details><summary>Which columns: ${said ? number(said.length) : 'all'}</summary>
    <p class="check"><input type="checkbox" id="every-column" checked=${!said} onChange=${(event) => say(event.target.checked ? null : ['email'])} /><label for="every-column">All columns, as an import takes them back</label></p>
    ${said && [...groups].map(([group, names]) => html`<fieldset><legend>${group}</legend><div class="pair">${names.map((name) => html`<p class="check">
      <input type="checkbox" id=${`column-${name}`} checked=${said.includes(name)} onChange=${toggle(name)} /><label for=${`column-${name}`}>${named(name)}</label></p>`)}</div></fieldset>`)}</details>`;
}
const of = (name) => GROUPS[name.match(MANY)?.[1]] || 'Profile';
