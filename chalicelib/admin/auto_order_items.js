// The items of an auto order as they are edited: what is sent, when, what it costs, and what comes along.
import { html } from './lib.js';
import { may } from './api.js';
import { Rule } from './fields.js';
import { count, day, money, number, words } from './format.js';
import { link } from './router.js';
import { Card, Empty, Table } from './ui.js';

// What of an item is edited, and the counters by which the API sees that it was read before a rebill; all else of it
// follows, and is not sent back.
const KEPT = ['number_of_rebills', 'last_order_dts', 'auto_order_item_oid', 'original_item_id', 'original_quantity', 'add_ons', 'arbitrary_item_id', 'arbitrary_percentage_discount', 'arbitrary_quantity', 'arbitrary_schedule_days', 'arbitrary_unit_cost',
  'arbitrary_unit_cost_remaining_orders', 'cancel_dts', 'cancel_reason', 'frequency', 'next_shipment_dts', 'no_order_after_dts', 'options', 'paused', 'properties'];
export const kept = (item) => Object.fromEntries(KEPT.filter((field) => item[field] !== undefined).map((field) => [field, item[field]]));

const ABOUT = {
  original_item_id: ['Item', 'Its steps set the schedule.'],
  original_quantity: ['Quantity', ''],
  arbitrary_quantity: ['Quantity from now on', 'Blank: as it was bought.'],
  arbitrary_item_id: ['Next item', 'Another item in its place. Blank: by its steps.'],
  frequency: ['Frequency', 'How often it is sent. Blank: by its steps.'],
  arbitrary_schedule_days: ['Every so many days', 'With the frequency “Every...”.'],
  next_shipment_dts: ['Next shipment', 'A later date of its schedule leaves out those before it; any other date begins a new schedule.'],
  no_order_after_dts: ['No order after', 'The last day on which it may be billed.'],
  paused: ['Paused', 'Nothing of it is billed until it goes on.'],
  arbitrary_unit_cost: ['Unit cost', 'Blank: the price of the catalogue.'],
  arbitrary_unit_cost_remaining_orders: ['Unit cost for the next orders', 'So many orders. Blank: for ever.'],
  arbitrary_percentage_discount: ['Discount, per cent', 'Off every rebill of it.'],
  options: ['Options', ''],
  properties: ['Properties', ''],
  add_ons: ['Add-ons', 'What comes along with it.'],
  item_id: ['Item', 'Of the catalogue.'],
  quantity: ['Quantity', 'Blank: one.'],
  next_x_orders: ['With the next orders', 'So many orders. Blank: with all.'],
  free_shipping: ['Free shipping', ''],
};
export const titleOf = (field) => ABOUT[field]?.[0] || words(field);

// The nouns with the words of this screen: `list` names what is offered while somebody types.
const said = (noun, more = {}) => ({ ...noun, properties: Object.fromEntries(Object.entries(noun.properties).map(([name, of]) => {
  const [title, description] = more[name] || ABOUT[name] || [words(name), ''];
  return [name, { ...of, title, description, 'x-ui': { ...of['x-ui'], ...(/item_id$/.test(name) ? { list: 'sold' } : {}), ...(name === 'add_ons' ? ADD_ONS : {}) } }];
})) });
const ADD_ONS = { entry: 'add-on', parts: ['item_id', 'quantity', 'next_x_orders', 'arbitrary_unit_cost', 'free_shipping', 'options'] };
export const worded = (defs, titles) => ({ ...defs, ...Object.fromEntries(['AutoOrder', 'AutoOrderItem', 'AutoOrderAddonItem', 'OrderBilling', 'OrderShipping'].map((name) => [name, said(defs[name], titles)])) });

// One field of the noun, wherever it stands in it.
export function Field({ pointer, of, value, was, set, ui = {}, ...form }) {
  // The same day again is what it was.
  const put = (next) => set(of.format === 'date-time' && next && was && next.slice(0, 10) === was.slice(0, 10) ? was : next);
  return html`<${Rule} ...${form} field=${pointer.slice(1)} of=${{ ...of, 'x-ui': { ...of['x-ui'], ...ui } }} value=${value} was=${was} set=${put} />`;
}

