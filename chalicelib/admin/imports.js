// Files of customers on their way in: a new one, and those that were begun.
import { html, useRef, useState } from './lib.js';
import { call, get, may, post, query as text } from './api.js';
import { moment, number, words } from './format.js';
import { go, link } from './router.js';
import { Card, Do, Empty, Loaded, PAGE, Page, Summary, Table, Tag, problemsOf, useLoad } from './ui.js';
import { Onward, Sending, upload, useMoving } from './transfers.js';

const ALL = '/customer/imports';
const MAPPINGS = '/customer/import_mappings';
const KINDS = { mapping: 'warn', compared: 'warn', applied: 'good', undone: 'plain', refused: 'bad' };
// In the other states the workers are at it.
export const moves = (one) => !KINDS[one.state];
const STATES = { mapping: 'Say what the columns are', compared: 'To be confirmed', applied: 'Written', refused: 'Not read' };
export const state = (one) => html`<${Tag} kind=${KINDS[one.state]}>${STATES[one.state] || words(one.state)}<//>`;

export default function Imports({ query }) {
  const found = useMoving(() => get(`${ALL}${text({ _limit: PAGE, cursor: query.cursor })}`), [query.cursor], (data) => data.customer_imports.some(moves));
  const kept = useLoad(async () => (await get(MAPPINGS)).import_mappings, []);
  const forget = async (one) => { await call('DELETE', `${MAPPINGS}/${encodeURIComponent(one.name)}`); kept.reload(); };
  return html`<${Page} title="Import customers" lead="A file is read and compared first, and changes nothing before you have seen what it would do. Afterwards it can be undone."
      actions=${html`<a class="button" href=${link('/customers/exports')}>Export…</a><a class="button" href=${link('/customers')}>All customers</a>`}>
    ${may('customer_write') && html`<${Begin} kept=${kept.data || []} />`}
    <${Card} title="Imports"><${Loaded} of=${found}>${(data) => html`<${Table} label="Imports" rows=${data.customer_imports} empty=${html`<${Empty} title="Nothing was imported yet">What you begin stands here, so that you find it again.<//>`} columns=${[
      ['Begun', (one) => html`<a href=${link(`/customers/imports/${one.import_id}`)}>${moment(one.created_dts)}</a>`],
      ['By', (one) => one.created_by || ''],
      ['State', (one) => html`${state(one)}${one.problem && html`<p class="soft small">${one.problem}</p>`}`],
      ['Rows', (one) => number(one.number_of_rows), 'num'],
      ['New', (one) => number(one.number_to_create), 'num'],
      ['Changed', (one) => number(one.number_to_change), 'num'],
      ['Rejected', (one) => number(one.number_rejected), 'num'],
    ]} /><${Onward} query=${query} next=${data.metadata.next_cursor} label="Pages of imports" />`}<//><//>
    ${kept.data?.length > 0 && html`<${Card} title="Kept columns"><${Table} label="Kept columns" rows=${kept.data} columns=${[
      ['Name', (one) => one.name],
      ['Headings', (one) => Object.keys(one.columns).join(', ')],
      ...(may('customer_write') ? [['Forget', (one) => html`<${Do} act=${() => forget(one)}>Forget<span class="hidden"> ${one.name}</span><//>`]] : []),
    ]} /><//>`}
  <//>`;
}

// --- a new one ---------------------------------------------------------------------------------------------------

const TITLES = { file: 'File', format: 'Kind of file', delimiter: 'Between the cells', encoding: 'Letters', blank_cells: 'An empty cell', mapping: 'Columns as in', delete_missing: 'Delete' };
const CHOICES = {
  format: [['csv', 'CSV'], ['xlsx', 'Excel']],
  delimiter: [['', 'Guess it'], [',', 'A comma'], [';', 'A semicolon'], ['\t', 'A tab'], ['|', 'A bar']],
  encoding: [['utf-8', 'UTF-8, or as the file says'], ['utf-16', 'UTF-16'], ['windows-1252', 'Windows 1252'], ['iso-8859-1', 'ISO 8859-1']],
  blank_cells: [['clear', 'clears its field'], ['keep', 'says nothing']],
};
const Choice = ({ name, choices = CHOICES[name] }) => html`<div class="field"><label for=${`import-${name}`}>${TITLES[name]}</label>
  <select id=${`import-${name}`} name=${name} class="wide">${choices.map(([value, title]) => html`<option value=${value}>${title}</option>`)}</select></div>`;

function Begin({ kept }) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const [sent, send] = useState(null);
  // Its name tells the kind of most files.
  const named = (event) => { form.current.elements.format.value = /\.xlsx$/i.test(event.target.value) ? 'xlsx' : 'csv'; };
  const begin = async () => {
    complain([]);
    if (!form.current.reportValidity()) return;
    const { file, delete_missing, ...said } = Object.fromEntries(new FormData(form.current));
    try {
      const place = (await post('/customer/import_files')).import_file;
      await upload(place.upload, file, send);
      const { customer_import } = await post(ALL, { ...Object.fromEntries(Object.entries(said).filter(([, value]) => value)), file: place.file, delete_missing: Boolean(delete_missing) });
      go(`/customers/imports/${customer_import.import_id}`);
    } catch (error) {
      complain(problemsOf(error));
    } finally {
      send(null);
    }
  };
  const nameOf = (pointer) => pointer.split('/')[1];
  const show = (pointer) => {
    const field = document.getElementById(`import-${nameOf(pointer)}`);
    field?.closest('details')?.setAttribute('open', '');
    field?.focus();
  };
  return html`<${Card} title="A new file">
    <${Summary} problems=${problems} title="No import was begun" titleOf=${(pointer) => TITLES[nameOf(pointer)] || words(nameOf(pointer))} show=${show} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}>
      <div class="pair">
        <div class="field"><label for="import-file">File</label><input id="import-file" name="file" class="wide" type="file" accept=".csv,.txt,.tsv,.xlsx" required onChange=${named} /></div>
        <${Choice} name="format" />
        ${kept.length > 0 && html`<${Choice} name="mapping" choices=${[['', 'Guess them'], ...kept.map((one) => [one.name, one.name])]} />`}
        <${Choice} name="blank_cells" />
      </div>
      <details><summary>How the file is written</summary><div class="pair"><${Choice} name="delimiter" /><${Choice} name="encoding" /></div></details>
      <p class="check"><input type="checkbox" id="import-delete_missing" name="delete_missing" /><label for="import-delete_missing">Delete the customers that are not in the file: you see each of them first</label></p>
    </form>
    <div class="row"><${Do} kind="main" act=${begin}>Upload and compare<//><${Sending} sent=${sent} /></div>
  <//>`;
}
