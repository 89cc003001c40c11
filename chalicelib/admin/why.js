// Why: what would be done with an auto order, rule by rule. The API says codes and values; here they become words.
import { html } from './lib.js';
import { count, day, moment, money, number, words } from './format.js';
import { link } from './router.js';
import { sections } from './sections.js';
import { Tag } from './ui.js';

const NOTICES = { receipt: 'receipt', easy_cancel: 'second mail with the cancel link', shipment: 'shipment notice', update_billing: '“update your billing” mail', disabled: '“update billing decline” mail' };
const when = (text) => (String(text).length > 10 ? moment(text) : day(text));

const kept = (why) => ['', (p) => `${count(p.kept_out, 'gateway is', 'gateways are')} left out ${why}.`];
// How each rule reads: yes (it lets the rebill through), no (it stops it), or nothing (it only has a say), and words.
const SAID = {
  attempt_open: ['no', (p) => `A charge since ${moment(p.since)} has no outcome yet. It comes first.`],
  not_active: ['no', (p) => `The auto order is ${p.status}.`],
  leased: ['no', (p) => `A worker is on it until ${moment(p.until)}.`],
  retry_later: ['no', (p) => `After decline ${p.credit_card_attempt} the next attempt is on ${moment(p.next_attempt)}.`],
  next_gateway_later: ['no', (p) => `The next gateway is tried on ${moment(p.next_attempt)}.`],
  gateway_as_before: ['', (p) => `Charged at ${p.gateway}, as the original order was.`],
  gateway_named: ['', (p) => `Charged at ${p.gateway}, which the auto order names.`],
  gateway_for_rebills: ['', (p) => `Charged at ${p.gateway}, where rebills of what was bought there go.`],
  gateway_of_item: ['', (p) => `Charged at ${p.gateway}, which the item names.`],
  gateway_after_decline: ['', (p) => `After the decline ${p.gateway} is tried.`],
  gateway_by_share: ['', (p) => `Charged at ${p.gateway}${p.of > 1 ? `, by its share of ${p.of} gateways` : ''}.`],
  gateways_on_standby: ['', () => 'No gateway is active: those on standby take the charge.'],
  no_gateway_active: ['', () => 'No gateway is active or on standby: any may take the charge.'],
  all_gateways_kept_out: ['', () => 'Every gateway is kept out by a rule, so all of them count again.'],
  gateway_dates: kept('by their dates and days'), gateway_card_types: kept('by the type of the card'), gateway_themes: kept('by the storefront'),
  gateway_order_total: kept('by the total of the order'), gateway_limits: kept('by their limits'), gateway_currency: kept('by the currency'), gateway_preferred: kept('because others are preferred for auto orders'),
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
  add_on: ['', (p) => `${p.item_id} comes along${p.remaining_orders ? `, with ${p.remaining_orders} more` : ''}.`],
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

// `items` by their oid, `fields` of the processing rules by their name.
export function Why({ told, items, fields }) {
  const of = (params) => items[params.auto_order_item_oid] || (params.auto_order_item_oid ? `Item ${params.auto_order_item_oid}` : 'It');
  const stops = told.decision !== 'go';
  return html`
    <p class="verdict">${(VERDICTS[told.decision] || (() => words(told.decision)))(told)}</p>
    <ul class="why">${told.reasons.map((reason) => {
      const [kind, say] = SAID[reason.code] || unknown(reason.code);
      const [mark, title] = MARKS[kind === 'no' && !stops ? '' : kind];
      return html`<li class=${kind === 'no' && !stops ? '' : kind}><span class="mark" aria-label=${title} role="img">${mark}</span>
        <span>${say(reason.params || {}, of)} ${reason.setting in fields ? html`<${Rule} name=${reason.setting} title=${fields[reason.setting].title} />` : html`<${Section} name=${ELSEWHERE[reason.setting]} />`}</span></li>`;
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

// Settings that decide and stand in a section of their own.
const GATEWAYS = 'rotating_transaction_gateways';
const ELSEWHERE = {
  shipping_methods: 'shipping_methods', free_over_amount: 'shipping_methods', taxes: 'taxes',
  ...Object.fromEntries([GATEWAYS, 'status', 'start_date', 'credit_cards', 'themes', 'order_total', 'maximum_daily', 'cascade_code', 'rebill_auto_orders_against_this_rtg_code'].map((name) => [name, GATEWAYS])),
};
function Section({ name }) {
  const section = sections.find((one) => name && one.settings === name);
  return section && html`<a href=${link(section.path)}>${section.title}</a>`;
}
