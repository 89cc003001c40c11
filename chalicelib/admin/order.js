// One order, to read and to give back.
import { html, useState } from './lib.js';
import { get, may } from './api.js';
import { moment, money, name, number, words } from './format.js';
import { link } from './router.js';
import { Address } from './auto_order.js';
import { toItem } from './noun.js';
import { stage } from './orders.js';
import Refund from './refund.js';
import { Card, Loaded, Page, Table, Tag, useLoad } from './ui.js';

const EXPAND = 'item,payment,payment.transaction,summary,billing,gift_certificate,shipping,auto_order,current_stage_histories,coupon,checkout,internal,properties,tags,taxes';
const SUMS = [['subtotal', 'Subtotal'], ['subtotal_discount', 'Discount'], ['shipping_handling_total', 'Shipping'], ['shipping_handling_total_discount', 'Discount on shipping'], ['tax', 'Tax'], ['total', 'Total'], ['internal_gift_certificate_amount', 'Paid by store credit'], ['total_refunded', 'Given back']];

export default function Order({ params }) {
  const found = useLoad(async () => (await get(`/order/orders/${encodeURIComponent(params.order_id)}?_expand=${EXPAND}`)).order, [params.order_id]);
  const order = found.data;
  const [refunding, refund] = useState(false);
  const lead = order && html`${name(order.billing)}, ${order.billing?.email}. Placed on ${moment(order.creation_dts)}.`;
  return html`<${Page} title=${`Order ${params.order_id}`} lead=${lead} actions=${order && html`${stage(order)}${may('order_write') && html`<button onClick=${() => refund(true)}>Refund…</button>`}`}>
    <${Loaded} of=${found}>${(one) => html`
      ${one.auto_order?.auto_order_oid && html`<p class="note good">It belongs to <a href=${link(`/auto_orders/${one.auto_order.auto_order_oid}`)}>auto order ${one.auto_order.auto_order_oid}</a>, which is ${one.auto_order.status}.</p>`}
      <${Card} title="Items"><${Table} label="Items" rows=${one.items || []} columns=${[
        ['Item', (row) => html`<strong>${row.description}</strong><br /><span class="soft">${toItem(row.merchant_item_id)}</span>${(row.options || []).map((option) => html`<br /><span class="soft small">${option.label}: ${option.value}</span>`)}`],
        ['Schedule', (row) => row.auto_order_schedule || ''],
        ['Quantity', (row) => number(row.quantity), 'num'],
        ['Unit cost', (row) => money(row.cost), 'num'],
        ['Total', (row) => money(row.total_cost_with_discount), 'num'],
      ]} /><//>
      <div class="grid loose">
        <div>
          <${Card} title="Sums"><dl>${SUMS.filter(([field]) => one.summary?.[field]).map(([field, title]) => html`<dt>${title}</dt><dd class="num">${money(one.summary[field])}</dd>`)}</dl>
            ${(one.coupons || []).length > 0 && html`<p class="soft">Coupons: ${one.coupons.map((coupon, at) => html`${at > 0 && ', '}${may('coupon_read') ? html`<a href=${link('/coupons', { merchant_code_or_description: coupon.coupon_code })}>${coupon.coupon_code}</a>` : coupon.coupon_code}`)}</p>`}
            ${one.gift_certificate?.gift_certificate_code && html`<p class="soft">${money(one.gift_certificate.gift_certificate_amount)} of it paid by gift certificate ${may('gift_certificate_read') ? html`<a href=${link('/gift_certificates', { code: one.gift_certificate.gift_certificate_code })}>${one.gift_certificate.gift_certificate_code}</a>` : one.gift_certificate.gift_certificate_code}.</p>`}<//>
          <${Card} title="Addresses"><div class="grid"><${Address} title="Billing" of=${one.billing} /><${Address} title="Shipping" of=${one.shipping} /></div>
            ${one.shipping?.shipping_method && html`<p class="soft">Sent by ${one.shipping.shipping_method}${one.shipping.tracking_numbers?.length ? `, ${one.shipping.tracking_numbers.join(', ')}` : ''}.</p>`}<//>
        </div>
        <div>
          <${Card} title="Payment"><${Payment} of=${one.payment} /><//>
          <${Card} title="Stages"><ol class="timeline">${(one.current_stage_histories || []).map((row) => html`<li><p>${row.before_stage ? `${row.before_stage} → ` : ''}<strong>${row.after_stage}</strong></p><p class="soft small">${moment(row.transition_dts)}</p></li>`)}</ol><//>
          ${one.checkout?.comments && html`<${Card} title="Comments"><p>${one.checkout.comments}</p><//>`}
        </div>
      </div>`}<//>
    ${refunding && html`<${Refund} order=${order} close=${() => refund(false)} />`}
  <//>`;
}

function Payment({ of }) {
  if (!of) return html`<p class="soft">Nothing is known of it.</p>`;
  const card = of.credit_card;
  return html`<dl>
      <dt>Method</dt><dd>${of.payment_method}${card ? `, ${card.card_type} ending in ${(card.card_number || '').slice(-4)}` : ''}</dd>
      <dt>State</dt><dd><${Tag} kind=${of.payment_status === 'Processed' ? 'good' : 'warn'}>${of.payment_status}<//></dd>
      ${of.payment_dts && html`<dt>Paid</dt><dd>${moment(of.payment_dts)}</dd>`}
    </dl>
    ${(of.transactions || []).map((one) => html`<h3>${one.successful ? 'Approved' : 'Refused'} by ${one.transaction_gateway}, ${moment(one.transaction_timestamp)}</h3>
      <dl>${(one.details || []).map((row) => html`<dt>${words(row.name)}</dt><dd><code>${row.value}</code></dd>`)}</dl>`)}`;
}
