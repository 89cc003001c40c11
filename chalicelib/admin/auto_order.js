// One auto order: how it stands, why it will be billed or not, what comes, what was, and what can be done with it.
import { html, useRef, useState } from './lib.js';
import { again, call, get, may, post } from './api.js';
import { count, day, moment, money, name, number } from './format.js';
import { link } from './router.js';
import { status } from './auto_orders.js';
import { schemas } from './schemas.js';
import { Timeline } from './timeline.js';
import { Why } from './why.js';
import { Card, Copy, Dialog, Do, Empty, Loaded, Page, Summary, Table, problemsOf, toast, useLoad } from './ui.js';

const EXPAND = ['items', 'items.future_schedules', 'add_ons', 'original_order', ...['billing', 'shipping', 'payment', 'item'].map((part) => `original_order.${part}`)].join(',');

export default function AutoOrder({ params }) {
  const path = `/auto_order/auto_orders/${params.oid}`;
  const one = useLoad(async () => {
    const { data, etag } = await call('GET', `${path}?_expand=${EXPAND}`);
    return { ...data.auto_order, etag };
  }, [params.oid]);
  const why = useLoad(async () => (await get(`${path}/explain?at=next_run`)).explanation, [params.oid]);
  const next = useLoad(async () => (await get(`${path}/next_orders`)).next_orders, [params.oid]);
  const past = useLoad(() => get(`${path}/timeline?_limit=20`), [params.oid]);
  const rules = useLoad(async () => (may('configuration_read') ? (await get('/configuration/auto_order_processing/schema')).schema.properties : {}), []);
  const [open, show] = useState('');
  const auto = one.data;
  const items = auto ? names(auto) : {};
  const billing = auto?.original_order?.billing;
  const lead = auto && html`${name(billing)}, ${billing?.email}. From order <a href=${link(`/orders/${encodeURIComponent(auto.original_order_id)}`)}>${auto.original_order_id}</a>. Code ${auto.auto_order_code}.`;
  const act = auto && may('auto_order_write') && html`<${Actions} auto=${auto} path=${path} show=${show} />`;
  return html`<${Page} title=${`Auto order ${params.oid}`} lead=${lead} actions=${auto && html`${status(auto)}${act}`}>
    <${Loaded} of=${one}>${(found) => html`
      <${Standing} auto=${found} />
      <${Card} title=${why.data ? `Will it bill on ${day(why.data.at)}?` : 'Will it bill?'}>
        <${Loaded} of=${why}>${(told) => html`<${Why} told=${told} items=${items} fields=${rules.data || {}} />`}<//>
      <//>
      <${Card} title="Items" actions=${may('auto_order_write') && html`<button onClick=${() => show('items')}>Change…</button>`}><${Items} auto=${found} items=${items} /><//>
      <div class="grid loose">
        <div>
          <${Card} title="Next orders"><${Loaded} of=${next}>${(told) => html`<${Next} told=${told} />`}<//><//>
          <${Card} title="Payment"><${Payment} auto=${found} path=${path} /><//>
          <${Card} title="Addresses"><div class="grid"><${Address} title="Billing" of=${found.original_order?.billing} /><${Address} title="Shipping" of=${found.original_order?.shipping} /></div><//>
        </div>
        <${Card} title="Timeline"><${Loaded} of=${past}>${(first) => html`<${Timeline} key=${first.timeline[0]?.log_dts + first.timeline.length} first=${first} path=${`${path}/timeline`} items=${items} />`}<//><//>
      </div>
      ${open === 'items' && html`<${ChangeItems} auto=${found} path=${path} items=${items} close=${() => show('')} />`}
      ${open === 'cancel' && html`<${Cancel} auto=${found} path=${path} next=${next.data} close=${() => show('')} />`}`}<//>
  <//>`;
}

// The items of an auto order by their oids, as people call them.
function names(auto) {
  const said = Object.fromEntries((auto.original_order?.items || []).map((line) => [line.merchant_item_id, line.description]));
  return Object.fromEntries((auto.items || []).map((item) => [item.auto_order_item_oid, said[item.original_item_id] || item.original_item_id]));
}

