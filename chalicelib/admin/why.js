// Why: what would be done with an auto order, rule by rule. The API says codes and values; here they become words.
import { html } from './lib.js';
import { count, day, moment, money, number, words } from './format.js';
import { link, matched } from './router.js';
import { sections } from './sections.js';
import { Tag } from './ui.js';

const NOTICES = { receipt: 'receipt', easy_cancel: 'second mail with the cancel link', shipment: 'shipment notice', update_billing: '“update your billing” mail', disabled: '“update billing decline” mail' };
const kept = (p) => `${count(p.kept_out, 'payment account is', 'payment accounts are')} kept out`;
const when = (text) => (String(text).length > 10 ? moment(text) : day(text));

// How each rule reads: yes (it lets the rebill through), no (it stops it), or nothing (it only has a say), and words.
const SAID = {
  attempt_open: ['no', (p) => `A charge since ${moment(p.since)} has no outcome yet. It comes first.`],
  not_active: ['no', (p) => `The auto order is ${p.status}.`],
  leased: ['no', (p) => `A worker is on it until ${moment(p.until)}.`],
  retry_later: ['no', (p) => `After decline ${p.credit_card_attempt} the next attempt is on ${moment(p.next_attempt)}.`],
  next_gateway_later: ['no', (p) => `The next gateway is tried on ${moment(p.next_attempt)}.`],
  window_closed: ['no', (p) => `The processing window is closed; it opens on ${moment(p.opens)}.`],
  one_order_a_day: ['no', (p) => `One order was billed on this day; the next missed one comes on ${moment(p.again)}.`],
  catching_up: ['', () => 'Missed shipments are billed one a day, the oldest first.'],
  last_attempt: ['', (p) => `It would be attempt ${p.credit_card_attempt}, the last one: a decline disables the auto order.`],
  then_cancel_item: ['', () => 'After that the cancel item is charged.'],
  then_receivable: ['', () => 'After that the order goes to Accounts Receivable.'],
  item_paused: ['no', (p, of) => `${of(p)} is paused.`],
  item_unavailable: ['no', (p) => `The item ${p.item_id} is not sold any more.`],
  item_pushed_back: ['no', (p, of) => `${of(p)}: the catalogue has paused its rebilling; it is pushed back to ${day(p.to)}.`],
  item_ended: ['no', (p, of) => `${of(p)} has ended.`],
  item_not_due: ['no', (p, of) => `${of(p)} is due on ${day(p.next)}.`],
  item_waits: ['no', (p, of) => `${of(p)} waits${p.next ? ` until ${day(p.next)}` : ''}.`],
  item_due: ['yes', (p) => `${p.item_id} of ${day(p.day)} is due.`],
  missed_passed_over: ['', (p, of) => `${of(p)}: ${number(p.missed)} missed before it, passed over.`],
  kit_steps_passed_over: ['', () => 'Steps for kits only are passed over.'],
  run_lost_its_items: ['no', () => 'The run has lost all its items and is closed without a charge.'],
  preshipment_notice_due: ['', (p) => `First the notice of the shipment on ${day(p.day)} goes out.`],
  price_notice_due: ['', (p) => `First the notice of a higher price on ${day(p.day)} goes out.`],
  card_notice_due: ['', (p) => `First the customer is told that the card ends in ${p.month}.`],
  coupons_skipped: ['', () => 'Coupons of the original order do not hold.'],
  coupon_applied: ['', (p) => `Coupon ${p.coupon || p.code || ''} holds.`],
  coupon_expiration_ignored: ['', (p) => `Coupon ${p.coupon || p.code || ''} has expired and holds all the same.`],
  total: ['yes', (p) => `${money(p.total)} would be charged.`],
  nothing_to_charge: ['yes', () => 'It costs nothing, so no card is charged.'],
  no_card: ['no', () => 'There is no card to charge.'],
  card_refused: ['no', () => 'The bank refused this card for good; another is needed.'],
  echeck_prohibited: ['no', () => 'E-checks are not accepted for auto orders.'],
  card_type_restricted: ['no', () => 'Cards of this brand are not accepted for auto orders.'],
  card_expires: ['no', () => 'The card has expired, or expires sooner than the shop accepts.'],
  network_ceiling: ['no', (p) => `${p.card_type} allows no further attempt before ${moment(p.free)}.`],
  cancel_item_owed: ['', () => 'The cancel item is owed.'],
  cancel_item_minimums_met: ['', () => 'The customer has stayed long enough: no cancel item is owed.'],
  add_on: ['', (p) => `${p.item_id} comes along${p.remaining_orders ? ` with the next ${count(p.remaining_orders, 'order')}` : ''}.`],
  add_on_unavailable: ['', (p) => `${p.item_id} should come along, but is not sold any more.`],
  unit_cost_override: ['', (p, of) => `${of(p)} costs ${money(p.unit_cost)} by an override${p.remaining_orders ? ` for ${p.remaining_orders} more orders` : ''}.`],
  item_unit_cost: ['', (p, of) => `${of(p)} costs ${money(p.unit_cost)}.`],
  retry_discount: ['', (p, of) => `${of(p)} costs ${money(p.unit_cost)}, ${p.retry_days} days after the first decline.`],
  no_shipping_method: ['no', () => 'No shipping method takes this order there.'],
  no_shipping_methods_configured: ['', () => 'No shipping methods are configured: shipping costs nothing.'],
  nothing_ships: ['', () => 'Nothing of it is shipped.'],
  shipping_method_as_ordered: ['yes', (p) => `Shipped as ordered${p.method || p.shipping_method ? `, by ${p.method || p.shipping_method}` : ''}.`],
  shipping_method_cheapest: ['yes', (p) => `Shipped by the cheapest method${p.method || p.shipping_method ? `, ${p.method || p.shipping_method}` : ''}.`],
  no_tax_here: ['', () => 'No tax is due there.'],
  tax_rate_matched: ['', (p) => `${p.rate} % tax is due there.`],
  tax_exempt: ['', () => 'The customer pays no tax.'],
  marketing_left_out: ['', () => 'The order carries no consent to mailings.'],
  notice_kept_back: ['', (p) => `The ${NOTICES[p.notice] || p.notice} is not sent.`],
  customer_may_cancel_later: ['', (p) => `The customer may cancel by a link from ${day(p.from)}.`],
  coupon_without_effect: ['', (p) => `Coupon ${p.coupon} takes nothing off this order.`],
  coupon_unknown: ['', (p) => `There is no coupon ${p.coupon} any more.`],
  coupon_twice: ['', (p) => `Coupon ${p.coupon} counts once.`],
  coupon_not_started: ['', (p) => `Coupon ${p.coupon} does not hold yet.`],
  coupon_expired: ['', (p) => `Coupon ${p.coupon} has expired.`],
  coupon_skip_on_rebill: ['', (p) => `Coupon ${p.coupon} does not hold for rebills.`],
  coupon_used_up: ['', (p) => `The customer has used coupon ${p.coupon} already.`],
  coupon_exhausted: ['', (p) => `Coupon ${p.coupon} was used as often as it may be.`],
  coupon_unique_code: ['', (p) => `Coupon ${p.coupon} holds by its one-time codes alone.`],
  coupon_other_currency: ['', (p) => `Coupon ${p.coupon} is in another currency.`],
  coupon_not_combinable: ['', (p) => `Coupon ${p.coupon} does not go together with another one.`],
  coupon_not_for_customer: ['', (p) => `Coupon ${p.coupon}: this customer gets no coupons.`],
  line_discount: ['', (p) => `${p.percent} % are taken off ${p.item_id}.`],
  tier_discount: ['', (p) => `The pricing tier ${p.tier} takes ${p.percent} % off ${p.item_id}.`],
  tier_discount_not_with_coupons: ['', (p) => `The discount of the pricing tier ${p.tier} does not go together with a coupon.`],
  negative_line: ['no', (p) => `${p.item_id} costs less than nothing.`],
  store_credit: ['', (p) => `Store credit pays ${money(p.amount)} of it; ${money(p.rest)} is left.`],
  grandfather_pricing: ['', (p, of) => `${of(p)} costs ${money(p.unit_cost)}, for who bought it so long ago.`],
  step_unit_cost: ['', (p, of) => `${of(p)} costs ${money(p.unit_cost)} by its step.`],
  quantity_override: ['', (p, of) => `${of(p)}: ${number(p.arbitrary_quantity)} are sent.`],
  item_override: ['', (p, of) => `${p.arbitrary_item_id} is sent in the place of ${of(p)}.`],
  days_override: ['', (p, of) => `${of(p)} comes every ${number(p.arbitrary_schedule_days)} days.`],
  options: ['', (p, of) => `${of(p)} is sent with its options.`],
  properties: ['', (p, of) => `${of(p)} carries properties.`],
  affiliate_credited: ['', (p) => `Affiliate ${p.affiliate_oid} is credited.`],
  refund_refunds_others: ['', (p) => `A refund of ${p.item_id} refunds the customer’s other auto orders too.`],
  no_free_shipping: ['', () => 'This customer gets no free shipping.'],
  shipping_free_customer: ['', () => 'This customer pays no shipping.'],
  shipping_free_items: ['', (p) => `Shipping is free for ${p.items}.`],
  shipping_free_over: ['', (p) => `Shipping is free from ${money(p.subtotal)} on.`],
  gateway_after_decline: ['', (p) => `Charged by ${p.gateway}, which comes after a decline.`],
  gateway_as_before: ['', (p) => `Charged by ${p.gateway}, as the first order was.`],
  gateway_named: ['', (p) => `Charged by ${p.gateway}, which this auto order names.`],
  gateway_for_rebills: ['', (p) => `Charged by ${p.gateway}, which takes the rebills of the first order’s account.`],
  gateway_of_item: ['', (p) => `Charged by ${p.gateway}, which an item names.`],
  gateway_by_share: ['', (p) => `Charged by ${p.gateway}, by the shares of ${number(p.of)}.`],
  gateways_on_standby: ['', (p) => `No payment account is active: ${number(p.gateways)} on standby.`],
  no_gateway_active: ['', () => 'No payment account is active: any is tried.'],
  gateway_dates: ['', (p) => `${kept(p)} by their dates.`],
  gateway_card_types: ['', (p) => `${kept(p)} for this brand of card.`],
  gateway_themes: ['', (p) => `${kept(p)} for the theme of the first order.`],
  gateway_order_total: ['', (p) => `${kept(p)} by the order’s total.`],
  gateway_limits: ['', (p) => `${kept(p)} by their limits.`],
  gateway_currency: ['', (p) => `${kept(p)} by the currency.`],
  gateway_preferred: ['', (p) => `${kept(p)}: others are preferred for auto orders.`],
  all_gateways_kept_out: ['', () => 'Every payment account was kept out, so all of them are asked.'],
  higher_price_not_told: ['', (p, of) => `${of(p)} costs more than before (${money(p.paid)} → ${money(p.unit_cost)}), and it is too late to tell.`],
};
const unknown = (code) => ['', (p) => `${words(code)}${Object.keys(p).length ? `: ${Object.entries(p).map(([k, v]) => `${words(k).toLowerCase()} ${/_dts$|^\d{4}-\d\d-\d\d/.test(`${k}${v}`) ? when(v) : typeof v === 'object' ? JSON.stringify(v) : v}`).join(', ')}` : ''}`];

