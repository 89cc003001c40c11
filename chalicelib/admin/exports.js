// All customers as a file: asked for, made in the background, fetched.
import { html, useRef, useState } from './lib.js';
import { get, post, query as text } from './api.js';
import { day, moment, number, words } from './format.js';
import { link } from './router.js';
import { Card, Do, Empty, Loaded, PAGE, Page, Summary, Table, Tag, problemsOf } from './ui.js';
import { Onward, Progress, useMoving } from './transfers.js';

const ALL = '/customer/exports';
const FORMATS = { csv: 'CSV', xlsx: 'Excel' };
const KINDS = { done: 'good', failed: 'bad' };
const moves = (one) => !KINDS[one.state];

export default function Exports({ query }) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const found = useMoving(() => get(`${ALL}${text({ _limit: PAGE, cursor: query.cursor })}`), [query.cursor], (data) => data.customer_exports.some(moves));
  const start = async () => {
    complain([]);
    try {
      await post(ALL, Object.fromEntries(new FormData(form.current)));
      found.reload();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  // The address of a file opens it for some minutes only, so it is asked for when somebody wants it.
  const fetched = async (one) => { location.assign((await get(`${ALL}/${one.export_id}`)).customer_export.url); };
  return html`<${Page} title="Export customers" lead="All profiles as one file, made in the background. Edit it in a spreadsheet and import it again. Passwords and cards are never in it."
      actions=${html`<a class="button" href=${link('/customers/imports')}>Import…</a><a class="button" href=${link('/customers')}>All customers</a>`}>
    <${Card} title="A new file">
      <${Summary} problems=${problems} title="No export was started" titleOf=${(pointer) => words(pointer.slice(1))} />
      <form ref=${form} class="filters" onSubmit=${(event) => event.preventDefault()}><label>Kind of file<select name="format">${Object.entries(FORMATS).map(([value, title]) => html`<option value=${value}>${title}</option>`)}</select></label>
        <${Do} kind="main" act=${start}>Start the export<//></form>
    <//>
    <${Card} title="Files"><${Loaded} of=${found}>${(data) => html`<${Table} label="Exports" rows=${data.customer_exports} empty=${html`<${Empty} title="Nothing was exported yet">What you start stands here, so that you find it again.<//>`} columns=${[
      ['Asked for', (one) => moment(one.created_dts)],
      ['By', (one) => one.created_by || ''],
      ['Kind', (one) => FORMATS[one.format]],
      ['State', (one) => (moves(one) ? html`<${Progress} label=${words(one.state)} done=${one.number_done} of=${one.number_of_profiles} />` : html`<${Tag} kind=${KINDS[one.state]}>${words(one.state)}<//>${one.problem && html`<p>${one.problem}</p>`}`)],
      ['Customers', (one) => number(one.number_done), 'num'],
      ['Bytes', (one) => number(one.file_size), 'num'],
      ['Kept until', (one) => day(one.kept_until_dts)],
      ['File', (one) => one.state === 'done' && html`<${Do} act=${() => fetched(one)}>Download<span class="hidden"> the file of ${moment(one.created_dts)}</span><//>`],
    ]} /><${Onward} query=${query} next=${data.metadata.next_cursor} label="Pages of exports" />`}<//><//>
  <//>`;
}