function Standing({ auto }) {
  return html`
    ${auto.failure_reason && html`<p class="note bad">The last charge was declined: ${auto.failure_reason}</p>`}
    ${auto.canceled_dts && html`<p class="note">Canceled on ${moment(auto.canceled_dts)}${auto.canceled_by_user ? ` by ${auto.canceled_by_user}` : ''}${auto.cancel_reason ? `: ${auto.cancel_reason}` : ''}.</p>`}
    ${auto.disabled_dts && html`<p class="note bad">Disabled on ${moment(auto.disabled_dts)}.</p>`}
    ${auto.merged_into_auto_order_oid && html`<p class="note">Merged into <a href=${link(`/auto_orders/${auto.merged_into_auto_order_oid}`)}>auto order ${auto.merged_into_auto_order_oid}</a>.</p>`}
    ${auto.cancel_after_next_x_orders > 0 && html`<p class="note">It ends after ${count(auto.cancel_after_next_x_orders, 'more order')}.</p>`}`;
}

// --- what can be done --------------------------------------------------------------------------------------------

const change = (auto, path, said) => call('PUT', path, said, auto.etag ? { 'if-match': auto.etag } : {});
// What the API shows beside an item and does not take, is not sent back.
const bare = ({ future_schedules, simple_schedule, ...item }) => item;

function Actions({ auto, path, show }) {
  const items = auto.items || [];
  const paused = items.length > 0 && items.every((item) => item.paused);
  const dates = items.map((item) => item.next_shipment_dts).filter(Boolean).sort();
  const skips = items.filter((item) => item.next_shipment_dts === dates[0] && item.future_schedules?.length > 1);
  const done = (text) => { toast(text); again(); };
  const skip = async () => {
    const rows = items.map((item) => ({ ...bare(item), ...(skips.includes(item) ? { next_shipment_dts: item.future_schedules[1].shipment_dts } : {}) }));
    await change(auto, path, { items: rows });
    done(`The shipment of ${day(dates[0])} is left out.`);
  };
  const pause = async () => { await call('PUT', `${path}/pause`); done('Paused.'); };
  const resume = async () => { await change(auto, path, { items: items.map((item) => ({ ...bare(item), paused: false })) }); done('It goes on.'); };
  const bill = async () => {
    const answer = await post(`${path}/rebill`);
    done(answer.rebill_success ? `Paid: order ${answer.rebill_order_id}.` : answer.failure_reason || 'Nothing was charged.');
  };
  const restart = async () => { await change(auto, path, { enabled: true }); done('It is active again.'); };
  if (auto.status === 'merged') return null;
  if (auto.status !== 'active') return html`${auto.failure_reason && auto.status === 'disabled' && html`<${Do} act=${bill}>Bill now<//>`}
    <${Do} act=${restart}>Restart<//>${auto.status === 'disabled' && html`<button onClick=${() => show('cancel')}>Cancel auto order…</button>`}`;
  return html`
    ${skips.length > 0 && !paused && html`<${Do} act=${skip}>Skip next<//>`}
    ${auto.credit_card_attempt > 0 && html`<${Do} act=${bill}>Bill now<//>`}
    ${items.length > 0 && (paused ? html`<${Do} act=${resume}>Go on<//>` : html`<${Do} act=${pause}>Pause<//>`)}
    <button onClick=${() => show('cancel')}>Cancel auto order…</button>`;
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
    <div class="row"><${Do} kind="danger" act=${cancel} disabled=${!asked.data}>Cancel auto order<//><button onClick=${(event) => event.target.closest('dialog').close()}>Keep it</button></div>
  <//>`;
}

// --- its items ---------------------------------------------------------------------------------------------------

