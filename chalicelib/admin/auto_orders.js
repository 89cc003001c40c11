// The list of auto orders. What is asked for stands in the address, so that it can be kept and sent to somebody.
import { html } from './lib.js';
import { get, query as text } from './api.js';
import { day, name, words } from './format.js';
import { link } from './router.js';
import { Card, Empty, Filters, Loaded, PAGE, Page, Pager, Table, Tag, useLoad } from './ui.js';

const EXPAND = 'items,original_order,original_order.billing';
const VIEWS = [['', 'All'], ['active', 'Active'], ['disabled', 'Disabled'], ['canceled', 'Canceled'], ['merged', 'Merged']];
const FIELDS = [
  ['email', 'E-mail', null, 'email'],
  ['last_name', 'Last name'],
  ['original_item_id', 'Item'],
  ['next_shipment_date_begin', 'Next shipment from', null, 'date'],
  ['next_shipment_date_end', 'until', null, 'date'],
  ['_sort', 'In order of', [['next_shipment_dts', 'Next shipment'], ['-creation_dts', 'Newest first'], ['creation_dts', 'Oldest first']], null, 'Their numbers'],
];
const CRITERIA = ['status', ...FIELDS.map(([field]) => field)];

export const status = (one) => {
  const kind = { active: 'good', canceled: 'plain', disabled: 'bad', merged: 'plain' }[one.status];
  return html`<${Tag} kind=${kind}>${one.status === 'active' ? 'Active' : words(one.status)}<//>`;
};

export default function AutoOrders({ query }) {
  const asked = Object.fromEntries(CRITERIA.map((field) => [field, query[field]]));
  const found = useLoad(() => get(`/auto_order/auto_orders${text({ ...asked, _limit: PAGE, _offset: query.offset, _expand: EXPAND })}`), [JSON.stringify(query)]);
  return html`<${Page} title="Auto orders" lead="Standing instructions of your customers to order again.">
    <${Card}>
      <nav class="tabs" aria-label="Views">${VIEWS.map(([value, title]) => html`<a href=${link('/auto_orders', { ...query, status: value, offset: '' })}
        aria-current=${(query.status || '') === value ? 'true' : undefined}>${title}</a>`)}</nav>
      <${Filters} fields=${FIELDS} query=${query} label="Auto orders" />
      <${Loaded} of=${found}>${(data) => html`
        <${Table} label="Auto orders" rows=${data.auto_orders} columns=${COLUMNS} empty=${html`<${Empty} title="No auto order is found">
          Names and addresses are looked for as a whole, in the spelling of the order.<//>`} />
        <${Pager} set=${data.metadata.result_set} label="Pages of auto orders" />`}<//>
    <//>
  <//>`;
}

const next = (one) => (one.items || []).map((item) => item.next_shipment_dts).filter(Boolean).sort()[0];
const COLUMNS = [
  ['Auto order', (one) => html`<a href=${link(`/auto_orders/${one.auto_order_oid}`)}>${one.auto_order_oid}</a>`],
  ['Customer', (one) => html`${name(one.original_order?.billing)}<br /><span class="soft">${one.original_order?.billing?.email}</span>`],
  ['Status', (one) => html`${status(one)}${one.failure_reason && html`<br /><span class="soft small">${one.failure_reason}</span>`}`],
  ['Items', (one) => (one.items || []).map((item) => item.original_item_id).join(', ')],
  ['Next shipment', (one) => (one.status === 'active' && next(one) ? day(next(one)) : html`<span class="soft">none</span>`)],
  ['Attempts', (one) => one.credit_card_attempt || '', 'num'],
];
