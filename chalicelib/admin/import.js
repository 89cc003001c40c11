// One file of customers on its way in: what its columns are, what it would do, that it is written, that it is undone.
import { html, useRef, useState } from './lib.js';
import { get, may, post, call, query as text } from './api.js';
import { day, moment, number, words } from './format.js';
import { link } from './router.js';
import { Card, Dialog, Do, Loaded, PAGE, Page, Summary, Table, Tag, problemsOf, toast, useLoad } from './ui.js';
import { Onward, Progress, useMoving } from './transfers.js';
import { moves, state } from './imports.js';

const LEADS = {
  reading: 'The file is being read.',
  mapping: 'A column is not known: say what it is, and the rows are compared.',
  comparing: 'The rows are being compared. Nothing is changed by that.',
  compared: 'Nothing is changed yet: this is what the file would do.',
  applying: 'It is being written. You may leave; it goes on.',
  applied: 'It is written.',
  undoing: 'It is being put back. You may leave; it goes on.',
  undone: 'What was there before stands again.',
};
const lead = (one) => html`${state(one)} ${LEADS[one.state]}`;

export default function Import({ params, query }) {
  const path = `/customer/imports/${encodeURIComponent(params.import_id)}`;
  const found = useMoving(async () => (await get(path)).customer_import, [path], moves);
  const one = found.data;
  return html`<${Page} title=${one ? `Import of ${moment(one.created_dts)}` : 'Import'} lead=${one && lead(one)}
      actions=${html`${one?.state === 'applied' && may('customer_write') && html`<${Undo} job=${one} path=${path} heard=${found.reload} />`}<a class="button" href=${link('/customers/imports')}>All imports</a>`}>
    <${Loaded} of=${found}>${(job) => html`<${Step} key=${job.state} job=${job} path=${path} query=${query} heard=${found.reload} />`}<//>
  <//>`;
}

// What was asked for may be asked for again: it goes on where it is.
const AGAIN = { applying: 'confirm', undoing: 'undo' };

function Step({ job, path, query, heard }) {
  if (job.state === 'refused') return html`<div class="note bad" role="alert"><h2>${job.problem}</h2><p>Mend the file, or choose how it is written, and <a href=${link('/customers/imports')}>upload it again</a>. Nothing was changed.</p></div>`;
  if (job.state === 'mapping') return html`<${Card} title="Columns"><${Columns} job=${job} path=${path} heard=${heard} /><//>`;
  if (moves(job)) {
    const deletes = job.number_to_delete && job.state !== 'comparing' ? `, and ${number(job.number_to_delete)} to delete besides` : '';
    return html`<${Card}><${Progress} label=${words(job.state)} done=${job.number_done} of=${job.number_of_rows} more=${` rows${deletes}`} />
      ${AGAIN[job.state] && may('customer_write') && html`<p class="soft">Does it stand still for minutes? <${Do} kind="plain" act=${() => post(`${path}/${AGAIN[job.state]}`, {})}>Send it on<//></p>`}<//>`;
  }
  // The address opens the file for some minutes only, so a new one is asked for.
  const rejected = async () => { location.assign((await get(path)).customer_import.rejected_url); };
  return html`<${Figures} job=${job} />
    ${job.state === 'compared' && html`<${Confirm} job=${job} path=${path} query=${query} heard=${heard} />`}
    ${job.state !== 'compared' && job.delete_missing && html`<${Card} title="Customers that are not in the file"><${Missing} path=${path} query=${query} written /><//>`}
    <${Card} title="Rows" actions=${job.rejected_url && html`<${Do} act=${rejected}>Download the rejected rows<//>`}><${Rows} job=${job} path=${path} query=${query} /><//>
    ${job.state === 'compared' && may('customer_write') && html`<${Card}><details><summary>What the columns are</summary><${Columns} job=${job} path=${path} heard=${heard} /></details><//>`}`;
}

const FIGURES = {
  compared: [['number_to_create', 'new'], ['number_to_change', 'to be changed'], ['number_same', 'the same'], ['number_rejected', 'rejected'], ['number_to_delete', 'to be deleted']],
  applied: [['number_created', 'added'], ['number_changed', 'changed'], ['number_deleted', 'deleted'], ['number_left', 'left: changed since the dry run'], ['number_rejected', 'rejected']],
  undone: [['number_undone', 'put back'], ['number_kept', 'kept: changed since the import']],
};
// What is of deletions only is said where they were asked for.
const Figures = ({ job }) => html`<div class="grid figures">${FIGURES[job.state].filter(([field]) => job.delete_missing || !/delete/.test(field)).map(([field, title]) => html`<${Card}><strong>${number(job[field])}</strong>${title}<//>`)}</div>`;

// --- columns -----------------------------------------------------------------------------------------------------

function Columns({ job, path, heard }) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const known = useLoad(async () => (await get('/customer/import_columns')).import_columns, []);
  const titled = (one) => one.heading || `Column ${one.position + 1}`;
  // Of a heading, or of a place; a text in a pointer has its slashes written otherwise.
  const meant = (pointer) => {
    const said = pointer.split('/')[2]?.replaceAll('~1', '/').replaceAll('~0', '~');
    return job.columns.find((one) => one.heading === said) || job.columns.find((one) => String(one.position) === said) || job.columns.find((one) => said && one.heading.startsWith(said));
  };
  const save = async () => {
    complain([]);
    const said = new FormData(form.current);
    const now = job.columns.map((one) => [one, said.get(`column-${one.position}`).trim()]);
    // What was not touched stays as it is.
    const columns = Object.fromEntries(now.filter(([one, value]) => (value ? value !== one.column : !one.ignored)).map(([one, value]) => [one.heading, value]));
    const save_as = said.get('save_as').trim();
    try {
      await call('PUT', `${path}/mapping`, { columns, ...(save_as ? { save_as } : {}) });
      heard();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  return html`<${Summary} problems=${problems} title="The columns were not taken" titleOf=${(pointer) => (meant(pointer) ? titled(meant(pointer)) : words(pointer.split('/')[1]))}
      show=${(pointer) => document.getElementById(meant(pointer) ? `column-${meant(pointer).position}` : 'save_as')?.focus()} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}>
      <datalist id="known-columns">${known.data?.map((one) => html`<option value=${one.column} />`)}</datalist>
      <${Table} label="Columns" rows=${job.columns} columns=${[
        ['In the file', titled],
        ['What it is', (one) => html`<input id=${`column-${one.position}`} name=${`column-${one.position}`} list="known-columns" aria-label=${`What ${titled(one)} is`} placeholder="Ignored" autocomplete="off" defaultValue=${one.column || ''} />`],
        ['State', (one) => (one.column ? html`<${Tag} kind="good">Known<//>` : one.ignored ? html`<${Tag} kind="plain">Ignored<//>` : html`<${Tag} kind="warn">Not known<//>`)],
      ]} />
      <div class="field"><label for="save_as">Keep this under a name</label><p class="help">The next file with these headings is read by it.</p><input id="save_as" name="save_as" maxlength="50" /></div>
    </form>
    <div class="row"><${Do} kind="main" act=${save} disabled=${!may('customer_write')}>Compare the rows<//></div>`;
}