const put = (row, field, said) => { const next = { ...row }; if (said === undefined) delete next[field]; else next[field] = said; return next; };

export function Items({ draft, whole, names, defs, locked, offset, sold }) {
  const { said, stands, set, problems } = draft;
  const rows = said.items || [];
  const of = (list, oid) => (oid && (list || []).find((row) => row.auto_order_item_oid === oid)) || {};
  const change = (position, row) => set('items')(rows.map((old, at) => (at === position ? row : old)));
  const drop = (position) => set('items')(rows.filter((_, at) => at !== position));
  const add = () => set('items')([...rows, { original_item_id: '', original_quantity: 1, ...(rows[0]?.next_shipment_dts ? { next_shipment_dts: rows[0].next_shipment_dts } : {}) }]);
  return html`
    <datalist id="sold">${(sold || []).map((one) => html`<option value=${one.merchant_item_id}>${one.description}</option>`)}</datalist>
    ${rows.length === 0 && html`<${Card}><${Empty} title="It has no items">Nothing is billed before it has one.<//><//>`}
    ${rows.map((row, position) => html`<${Item} key=${row.auto_order_item_oid || `new-${position}`} at=${`/items/${position}`} row=${row} was=${of(stands.said.items, row.auto_order_item_oid)} read=${of(whole.items, row.auto_order_item_oid)}
      name=${names[row.auto_order_item_oid] || row.original_item_id || 'A new item'} defs=${defs} problems=${problems} locked=${locked} offset=${offset} change=${(next) => change(position, next)} drop=${() => drop(position)} />`)}
    ${!locked && html`<p><button type="button" onClick=${add}>Add an item</button></p>`}
    <${Card} title="Comes along with the whole order"><${Field} pointer="/add_ons" of=${defs.AutoOrder.properties.add_ons} defs=${defs} value=${said.add_ons} was=${stands.said.add_ons} set=${set('add_ons')} problems=${problems} locked=${locked} /><//>`;
}

function Item({ at, row, was, read, name, defs, problems, locked, offset, change, drop }) {
  const schema = defs.AutoOrderItem.properties;
  const fresh = !row.auto_order_item_oid;
  const field = (part, ui = {}) => html`<${Field} key=${part} pointer=${`${at}/${part}`} of=${schema[part]} defs=${defs} value=${row[part]} was=${was[part]} set=${(said) => change(put(row, part, said))} problems=${problems} locked=${locked} ui=${{ offset, ...ui }} />`;
  const then = read.future_schedules?.[1]?.shipment_dts;
  const skips = then && !row.paused && row.next_shipment_dts === read.future_schedules[0].shipment_dts;
  return html`<${Card} title=${name} actions=${!locked && html`<div class="row">
      ${skips && html`<button type="button" aria-label=${`Skip next of ${name}`} onClick=${() => change({ ...row, next_shipment_dts: then })}>Skip next</button>`}
      <button type="button" aria-label=${`Remove ${name}`} onClick=${drop}>Remove</button></div>`}>
    ${!fresh && html`<${Facts} read=${read} />`}
    <h3>What is sent</h3><div class="fields">${fresh ? ['original_item_id', 'original_quantity'].map((part) => field(part)) : ''}${field('arbitrary_item_id', { blank: read.next_item_id })}${!fresh && field('arbitrary_quantity', { blank: read.original_quantity })}</div>
    <h3>When</h3><div class="fields">${field('next_shipment_dts')}${field('frequency', { blank: 'by its steps' })}${(row.frequency === 'Every...' || row.arbitrary_schedule_days) && field('arbitrary_schedule_days', { unit: 'days' })}${field('no_order_after_dts')}${field('paused')}</div>
    <h3>What it costs</h3><div class="fields">${['arbitrary_unit_cost', 'arbitrary_unit_cost_remaining_orders', 'arbitrary_percentage_discount'].map((part) => field(part))}</div>
    ${field('add_ons')}
    <details open=${problems.some((p) => /(options|properties)/.test(p.pointer) && p.pointer.startsWith(`${at}/`))}><summary>Options and properties (${number((row.options || []).length + (row.properties || []).length)})</summary><div class="fields">${field('options')}${field('properties')}</div></details>
  <//>`;
}