function Items({ auto, items }) {
  return html`<${Table} label="Items" rows=${auto.items || []} empty=${html`<${Empty} title="It has no items">Nothing is billed before it has one.<//>`} columns=${[
    ['Item', (row) => html`<strong>${items[row.auto_order_item_oid]}</strong><br /><span class="soft">${row.original_item_id}</span>`],
    ['Quantity', (row) => html`${row.arbitrary_quantity && html`<del>${number(row.original_quantity)}</del> `}${number(row.arbitrary_quantity || row.original_quantity)}`, 'num'],
    ['Frequency', (row) => (row.frequency === 'Every...' ? `Every ${row.arbitrary_schedule_days} days` : row.frequency || 'By its steps')],
    ['Next shipment', (row) => (row.paused ? 'Paused' : row.next_shipment_dts ? day(row.next_shipment_dts) : html`<span class="soft">none</span>`)],
    ['Next item', (row) => row.next_item_id],
    ['Rebills', (row) => number(row.number_of_rebills || 0), 'num'],
    ['Unit cost', (row) => html`${row.arbitrary_unit_cost === undefined ? money(row.future_schedules?.[0]?.unit_cost) : html`${money(row.arbitrary_unit_cost)}<br /><span class="soft">override${row.arbitrary_unit_cost_remaining_orders ? ` for ${count(row.arbitrary_unit_cost_remaining_orders, 'more order')}` : ''}</span>`}`, 'num'],
    ['Ends', (row) => (row.no_order_after_dts ? day(row.no_order_after_dts) : '')],
  ]} />
  ${(auto.add_ons || []).length > 0 && html`<p class="soft">Comes along: ${auto.add_ons.map((row) => `${row.quantity || 1} × ${row.item_id}${row.next_x_orders ? ` with the next ${row.next_x_orders}` : ''}`).join(', ')}.</p>`}`;
}

// What of an item can be changed: name, title, help, kind.
const EDITS = [
  ['arbitrary_quantity', 'Quantity from now on', 'Blank: as it was bought.', 'number'],
  ['frequency', 'Frequency', 'How often it is sent.', 'frequency'],
  ['next_shipment_dts', 'Next shipment', 'A later date of its schedule leaves out those before it.', 'date'],
  ['arbitrary_item_id', 'Next item', 'Another item in its place. Blank: by its steps.', 'text'],
  ['arbitrary_unit_cost', 'Unit cost', 'Blank: the price of the catalogue.', 'number'],
  ['arbitrary_unit_cost_remaining_orders', 'Unit cost for the next orders', 'So many orders. Blank: all of them.', 'number'],
  ['no_order_after_dts', 'No order after', 'The last day on which it may be billed.', 'date'],
  ['paused', 'Paused', '', 'check'],
];

function ChangeItems({ auto, path, items, close }) {
  const [problems, complain] = useState([]);
  const [kinds, know] = useState(null);
  const form = useRef();
  useLoad(async () => know(await frequencies()), []);
  const at = (position, field) => `item-${position}-${field}`;
  const save = async () => {
    const rows = auto.items.map((item, position) => changed(item, position, form.current.elements, at));
    try {
      await change(auto, path, { items: rows });
    } catch (error) {
      complain(problemsOf(error));
      return;
    }
    close();
    toast('Saved.');
    again();
  };
  const titleOf = (pointer) => {
    const [, , position, field] = pointer.split('/');
    const edit = EDITS.find(([one]) => one === field);
    return edit ? `${items[auto.items[position]?.auto_order_item_oid]}, ${edit[1]}` : pointer;
  };
  const reveal = (pointer) => { const [, , position, field] = pointer.split('/'); document.getElementById(at(position, field))?.focus(); };
  return html`<${Dialog} title="Change items" close=${close}>
    <${Summary} problems=${problems} title="Nothing was changed" titleOf=${titleOf} show=${reveal} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}>${auto.items.map((item, position) => html`<fieldset>
      <legend>${items[item.auto_order_item_oid]}</legend>
      <div class="pair">${EDITS.map(([field, title, help, kind]) => html`<${Edit} id=${at(position, field)} title=${title} help=${help} kind=${kind} said=${item[field]} kinds=${kinds} wrong=${problems.find((p) => p.pointer === `/items/${position}/${field}`)} />`)}</div>
    </fieldset>`)}</form>
    <div class="row"><${Do} kind="main" act=${save}>Save<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>
  <//>`;
}

function Edit({ id, title, help, kind, said, kinds, wrong }) {
  const told = wrong ? `${id}-wrong` : undefined;
  if (kind === 'check') return html`<p class="check"><input type="checkbox" id=${id} defaultChecked=${said} /><label for=${id}>${title}</label></p>`;
  return html`<div class="field"><label for=${id}>${title}</label>${help && html`<p class="help" id=${`${id}-help`}>${help}</p>`}
    ${wrong && html`<p class="wrong" id=${told}>${wrong.message}</p>`}
    ${kind === 'frequency' ? html`<select id=${id} class="wide" aria-invalid=${wrong ? 'true' : undefined} aria-describedby=${told}><option value="">By its steps</option>${(kinds || [said]).filter(Boolean).map((one) => html`<option selected=${one === said}>${one}</option>`)}</select>`
      : html`<input id=${id} type=${kind} class=${kind === 'number' ? '' : 'wide'} step="any" defaultValue=${kind === 'date' ? (said || '').slice(0, 10) : said ?? ''} aria-invalid=${wrong ? 'true' : undefined} aria-describedby=${told} />`}
  </div>`;
}