// --- rows --------------------------------------------------------------------------------------------------------

const ONLY = [['', 'All', 'number_of_rows'], ['create', 'New', 'number_to_create'], ['change', 'Changed', 'number_to_change'], ['same', 'The same', 'number_same'], ['reject', 'Rejected', 'number_rejected'], ['left', 'Left', 'number_left'], ['undone', 'Put back', 'number_undone'], ['kept', 'Kept', 'number_kept']];
const USUAL = 5;
const KINDS = { create: 'good', change: '', same: 'plain', reject: 'bad', applied: 'good', left: 'warn', undone: 'plain', kept: 'warn' };
const SAID = { create: 'New', change: 'Changed', same: 'The same', reject: 'Rejected', applied: 'Written', left: 'Left', undone: 'Put back', kept: 'Kept' };
const Said = ({ of }) => (of ? html`<${Tag} kind=${KINDS[of]}>${SAID[of]}<//> ` : null);

function Rows({ job, path, query }) {
  const found = useLoad(() => get(`${path}/rows${text({ only: query.only, _limit: PAGE, cursor: query.cursor })}`), [path, query.only, query.cursor]);
  const at = (only) => link(`/customers/imports/${job.import_id}`, { only });
  return html`<nav class="tabs" aria-label="Kinds of rows">${ONLY.filter(([only, , field], place) => place < USUAL || job[field] || query.only === only).map(([only, title, field]) => html`<a href=${at(only)}
      aria-current=${(query.only || '') === only ? 'true' : undefined}>${title} (${number(job[field])})</a>`)}</nav>
    <${Loaded} of=${found}>${(data) => html`<${Table} label="Rows of the file" rows=${data.rows} empty=${html`<p class="soft">${data.metadata.next_cursor ? 'None so far: look further.' : 'None.'}</p>`} columns=${[
      ['Row', (row) => number(row.row), 'num'],
      ['Customer', (row) => (row.customer_profile_oid ? html`<a href=${link(`/customers/${row.customer_profile_oid}`)}>${row.email || 'No e-mail address'}</a>` : row.email || 'No e-mail address')],
      ['What', (row) => html`<${Said} of=${row.verdict} /><${Said} of=${row.outcome} />`],
      ['Before and after', (row) => html`<ul class="cells">
        ${row.problems?.map((one) => html`<li><code>${one.column}</code> ${one.message}</li>`)}
        ${row.changes?.map((one) => html`<li><code>${one.column}</code> ${one.before && html`<del>${one.before}</del> → `}${one.after ? html`<ins>${one.after}</ins>` : html`<span class="soft">empty</span>`}</li>`)}
        ${row.message && html`<li>${row.message}</li>`}</ul>`],
    ]} /><${Onward} query=${query} next=${data.metadata.next_cursor} label="Pages of rows" />`}<//>`;
}

