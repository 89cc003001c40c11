// The list of orders, to read.
import { html } from './lib.js';
import { get, query as text } from './api.js';
import { moment, money, name } from './format.js';
import { link } from './router.js';
import { Card, Empty, Filters, Loaded, PAGE, Page, Pager, Table, Tag, useLoad } from './ui.js';

const STAGES = ['Accounts Receivable', 'Pending Clearance', 'Fraud Review', 'Rejected', 'Shipping Department', 'Completed Order'];
const FIELDS = [
  ['order_id', 'Order'],
  ['email', 'E-mail', null, 'email'],
  ['last_name', 'Last name'],
  ['item_id', 'Item'],
  ['current_stage', 'Stage', STAGES],
  ['creation_date_begin', 'Placed from', null, 'date'],
  ['creation_date_end', 'until', null, 'date'],
];
const KINDS = { Rejected: 'bad', 'Accounts Receivable': 'warn', 'Pending Clearance': 'warn', 'Completed Order': 'good', 'Shipping Department': 'good' };
export const stage = (one) => html`<${Tag} kind=${KINDS[one.current_stage] || ''}>${one.current_stage}<//>`;

export default function Orders({ query }) {
  const asked = Object.fromEntries(FIELDS.map(([field]) => [field, query[field]]));
  const found = useLoad(() => get(`/order/orders${text({ ...asked, _sort: '-creation_dts', _limit: PAGE, _offset: query.offset, _expand: 'billing,summary,item' })}`), [JSON.stringify(query)]);
  return html`<${Page} title="Orders" lead="First orders and rebills, the newest first.">
    <${Card}>
      <${Filters} fields=${FIELDS} query=${query} label="Orders" />
      <${Loaded} of=${found}>${(data) => html`
        <${Table} label="Orders" rows=${data.orders} empty=${html`<${Empty} title="No order is found">Names and addresses are looked for as a whole.<//>`} columns=${[
          ['Order', (one) => html`<a href=${link(`/orders/${encodeURIComponent(one.order_id)}`)}>${one.order_id}</a>`],
          ['Placed', (one) => moment(one.creation_dts)],
          ['Customer', (one) => html`${name(one.billing)}<br /><span class="soft">${one.billing?.email}</span>`],
          ['Items', (one) => (one.items || []).map((line) => line.merchant_item_id).join(', ')],
          ['Stage', stage],
          ['Total', (one) => money(one.summary?.total), 'num'],
        ]} />
        <${Pager} set=${data.metadata.result_set} label="Pages of orders" />`}<//>
    <//>
  <//>`;
}
