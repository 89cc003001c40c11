// Acting on auto orders, many or one: first what it would do to each, then the doing, then what came of each. The API says
// what that is; a batch has a name that stands in the address before it is asked for, so nothing is done twice.
import { html, useEffect, useRef, useState } from './lib.js';
import { again, get, may, post } from './api.js';
import { count, day, number, words } from './format.js';
import { link, requery } from './router.js';
import { Dialog, Do, Failure, Summary, Table, problemsOf, toast, useLoad } from './ui.js';

// One go holds so many; the API takes a hundred of them in one batch.
export const MOST = 500;
const OF_A_BATCH = 100;
// How many of those to which something is done are listed one by one.
const SHOWN = 8;

// Action: its button, the title of its dialog, its verb on the button that does it, how it reads for one that it fits.
const ACTIONS = {
  skip: ['Skip next…', (n) => `Skip the next shipment of ${n}`, 'Skip', (row) => html`${day(row.shipment_date)} is left out; then comes <strong>${day(row.next_date)}</strong>`],
  reschedule: ['Reschedule…', (n) => `Reschedule the next shipment of ${n}`, 'Reschedule', (row) => html`<del>${day(row.shipment_date)}</del> → <strong>${day(row.next_date)}</strong>`],
  pause: ['Pause…', (n) => `Pause ${n}`, 'Pause', (row) => (row.shipment_date ? html`Nothing comes on ${day(row.shipment_date)} or later, until it goes on` : 'Nothing comes until it goes on')],
  resume: ['Go on…', (n) => `Let ${n} go on`, 'Let go on', () => 'Goes on by its schedule'],
  cancel: ['Cancel…', (n) => `Cancel ${n}`, 'Cancel', (row) => (row.shipment_date ? html`What was to come on ${day(row.shipment_date)} is not billed` : 'Is canceled')],
};

export const Buttons = ({ choose }) => Object.entries(ACTIONS).map(([name, [title]]) => html`<button onClick=${() => choose(name)}>${title}</button>`);

const cut = (rows) => Array.from({ length: Math.ceil(rows.length / OF_A_BATCH) }, (_, at) => rows.slice(at * OF_A_BATCH, (at + 1) * OF_A_BATCH));
const gathered = (batches) => batches.flatMap((batch) => batch.auto_orders || []);
const why = (row) => (row.problems || []).map((p) => { const said = `${p.pointer ? `${words(p.pointer.split('/').pop())} ` : ''}${p.message}`; return said.charAt(0).toUpperCase() + said.slice(1); }).join('. ');
const listed = (names, cell) => [
  ['Auto order', (row) => html`<a href=${link(`/auto_orders/${row.auto_order_oid}`)}>${row.auto_order_oid}</a>${names.get(row.auto_order_oid) && html`<br /><span class="soft">${names.get(row.auto_order_oid)}</span>`}`], cell,
];

