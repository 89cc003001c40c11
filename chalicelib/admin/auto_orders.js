// The list of auto orders. What is asked for stands in the address, so that it can be kept and sent to somebody.
import { html, useEffect, useRef, useState } from './lib.js';
import { get, query as text } from './api.js';
import { Bulk, Buttons, MOST, Work, mayAct } from './bulk.js';
import { count, day, name, number, words } from './format.js';
import { link, requery } from './router.js';
import { Card, Do, Empty, Filters, Loaded, PAGE, Page, Pager, Table, Tag, useLoad } from './ui.js';
import { useViews } from './views.js';

const EXPAND = 'items,original_order,original_order.billing,original_order.payment';
const LIST = '/auto_order/auto_orders';
// The API gives so many in one page.
const OF_A_PAGE = 200;
const STATUSES = [['active', 'Active'], ['disabled', 'Disabled'], ['canceled', 'Canceled'], ['merged', 'Merged']];
const CONDITIONS = [['retrying', 'Retrying'], ['held', 'Held'], ['paused', 'Paused']];
const PRESET = [...CONDITIONS.map(([condition, title]) => ({ name: title, filters: { condition } })), ...STATUSES.map(([status, title]) => ({ name: title, filters: { status } }))];
const FIELDS = [
  ['email', 'E-mail', null, 'email'],
  ['last_name', 'Last name'],
  ['original_item_id', 'Item'],
  ['status', 'Status', STATUSES],
  ['condition', 'Standing', CONDITIONS],
  ['next_shipment_date_begin', 'Next shipment from', null, 'date'],
  ['next_shipment_date_end', 'Next shipment until', null, 'date'],
  ['_sort', 'In order of', [['next_shipment_dts', 'Next shipment'], ['next_attempt', 'Next attempt'], ['card_expires_dts', 'End of the card'], ['-creation_dts', 'Newest first'], ['creation_dts', 'Oldest first']], null, 'Their numbers'],
];
const MORE = [
  ['next_attempt_date_begin', 'Next attempt from', null, 'date'],
  ['next_attempt_date_end', 'Next attempt until', null, 'date'],
  ['card_expires_date_begin', 'Card good from', null, 'date'],
  ['card_expires_date_end', 'Card good until', null, 'date'],
  ['card_type', 'Card', ['AMEX', 'Diners Club', 'Discover', 'JCB', 'MasterCard', 'VISA']],
  ['next_item_id', 'Next item'],
  ['item_id', 'Bought at first'],
  ['original_order_date_begin', 'Ordered from', null, 'date'],
  ['original_order_date_end', 'Ordered until', null, 'date'],
  ['original_order_id', 'Original order'],
  ['auto_order_code', 'Code'],
  ['first_name', 'First name'],
  ['company', 'Company'],
  ['phone', 'Phone', null, 'tel'],
  ['city', 'City'],
  ['state', 'State'],
  ['postal_code', 'Postal code'],
  ['country_code', 'Country'],
  ['customer_profile_oid', 'Customer’s number'],
];
const NAMES = [...FIELDS, ...MORE].map(([field]) => field).filter((field) => field !== '_sort');

export const status = (one) => {
  const kind = { active: 'good', canceled: 'plain', disabled: 'bad', merged: 'plain' }[one.status];
  const paused = one.status === 'active' && one.items?.length && one.items.every((item) => item.paused);
  return paused ? html`<${Tag} kind="warn">Paused<//>` : html`<${Tag} kind=${kind}>${one.status === 'active' ? 'Active' : words(one.status)}<//>`;
};

const of = (one) => one.original_order || {};
const next = (one) => (one.items || []).filter((item) => !item.paused).map((item) => item.next_shipment_dts).filter(Boolean).sort()[0];
const each = (field) => (one) => [...new Set((one.items || []).map((item) => item[field]).filter(Boolean))].join(', ');
const card = (one) => of(one).payment?.credit_card;
// Columns by the names under which they are kept: fields of the noun.
const COLUMNS = {
  'auto_order_oid': ['Auto order', (one) => html`<a href=${link(`/auto_orders/${one.auto_order_oid}`)}>${one.auto_order_oid}</a>`],
  'auto_order_code': ['Code', (one) => one.auto_order_code],
  'original_order.billing': ['Customer', (one) => html`${name(of(one).billing)}<br /><span class="soft">${of(one).billing?.email}</span>`],
  'original_order.billing.company': ['Company', (one) => of(one).billing?.company],
  'original_order.billing.day_phone': ['Phone', (one) => of(one).billing?.day_phone],
  'status': ['Status', (one) => html`${status(one)}${one.failure_reason && html`<br /><span class="soft small">${one.failure_reason}</span>`}`],
  'items.original_item_id': ['Items', each('original_item_id')],
  'items.next_item_id': ['Next item', each('next_item_id')],
  'items.frequency': ['Frequency', each('frequency')],
  'items.next_shipment_dts': ['Next shipment', (one) => (one.status === 'active' && next(one) ? day(next(one)) : html`<span class="soft">none</span>`)],
  'credit_card_attempt': ['Attempts', (one) => one.credit_card_attempt || '', 'num'],
  'next_attempt': ['Next attempt', (one) => (one.status === 'active' ? day(one.next_attempt) : '')],
  'original_order.payment': ['Card', (one) => card(one) && `${card(one).card_type} ${(card(one).card_number || '').slice(-4)}, ${card(one).card_expiration_month}/${card(one).card_expiration_year}`],
  'items.number_of_rebills': ['Rebills', (one) => number(Math.max(0, ...(one.items || []).map((item) => item.number_of_rebills || 0))), 'num'],
  'original_order_id': ['Original order', (one) => html`<a href=${link(`/orders/${encodeURIComponent(one.original_order_id)}`)}>${one.original_order_id}</a>`],
  'original_order.creation_dts': ['Ordered', (one) => day(of(one).creation_dts)],
  'cancel_reason': ['Cancel reason', (one) => one.cancel_reason],
  'canceled_dts': ['Canceled', (one) => day(one.canceled_dts)],
  'disabled_dts': ['Disabled', (one) => day(one.disabled_dts)],
  'override_affiliate_id': ['Affiliate', (one) => one.override_affiliate_id],
};
const USUAL = ['auto_order_oid', 'original_order.billing', 'status', 'items.original_item_id', 'items.next_shipment_dts', 'credit_card_attempt'];