const VERDICTS = {
  go: (e) => `Yes: ${money(e.plan.total)} will be charged on ${moment(e.at)}.`,
  fail: () => 'No: a payment rule forbids it. It counts as a decline.',
  hold: () => 'No: it is held until somebody mends it.',
  resolve: () => 'Not yet: the outcome of an open charge comes first.',
  remind: (e) => `On ${moment(e.at)} a notice goes out before it.`,
  forewarn: (e) => `On ${moment(e.at)} the notice of a higher price goes out before it.`,
  card_expires: (e) => `On ${moment(e.at)} the customer is told that the card ends.`,
  postpone: () => 'No: it is pushed back a day.',
  close_run: () => 'No: the run is closed without a charge.',
  drop: () => 'No: the cancel item is not charged.',
  look: (e) => (e.look_again ? `No. It is looked at again on ${moment(e.look_again)}.` : 'No: nothing comes of it as it stands.'),
};
const MARKS = { yes: ['✓', 'yes'], no: ['✕', 'no'], '': ['·', 'note'] };

// Where a setting is changed, by the place that the API tells; nothing where the page has no screen for it.
function place({ setting, setting_of: of, params }, auto) {
  const position = (auto.items || []).findIndex((item) => (params?.auto_order_item_oid ? item.auto_order_item_oid === params.auto_order_item_oid : params?.item_id && [item.original_item_id, item.next_item_id].includes(params.item_id)));
  const item = auto.items?.[position]?.original_item_id || params?.item_id;
  const own = `/auto_orders/${auto.auto_order_oid}`;
  const [path, query] = {
    auto_order_item: position < 0 ? [own, { tab: 'items', field: setting }] : [own, { tab: 'items', field: `items/${position}/${setting}` }],
    auto_order: [own, { tab: { rotating_transaction_gateway_code: 'addresses', add_ons: 'items' }[setting] || 'ending', field: setting }],
    item: [item && `/items/${encodeURIComponent(item)}`],
    coupon: ['/coupons', { merchant_code: params?.coupon }],
    customer: ['/customers', { email: auto.original_order?.billing?.email }],
    pricing_tier: ['/configuration/pricing_tiers'],
  }[of] || [`/configuration/${of}`, { field: setting }];
  return path && sections.some((one) => matched(one.path, path)) ? link(path, query) : '';
}
const To = ({ reason, auto, fields, titleOf }) => {
  const to = reason.setting_of && place(reason, auto);
  const title = (reason.setting_of === 'auto_order_processing' && fields[reason.setting]?.title) || titleOf(reason.setting.split('.').pop());
  return to ? html`<a href=${to}>${title}</a>` : html`<span class="soft small">(${words(reason.setting_of || '').toLowerCase()}: ${title})</span>`;
};

