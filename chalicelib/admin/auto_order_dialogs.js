// What is done with one auto order at a press, and the dialogs that ask first.
import { html, useRef, useState } from './lib.js';
import { again, call, get, post, query as text } from './api.js';
import { Bulk, actOn } from './bulk.js';
import { day, money } from './format.js';
import { link } from './router.js';
import { Dialog, Do, Empty, Loaded, Summary, Table, problemsOf, toast, useLoad } from './ui.js';

const change = (auto, path, said) => call('PUT', path, said, auto.etag ? { 'if-match': auto.etag } : {});
const leave = (event) => event.target.closest('dialog').close();

export function Actions({ auto, path, show }) {
  const items = auto.items || [];
  const paused = items.length > 0 && items.every((item) => item.paused);
  const next = items.filter((item) => !item.paused).map((item) => item.calculated_next_shipment_dts).filter(Boolean).sort()[0];
  const done = (said) => { toast(said); again(); };
  const bill = async () => {
    const answer = await post(`${path}/rebill`);
    done(answer.rebill_success ? `Paid: order ${answer.rebill_order_id}.` : answer.failure_reason || 'Nothing was charged.');
  };
  const enable = (enabled) => async () => { await change(auto, path, { enabled }); done(enabled ? 'It is active again.' : 'Disabled: nothing is billed until it is restarted.'); };
  const cancels = html`<button onClick=${() => show('cancel')}>Cancel auto order…</button>`;
  if (auto.status === 'merged') return null;
  if (auto.status !== 'active') return html`${auto.failure_reason && auto.status === 'disabled' && html`<${Do} act=${bill}>Bill now<//>`}<${Do} act=${enable(true)}>Restart<//>${auto.status === 'disabled' && cancels}`;
  const waits = auto.credit_card_attempt > 0 || !next;
  return html`
    ${!waits && html`<${Do} act=${() => actOn(auto.auto_order_oid, 'skip', { shipment_date: next.slice(0, 10) })}>Skip next<//><button onClick=${() => show('reschedule')}>Reschedule…</button>`}
    ${auto.credit_card_attempt > 0 && html`<${Do} act=${bill}>Bill now<//>`}
    ${items.length > 0 && html`<${Do} act=${() => actOn(auto.auto_order_oid, paused ? 'resume' : 'pause')}>${paused ? 'Go on' : 'Pause'}<//>`}
    <button onClick=${() => show('merge')}>Merge…</button><${Do} act=${enable(false)}>Disable<//>${cancels}`;
}

export function Dialogs({ open, auto, path, next, close }) {
  if (open === 'cancel') return html`<${Cancel} auto=${auto} path=${path} next=${next} close=${close} />`;
  if (open === 'merge') return html`<${Merge} auto=${auto} path=${path} close=${close} />`;
  return open === 'reschedule' && html`<${Bulk} action="reschedule" oids=${[auto.auto_order_oid]} close=${close} />`;
}

function Cancel({ auto, path, next, close }) {
  const [problems, complain] = useState([]);
  const asked = useLoad(async () => (await get('/auto_order/auto_orders/cancel_reasons')).cancelReasons || [], []);
  const form = useRef();
  const coming = next?.orders?.[0];
  const cancel = async () => {
    if (!form.current.reportValidity()) return;
    const reason = new FormData(form.current).get('reason');
    try {
      await change(auto, path, { enabled: false, status: 'canceled', ...(reason ? { cancel_reason: reason } : {}) });
    } catch (error) {
      complain(problemsOf(error));
      return;
    }
    close();
    toast('Canceled.');
    again();
  };
  return html`<${Dialog} title=${`Cancel auto order ${auto.auto_order_oid}?`} close=${close}>
    <p>No further order is billed or shipped.${coming && ` ${money(coming.total)} due on ${day(coming.day)} will not be charged.`} The customer gets the cancellation e-mail.</p>
    <${Summary} problems=${problems} title="It was not canceled" titleOf=${(pointer) => (pointer === '/cancel_reason' ? 'Reason' : pointer)} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}>
      <${Loaded} of=${asked}>${(reasons) => reasons.length > 0 && html`<div class="field"><label for="reason">Reason (required)</label>
        <select id="reason" name="reason" class="wide" required><option value="">Choose…</option>${reasons.map((one) => html`<option>${one.reason}</option>`)}</select></div>`}<//>
    </form>
    <div class="row"><${Do} kind="danger" act=${cancel} disabled=${!asked.data}>Cancel auto order<//><button onClick=${leave}>Keep it</button></div>
  <//>`;
}

// The API merges so many into one.
const MOST_MERGED = 20;

function Merge({ auto, path, close }) {
  const [problems, complain] = useState([]);
  const [chosen, choose] = useState([]);
  const email = auto.original_order?.billing?.email;
  const others = useLoad(async () => (email ? (await get(`/auto_order/auto_orders${text({ email, status: 'active', _limit: MOST_MERGED + 1, _expand: 'items' })}`)).auto_orders : []).filter((one) => one.auto_order_oid !== auto.auto_order_oid), []);
  const merge = async () => {
    try {
      await call('PUT', `${path}/consolidate`, { source_auto_order_oids: chosen });
    } catch (error) {
      complain(problemsOf(error));
      return;
    }
    close();
    toast('Merged.');
    again();
  };
  const titleOf = (pointer) => { const at = pointer.split('/')[2]; return at === undefined ? 'The others' : `Auto order ${chosen[Number(at)]}`; };
  const toggle = (oid) => choose(chosen.includes(oid) ? chosen.filter((one) => one !== oid) : [...chosen, oid]);
  return html`<${Dialog} title=${`Merge into auto order ${auto.auto_order_oid}`} close=${close}>
    <p>All items of the others move here, each with its own schedule. They are billed with this one's card and sent to its address; the others stay as “merged”.</p>
    <${Summary} problems=${problems} title="Nothing was merged" titleOf=${titleOf} />
    <${Loaded} of=${others}>${(rows) => html`<${Table} label="Other active auto orders of this customer" rows=${rows} empty=${html`<${Empty} title="There is no other">This customer has no other active auto order.<//>`} columns=${[
      ['Auto order', (row) => html`<span class="check"><input type="checkbox" id=${`merge-${row.auto_order_oid}`} checked=${chosen.includes(row.auto_order_oid)} onChange=${() => toggle(row.auto_order_oid)} /><label for=${`merge-${row.auto_order_oid}`}>${row.auto_order_oid}</label></span>`],
      ['Items', (row) => (row.items || []).map((item) => item.original_item_id).join(', ')], ['', (row) => html`<a href=${link(`/auto_orders/${row.auto_order_oid}`)}>Open</a>`],
    ]} />`}<//>
    <div class="row"><${Do} kind="main" act=${merge} disabled=${!chosen.length}>Merge ${chosen.length || ''}<//><button onClick=${leave}>Leave them</button></div>
  <//>`;
}