// What is known of it and follows from what was billed and from its steps.
const Facts = ({ read }) => html`<dl class="facts">
  <dt>Bought</dt><dd>${number(read.original_quantity)} × ${read.original_item_id}${read.first_order_dts ? `, first on ${day(read.first_order_dts)}` : ''}</dd>
  <dt>Rebills so far</dt><dd>${number(read.number_of_rebills || 0)}${read.number_of_rebills && read.last_order_dts ? `, the last on ${day(read.last_order_dts)}` : ''}${read.life_time_value !== undefined ? `; ${money(read.life_time_value)} in all, ${money(read.rebill_value || 0)} of it rebills` : ''}</dd>
  <dt>Next</dt><dd>${read.next_item_id ? `${read.next_item_id} at ${money(read.future_schedules?.[0]?.unit_cost)}` : 'nothing'}${read.remaining_repeat_count ? `, ${count(read.remaining_repeat_count, 'more time')} in this step` : ''}</dd>
  <dt>Preshipment notice</dt><dd>${read.next_preshipment_notice_dts ? `${day(read.next_preshipment_notice_dts)}${read.preshipment_notice_sent ? ', sent' : ''}` : 'its steps have none'}</dd>
  ${read.cancel_dts && html`<dt>Ended</dt><dd>${day(read.cancel_dts)}${read.cancel_reason ? `: ${read.cancel_reason}` : ''}</dd>`}</dl>`;

// --- as they stand -----------------------------------------------------------------------------------------------

export const Overview = ({ auto, names }) => html`<${Table} label="Items" rows=${auto.items || []} empty=${html`<${Empty} title="It has no items">Nothing is billed before it has one.<//>`} columns=${[
  ['Item', (row) => html`<strong>${names[row.auto_order_item_oid]}</strong><br />${may('item_read') ? html`<a href=${link(`/items/${encodeURIComponent(row.original_item_id)}`)}>${row.original_item_id}</a>` : html`<span class="soft">${row.original_item_id}</span>`}`],
  ['Quantity', (row) => html`${row.arbitrary_quantity && html`<del>${number(row.original_quantity)}</del> `}${number(row.arbitrary_quantity || row.original_quantity)}`, 'num'],
  ['Frequency', (row) => (row.frequency === 'Every...' ? `Every ${row.arbitrary_schedule_days} days` : row.frequency || 'By its steps')],
  ['Next shipment', (row) => (row.paused ? 'Paused' : row.calculated_next_shipment_dts ? day(row.calculated_next_shipment_dts) : html`<span class="soft">none</span>`)],
  ['Next item', (row) => row.next_item_id],
  ['Rebills', (row) => number(row.number_of_rebills || 0), 'num'],
  ['Unit cost', (row) => html`${row.arbitrary_unit_cost === undefined ? money(row.future_schedules?.[0]?.unit_cost) : html`${money(row.arbitrary_unit_cost)}<br /><span class="soft">override${row.arbitrary_unit_cost_remaining_orders ? ` for ${count(row.arbitrary_unit_cost_remaining_orders, 'more order')}` : ''}</span>`}${row.arbitrary_percentage_discount ? html`<br /><span class="soft">less ${number(row.arbitrary_percentage_discount)} %</span>` : ''}`, 'num'],
  ['Comes along', (row) => along(row.add_ons)],
  ['Ends', (row) => (row.no_order_after_dts ? day(row.no_order_after_dts) : '')],
]} />${(auto.add_ons || []).length > 0 && html`<p class="soft">Comes along with the whole order: ${along(auto.add_ons)}.</p>`}`;
const along = (rows) => (rows || []).map((row) => `${number(row.quantity || 1)} × ${row.item_id}${row.next_x_orders ? ` with the next ${number(row.next_x_orders)}` : ''}`).join(', ');