// `items` by their oid, `fields` of the processing rules by their name, `auto` as it stands; `titleOf` its fields.
export function Why({ told, items, fields, auto, titleOf }) {
  const of = (params) => items[params.auto_order_item_oid] || (params.auto_order_item_oid ? `Item ${params.auto_order_item_oid}` : 'It');
  const stops = told.decision !== 'go';
  return html`
    <p class="verdict">${(VERDICTS[told.decision] || (() => words(told.decision)))(told)}</p>
    <ul class="why">${told.reasons.map((reason) => {
      const [kind, say] = SAID[reason.code] || unknown(reason.code);
      const [mark, title] = MARKS[kind === 'no' && !stops ? '' : kind];
      return html`<li class=${kind === 'no' && !stops ? '' : kind}><span class="mark" aria-label=${title} role="img">${mark}</span>
        <span>${say(reason.params || {}, of)} ${reason.setting && html`<${To} reason=${reason} auto=${auto} fields=${fields} titleOf=${titleOf} />`}</span></li>`;
    })}</ul>
    <details><summary>Every rule of Auto Order Processing, as it stands</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="Rules"><table>
        <thead><tr><th scope="col">Rule</th><th scope="col">Value</th><th scope="col">Had a say</th></tr></thead>
        <tbody>${told.settings.map((rule) => html`<tr><td><${Rule} name=${rule.name} title=${fields[rule.name]?.title || words(rule.name)} /></td>
          <td>${value(rule.value)}${!rule.is_set && html` <span class="soft">(default)</span>`}</td>
          <td>${rule.decided && html`<${Tag}>Yes<//>`}</td></tr>`)}</tbody>
      </table></div>
    </details>`;
}

const value = (said) => (said === true ? 'On' : said === false ? 'Off' : Array.isArray(said) ? said.map((one) => one.reason).join(', ') || 'none' : String(said));
const Rule = ({ name, title }) => html`<a href=${link('/configuration/auto_order_processing', { field: name })}>${title}</a>`;