// `oids`: those that were chosen; `names`: of their customers, as far as they are known; `begun` hears that it goes on.
export function Bulk({ action, oids, names = new Map(), close, begun = () => {} }) {
  const [, title, verb, say] = ACTIONS[action];
  const form = useRef();
  const [told, tell] = useState(null);
  const [far, move] = useState(null);
  const [problems, complain] = useState([]);
  // The batches keep their names until something else is looked at: who presses again asks for the same ones.
  const batch = useRef('');
  const asks = action === 'reschedule' || action === 'cancel';
  const reasons = useLoad(async () => (action === 'cancel' ? (await get('/auto_order/auto_orders/cancel_reasons')).cancelReasons || [] : []), []);
  const said = () => {
    const all = form.current ? Object.fromEntries([...new FormData(form.current)].filter(([, value]) => value)) : {};
    return { ...all, ...(all.days_later ? { days_later: Number(all.days_later) } : {}) };
  };
  // One batch after the other, each as far as it comes.
  const each = async (rows, does) => {
    const found = [];
    try {
      for (const [at, some] of cut(rows).entries()) {
        move([at * OF_A_BATCH, rows.length]);
        found.push((await does(some, at)).batch);
      }
      complain([]);
      return found;
    } catch (error) {
      complain(problemsOf(error));
      return null;
    } finally {
      move(null);
    }
  };
  const look = async () => {
    const found = await each(oids.map((oid) => ({ auto_order_oid: oid })), (rows) => post('/auto_order/actions?dry_run=true', { action, auto_orders: rows, ...said() }));
    batch.current = crypto.randomUUID();
    tell(found && gathered(found));
  };
  useEffect(() => { if (!asks) look(); }, []);
  const ready = (told || []).filter((row) => row.state === 'ready');
  const refused = (told || []).filter((row) => row.state === 'refused');
  const same = (told || []).length - ready.length - refused.length;
  const act = async () => {
    const name = batch.current;
    const rows = ready.map(({ auto_order_oid, shipment_date }) => ({ auto_order_oid, ...(shipment_date && /skip|reschedule/.test(action) ? { shipment_date } : {}) }));
    requery({ batch: name, of: cut(rows).length });
    begun(true);
    const found = await each(rows, (some, at) => post('/auto_order/actions?_async=true', { action, auto_orders: some, ...said(), batch_id: `${name}-${at}` }));
    begun(false, Boolean(found));
    if (found) close();
  };
  return html`<${Dialog} title=${`${title(count(oids.length, 'auto order'))}${action === 'cancel' ? '?' : ''}`} close=${close}>
    <${Summary} problems=${problems} title="Not everything was asked for" titleOf=${(pointer) => words(pointer.slice(1))} />
    ${asks && html`<form ref=${form} onSubmit=${(event) => { event.preventDefault(); look(); }} onInput=${() => tell(null)}>
      ${action === 'reschedule' ? html`<div class="pair"><div class="field"><label for="to-date">To this day</label><input id="to-date" name="to_date" type="date" class="wide" /></div>
        <div class="field"><label for="days-later">Or so many days later</label><input id="days-later" name="days_later" type="number" min="1" max="365" step="1" /></div></div>`
      : reasons.data?.length > 0 && html`<div class="field"><label for="bulk-reason">Reason (required)</label><select id="bulk-reason" name="cancel_reason" class="wide" required><option value="">Choose…</option>${reasons.data.map((one) => html`<option>${one.reason}</option>`)}</select></div>`}
    </form>`}
    ${far && html`<p role="status"><progress max=${far[1]} value=${far[0]} aria-label="How far it has come"></progress> ${number(far[0])} of ${number(far[1])}</p>`}
    ${told && html`<div role="status"><p class="verdict">${ready.length ? `${verb} ${number(ready.length)} of ${number(told.length)}.` : 'Nothing is to be done.'}</p>
        ${same > 0 && html`<p>${count(same, 'auto order')} ${same === 1 ? 'stands' : 'stand'} like that already.</p>`}${refused.length > 0 && html`<p>${count(refused.length, 'auto order')} cannot be, and ${refused.length === 1 ? 'stays as it is' : 'stay as they are'}.</p>`}</div>
      ${refused.length > 0 && html`<${Table} label="What cannot be" rows=${refused} columns=${listed(names, ['Why it cannot be', why])} />`}
      ${ready.length > 0 && html`<${Table} label="What it does" rows=${ready.slice(0, SHOWN)} columns=${listed(names, ['What it does', say])} />${ready.length > SHOWN && html`<p class="soft">And ${number(ready.length - SHOWN)} more like these.</p>`}`}
      ${action === 'cancel' && ready.length > 0 && html`<p>Each customer gets the cancellation e-mail. What is canceled can be restarted one by one.</p>`}`}
    <div class="row">${asks && !told && html`<${Do} act=${async () => { if (form.current.reportValidity()) await look(); }} disabled=${action === 'cancel' && !reasons.data}>What would it do?<//>`}
      ${told && ready.length > 0 && html`<${Do} kind=${action === 'cancel' ? 'danger' : 'main'} act=${act}>${verb} ${number(ready.length)}<//>`}
      <button onClick=${(event) => event.target.closest('dialog').close()}>Leave ${oids.length === 1 ? 'it' : 'them'}</button></div>
  <//>`;
}