// The item with what the form says; what was not touched stays as it was read.
function changed(item, position, elements, at) {
  const row = bare(item);
  for (const [field, , , kind] of EDITS) {
    const input = elements[at(position, field)];
    if (!input) continue;
    if (kind === 'check') row[field] = input.checked;
    else if (kind === 'date') {
      // A day of the shop's: noon of it, whatever the season's offset is.
      if (!input.value) delete row[field];
      else if (input.value !== (item[field] || '').slice(0, 10)) row[field] = `${input.value}T12:00:00${(item[field] || item.next_shipment_dts || item.first_order_dts || 'T00:00:00+00:00').slice(-6)}`;
    } else if (input.value === '') delete row[field];
    else row[field] = kind === 'number' ? Number(input.value) : input.value;
  }
  return row;
}

const frequencies = async () => (await schemas()).AutoOrderItem.properties.frequency.enum || [];

// --- what comes, what pays, where it goes ------------------------------------------------------------------------

const Next = ({ told }) => html`
  <${Table} label="Next orders" rows=${told.orders} empty=${html`<${Empty} title="Nothing comes">It makes no order as it stands; why is said above.<//>`} columns=${[
    ['Date', (row) => day(row.day)], ['Order', (row) => row.items.join(', ')], ['Total', (row) => money(row.total), 'num'],
  ]} />
  ${told.held && html`<p class="note">Then it stops: ${told.held.message}</p>`}
  ${told.orders.length > 0 && html`<p class="soft small">If every charge is approved and nothing is changed.</p>`}`;

function Payment({ auto, path }) {
  const [url, know] = useState('');
  const payment = auto.original_order?.payment || {};
  const card = payment.credit_card;
  const ask = async () => know((await get(`${path}/update_billing_url`)).update_billing_url);
  const reset = async () => { await post(`${path}/reset_attempts`); toast('Attempts are counted from nought again.'); again(); };
  const move = async (event) => {
    event.preventDefault();
    const said = new FormData(event.target).get('next');
    try {
      await change(auto, path, { next_attempt: `${said}T12:00:00${auto.next_attempt.slice(-6)}` });
      toast('The next attempt is moved.');
      again();
    } catch (error) {
      toast(problemsOf(error)[0].message, 'bad');
    }
  };
  return html`<dl>
      <dt>Method</dt><dd>${payment.payment_method}${card ? `, ${card.card_type} ending in ${(card.card_number || '').slice(-4)}, good until ${card.card_expiration_month}/${card.card_expiration_year}` : ''}</dd>
      <dt>Attempts</dt><dd>${number(auto.credit_card_attempt || 0)} declined ${auto.credit_card_attempt > 0 && may('auto_order_write') && html`<${Do} kind="plain" act=${reset}>Count from nought<//>`}</dd>
      ${auto.next_attempt && html`<dt>Next attempt</dt><dd>${moment(auto.next_attempt)}</dd>`}
    </dl>
    ${auto.next_attempt && may('auto_order_write') && html`<form class="row" onSubmit=${move}><label for="next">Move it to</label><input id="next" name="next" type="date" required /><button>Move</button></form>`}
    ${url ? html`<p>Send this link to the customer; it is good for 30 days.</p><pre tabindex="0">${url}</pre><${Copy} text=${url} />` : html`<${Do} act=${ask}>Link to ask for a new card<//>`}`;
}

export const Address = ({ title, of }) => html`<div><h3>${title}</h3>${of ? html`<p>${[name(of), of.company, of.address1, of.address2, [of.city, of.state_region, of.postal_code].filter(Boolean).join(' '), of.country_code, of.day_phone, of.email].filter(Boolean).map((line) => html`${line}<br />`)}</p>` : html`<p class="soft">As billing.</p>`}</div>`;