function Missing({ path, query, written }) {
  const found = useLoad(() => get(`${path}/missing${text({ _limit: PAGE, cursor: query.missing })}`), [path, query.missing]);
  return html`<${Loaded} of=${found}>${(data) => html`<${Table} label="Customers that are not in the file" rows=${data.customers} empty=${html`<p class="soft">Every customer is in the file.</p>`} columns=${[
    ['Customer', (one) => html`<a href=${link(`/customers/${one.customer_profile_oid}`)}>${one.email}</a>`],
    ...(written ? [['What became of it', (one) => html`<${Said} of=${one.outcome} />${one.message}`]] : []),
  ]} /><${Onward} query=${query} name="missing" next=${data.metadata.next_cursor} label="Pages of customers that are not in the file" />`}<//>`;
}

// --- what is done ------------------------------------------------------------------------------------------------

const TITLES = { '/delete_digest': 'Who is to be deleted' };

// A question before something is done, in a dialog that tells what goes wrong.
function Ask({ button, title, kind = 'main', act, done, children }) {
  const [open, show] = useState(false);
  const [problems, complain] = useState([]);
  const press = async () => {
    complain([]);
    try {
      await act();
      show(false);
      toast(done);
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  return html`<button class=${kind === 'main' ? 'main' : ''} onClick=${() => show(true)}>${button}…</button>
    ${open && html`<${Dialog} title=${title} close=${() => show(false)}>
      <${Summary} problems=${problems} title="Nothing was done" titleOf=${(pointer) => TITLES[pointer] || words(pointer.split('/')[1])} />
      ${children}
      <div class="row"><${Do} kind=${kind} act=${press}>${button}<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>
    <//>`}`;
}

// The digest is that of the list as it stood when somebody said that he had looked at it.
function Confirm({ job, path, query, heard }) {
  const [seen, see] = useState('');
  if (!may('customer_write')) return null;
  const act = async () => { await post(`${path}/confirm`, seen ? { delete_digest: seen } : {}); heard(); };
  return html`${job.delete_missing && html`<${Card} title="Customers that are not in the file">
      ${job.number_to_delete ? html`<p>These ${number(job.number_to_delete)} would be deleted. One with an active auto order stays.</p>` : ''}
      <${Missing} path=${path} query=${query} />
      ${job.number_to_delete ? html`<p class="check"><input type="checkbox" id="seen" checked=${Boolean(seen)} onChange=${(event) => see(event.target.checked ? job.delete_digest : '')} /><label for="seen">I have looked at them: delete all ${number(job.number_to_delete)}</label></p>` : ''}
    <//>`}
    <${Card}><div class="row"><${Ask} button="Write it" title="Write what was compared?" kind=${job.number_to_delete ? 'danger' : 'main'} act=${act} done="It is being written.">
      <dl><dt>New</dt><dd>${number(job.number_to_create)}</dd><dt>Changed</dt><dd>${number(job.number_to_change)}</dd><dt>Deleted</dt><dd>${number(job.number_to_delete)}</dd><dt>Left out</dt><dd>${number(job.number_rejected)} rejected, ${number(job.number_same)} the same</dd></dl>
      <p>A customer that somebody has changed since the dry run is left as it is. The import can be undone until ${day(job.kept_until_dts)}.</p>
    <//><span class="soft">Nothing is written before that.</span></div><//>`;
}

function Undo({ job, path, heard }) {
  const act = async () => { await post(`${path}/undo`); heard(); };
  return html`<${Ask} button="Undo the import" title="Put back what was there before?" kind="danger" act=${act} done="It is being put back.">
    <dl><dt>Added, and removed again</dt><dd>${number(job.number_created)}</dd><dt>Changed, and put back</dt><dd>${number(job.number_changed)}</dd><dt>Deleted, and brought back</dt><dd>${number(job.number_deleted)}</dd></dl>
    <p>What somebody has changed since stays as it is, and is named. Who was deleted comes back without a password.</p>
  <//>`;
}