// What comes of the batches that the address names. `beginning`: some of them are still being asked for.
export function Work({ name, of, names = new Map(), beginning }) {
  const told = useRef(false);
  const one = async (at) => {
    try {
      return (await get(`/auto_order/batches/${encodeURIComponent(`${name}-${at}`)}`)).batch;
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  };
  const found = useLoad(() => Promise.all(Array.from({ length: Math.min(Number(of) || 1, MOST / OF_A_BATCH) }, (_, at) => one(at))), [name, of, beginning]);
  const batches = (found.data || []).filter(Boolean);
  const sum = (field) => batches.reduce((total, batch) => total + (batch[field] || 0), 0);
  const waits = beginning || sum('number_waiting') > 0 || (found.loading && batches.length < (found.data || []).length);
  useEffect(() => {
    if (!found.data || found.loading) return undefined;
    if (waits) {
      const timer = setTimeout(found.reload, 1000);
      return () => clearTimeout(timer);
    }
    if (!told.current && batches.length) { told.current = true; again(); }
    return undefined;
  }, [found.data, found.loading, beginning]);
  const leave = () => requery({ batch: '', of: '' });
  if (found.error) return html`<${Failure} error=${found.error} retry=${found.reload} />`;
  if (!found.data) return null;
  const all = sum('number_of_auto_orders');
  const refused = gathered(batches).filter((row) => row.state === 'refused');
  const verb = ACTIONS[batches[0]?.action]?.[2] || 'It begins';
  return html`<section class="note good" aria-label="What came of it">
    ${batches.length === 0 && !waits ? html`<p role="status">Nothing was begun. Choose the auto orders again.</p>` : html`
    <p role="status"><strong>${verb}:</strong> ${waits ? html`<progress max=${all} value=${all - sum('number_waiting')} aria-label="How far it has come"></progress> ${number(all - sum('number_waiting'))} of ${number(all)}` : `${number(sum('number_done'))} done${sum('number_unchanged') ? `, ${number(sum('number_unchanged'))} had nothing to change` : ''}${refused.length ? `, ${number(refused.length)} refused` : ''}.`}
      ${!waits && batches.length < found.data.length && ' The rest was not begun: choose it again.'}</p>`}
    ${refused.length > 0 && html`<ul>${refused.map((row) => html`<li><a href=${link(`/auto_orders/${row.auto_order_oid}`)}>${row.auto_order_oid}</a> ${names.get(row.auto_order_oid)}: ${why(row)}</li>`)}</ul>`}
    ${!waits && batches.length > 0 && html`<details><summary>Each of them</summary><${Table} label="Each of them" rows=${gathered(batches)} columns=${listed(names, ['What came of it', (row) => (row.state === 'done' ? ACTIONS[batches[0].action][3](row) : row.state === 'unchanged' ? 'Nothing was left to change' : why(row))])} /></details>`}
    ${!waits && html`<button onClick=${leave}>Put it away</button>`}
  </section>`;
}

// Done at once to one auto order; the words for it where it was done, else why not.
export async function actOn(oid, action, more = {}) {
  const { batch: { auto_orders: [row] } } = await post('/auto_order/actions', { action, auto_orders: [{ auto_order_oid: oid, ...more }] });
  if (row.state === 'refused') toast(why(row), 'bad');
  else toast(row.state === 'unchanged' ? 'Nothing was left to change.' : { skip: `The shipment of ${day(row.shipment_date)} is left out; then comes ${day(row.next_date)}.`, pause: 'Paused.', resume: 'It goes on.' }[action]);
  again();
}

export const mayAct = () => may('auto_order_write');