export default function AutoOrders({ query }) {
  const asked = Object.fromEntries([...NAMES, '_sort'].map((field) => [field, query[field]]));
  const meant = text(asked);
  const found = useLoad(() => get(`${LIST}${text({ ...asked, _limit: PAGE, _offset: query.offset, _expand: EXPAND })}`), [meant, query.offset]);
  const views = useViews({ screen: 'auto_orders', query, names: NAMES, columns: COLUMNS, usual: USUAL, preset: PRESET });
  const [chosen, choose] = useState(new Set());
  const [action, act] = useState('');
  const [beginning, begin] = useState(false);
  // Whose they are, as far as their pages were seen.
  const names = useRef(new Map());
  for (const one of found.data?.auto_orders || []) names.current.set(one.auto_order_oid, name(of(one).billing));
  useEffect(() => choose(new Set()), [meant]);
  const more = query.more || MORE.some(([field]) => query[field]);
  const total = found.data?.metadata.result_set.total_records;
  return html`<${Page} title="Auto orders" lead=${total === undefined ? '' : views.any ? `${number(total)} found.` : `${count(total, 'standing instruction')} of your customers to order again.`} actions=${views.button}>
    <${Card}>
      ${views.tabs}
      <${Filters} fields=${more ? [...FIELDS, ...MORE] : FIELDS} query=${query} label="Auto orders" />
      ${!MORE.some(([field]) => query[field]) && html`<p><button class="plain" aria-expanded=${more ? 'true' : 'false'} onClick=${() => requery({ more: more ? '' : 1 })}>${more ? 'Fewer filters' : 'More filters'}</button></p>`}
      ${query.batch && html`<${Work} key=${query.batch} name=${query.batch} of=${query.of} names=${names.current} beginning=${beginning} />`}
      ${chosen.size > 0 && html`<${Chosen} chosen=${chosen} choose=${choose} act=${act} total=${total} asked=${asked} />`}
      <${Loaded} of=${found}>${(data) => html`
        <${Table} label="Auto orders" rows=${data.auto_orders} columns=${[...(mayAct() ? [boxes(data.auto_orders, chosen, choose)] : []), ...views.columns]} empty=${html`<${Empty} title="No auto order is found">
          Names and addresses are looked for as a whole, in the spelling of the order.<//>`} />
        <${Pager} set=${data.metadata.result_set} label="Pages of auto orders" />`}<//>
    <//>
    ${views.dialogs}
    ${action && html`<${Bulk} action=${action} oids=${[...chosen]} names=${names.current} begun=${(on, done) => { begin(on); if (done) choose(new Set()); }} close=${() => act('')} />`}
  <//>`;
}

// The column of boxes: each row's, and one for the page.
function boxes(rows, chosen, choose) {
  const oids = rows.map((row) => row.auto_order_oid);
  const all = oids.length > 0 && oids.every((oid) => chosen.has(oid));
  const put = (some, on) => { const next = new Set(chosen); for (const oid of some) { if (on) next.add(oid); else next.delete(oid); } choose(new Set([...next].slice(0, MOST))); };
  const box = (label, on, some) => html`<input type="checkbox" aria-label=${label} checked=${on} onChange=${(event) => put(some, event.target.checked)} />`;
  return [box('Choose all on this page', all, oids), (row) => box(`Choose auto order ${row.auto_order_oid}`, chosen.has(row.auto_order_oid), [row.auto_order_oid])];
}

function Chosen({ chosen, choose, act, total, asked }) {
  const most = Math.min(total || 0, MOST);
  const all = async () => {
    const oids = [];
    while (oids.length < most) {
      const { auto_orders: page } = await get(`${LIST}${text({ ...asked, _limit: OF_A_PAGE, _offset: oids.length })}`);
      oids.push(...page.map((one) => one.auto_order_oid));
      if (page.length < OF_A_PAGE) break;
    }
    choose(new Set(oids.slice(0, MOST)));
  };
  return html`<div class="row chosen" role="group" aria-label="What to do with those that are chosen"><strong role="status">${count(chosen.size, 'auto order')} chosen</strong>
    ${chosen.size < most && html`<${Do} kind="plain" act=${all}>${total > MOST ? `Choose the first ${number(MOST)} of ${number(total)}` : `Choose all ${number(total)} that match`}<//>`}
    <button class="plain" onClick=${() => choose(new Set())}>Choose none</button><${Buttons} choose=${act} /></div>`;
}
