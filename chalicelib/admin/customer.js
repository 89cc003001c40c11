// One customer: a profile in eleven tabs. Its fields are made from the API's own description of the noun.
import { html, useState } from './lib.js';
import { call, get, may } from './api.js';
import { count, day, moment, money, number, shop, words } from './format.js';
import { go, link } from './router.js';
import { Rule, reveal } from './fields.js';
import { Dock, Theirs, useDraft } from './form.js';
import { schemas } from './schemas.js';
import { ACTIONS } from './customer_actions.js';
import { Loyalty } from './loyalty.js';
import { Uploads } from './uploads.js';
import { stage } from './orders.js';
import { Card, Dialog, Do, Empty, Loaded, Page, Summary, Table, Tag, toast, useLoad } from './ui.js';

// Tab, its parts of fields, and what else it shows of what was read.
const TABS = [
  ['general', 'General', [['', 'email password unapproved do_not_send_mail birth_date website_url fax referral_source business_notes'], ['Other addresses that are told', 'cc_emails'], ['Privacy', 'privacy'], ['Tags and properties', 'tags properties']]],
  ['billing', 'Billing', [['Address book', 'billing'], ['Checkout and payments', 'allow_3rd_party_billing allow_cod auto_approve_cod allow_purchase_order auto_approve_purchase_order allow_quote_request no_realtime_charge no_coupons minimum_subtotal minimum_item_count maximum_item_count terms suppress_buysafe'], ['Pricing tiers', 'pricing_tiers']], 'Cards'],
  ['shipping', 'Shipping', [['Address book', 'shipping'], ['Shipping options', 'allow_drop_shipping allow_selection_of_address_type exempt_shipping_handling_charge free_shipping free_shipping_minimum no_free_shipping ups_account_number fedex_account_number dhl_account_number dhl_duty_account_number automatic_merchant_notes']]],
  ['accounting', 'Accounting / Tracking', [['QuickBooks', 'qb_class qb_code qb_tax_exemption_reason_code quickbooks_online_customer_id'], ['Assignment', 'affiliate_oid sales_rep_code track_separately'], ['EDI', 'edi']], 'Loyalty'],
  ['orders', 'Orders', [], 'Orders'],
  ['quotes', 'Quotes', [], 'Quotes'],
  ['reviews', 'Reviews', [['Reviewer', 'reviewer']]],
  ['uploads', 'Uploads', [], 'Uploads'],
  ['taxes', 'Taxes', [['', 'tax_exempt tax_id'], ['Codes', 'tax_codes']]],
  ['software', 'Software', [['Entitlements', 'software_entitlements']]],
  ['activity', 'Activity', [], 'Activity'],
];
const EDITED = TABS.flatMap(([, , parts]) => parts.flatMap(([, fields]) => fields.split(' ')));
const EXPAND = 'attachments,billing,cards,cc_emails,edi,pricing_tiers,privacy,properties,reviewer,shipping,software_entitlements,tags,tax_codes,orders_summary,quotes_summary';
const ADDRESS = { parts: 'first_name last_name company title address1 address2 city state_region postal_code country_code day_phone evening_phone default_billing default_shipping tax_county'.split(' '), titles: { address1: 'Address', address2: 'Address, second line', state_region: 'State or region', country_code: 'Country', default_billing: 'The usual one', default_shipping: 'The usual one' } };
// What follows from reviews is nobody's to set.
const REVIEWER = { parts: ['nickname', 'location', 'expert', 'auto_approve'] };
const ABOUT = { billing: ADDRESS, shipping: ADDRESS, reviewer: REVIEWER, password: { widget: 'password' } };
// Lists that a merchant keeps of what a field may say, by the field.
const OFFERED = { qb_class: 'qb_classes', sales_rep_code: 'sales_rep_codes', terms: 'terms' };
const TITLES = { email: 'E-mail', birth_date: 'Date of birth', website_url: 'Website', qb_tax_exemption_reason_code: 'Tax exemption reason', quickbooks_online_customer_id: 'QuickBooks Online id', affiliate_oid: 'Affiliate', billing: 'Addresses', shipping: 'Addresses', pricing_tiers: 'Tiers', allow_3rd_party_billing: 'Allow third-party billing', suppress_buysafe: 'Suppress buySAFE', ups_account_number: 'UPS account', fedex_account_number: 'FedEx account', dhl_account_number: 'DHL account', dhl_duty_account_number: 'DHL duty account', automatic_merchant_notes: 'Notes on every order', software_entitlements: 'Licences',  qb_class: 'Class', qb_code: 'Code', tax_id: 'Reseller tax id', cc_emails: 'Copies', do_not_send_mail: 'Send no mail', allow_cod: 'Allow C.O.D.', auto_approve_cod: 'Approve C.O.D. by itself', edi: 'EDI' };

// How many there are of what a tab is of, as far as the API says it; else whether there is anything in it.
const COUNTS = {
  general: () => true,
  billing: (one) => (one.billing || []).length + (one.cards || []).length,
  shipping: (one) => (one.shipping || []).length,
  accounting: (one) => Boolean(one.loyalty?.ledger_entries?.length || Number(one.loyalty?.internal_gift_certificate_balance)),
  orders: (one) => one.orders_summary?.order_count,
  quotes: (one) => one.quotes_summary?.quote_count,
  reviews: (one) => one.reviewer?.reviews_contributed,
  uploads: (one) => (one.attachments || []).length,
  software: (one) => (one.software_entitlements || []).length,
  activity: (one) => (one.activity?.activities || []).length,
};
// What is meant where there is nothing, and no card of its own says so.
const WHY = {
  reviews: 'No review is known of this customer. What is said here would stand beside his reviews.',
  taxes: 'No exemption and no number of a reseller: the taxes of the shop apply.',
  software: 'No licence yet. One comes with an item that has one, or is added here.',
};
const fieldsOf = ([, , parts]) => parts.flatMap(([, names]) => names.split(' '));
// What takes reads of its own is not known at once: until then there may be something.
const nothing = (tab, customer, known) => !COUNTS[tab[0]]?.(customer) && (known || !['accounting', 'activity'].includes(tab[0])) && !filled(fieldsOf(tab).map((field) => customer[field]));
const filled = (value) => (value && typeof value === 'object' ? Object.values(value).some(filled) : value !== undefined && value !== false && value !== '');

export default function Customer({ params, query }) {
  const base = `/customer/customers/${params.oid}`;
  const path = `${base}?_expand=${EXPAND}`;
  const nouns = useLoad(async () => {
    const [defs, values] = await Promise.all([schemas(), get('/customer/editor_values')]);
    return { defs, values };
  }, []);
  const found = useLoad(async () => {
    const { data, etag } = await call('GET', path);
    return { said: data.customer, etag };
  }, [path]);
  const one = found.data?.said;
  // What takes reads of its own: the tabs tell of it, and may come without it.
  const around = useLoad(async () => (await get(`${base}?_expand=activity,loyalty`)).customer, [base]);
  const [action, act] = useState(null);
  const Act = action && ACTIONS[action].Dialog;
  const home = one?.billing?.[0];
  return html`<${Page} title=${one ? [home?.first_name, home?.last_name].filter(Boolean).join(' ') || one.email : 'Customer'}
      lead=${one && html`${one.email}. Signed up ${day(one.signup_dts)}${one.orders_summary?.order_count ? `, ${count(one.orders_summary.order_count, 'order')}, ${money(one.orders_summary.total)}` : ''}. <a href=${link('/auto_orders', { email: one.email })}>Auto orders</a>${may('gift_certificate_read') && html` · <a href=${link('/gift_certificates', { email: one.email })}>Gift certificates</a>`}`}
      actions=${one && Object.entries(ACTIONS).filter(([, { needs }]) => may(needs)).map(([name, { title }]) => html`<button onClick=${() => act(name)}>${title}…</button>`)}>
    <${Loaded} of=${nouns}>${({ defs, values }) => html`<${Loaded} of=${found}>${(read) => html`<${Editor} key=${base} base=${base} path=${path} read=${read} around=${around} heard=${found.reload} defs=${defs} values=${values} tab=${query.tab || 'general'} oid=${params.oid} />`}<//>`}<//>
    ${Act && html`<${Act} base=${base} customer=${one} close=${() => act(null)} />`}
  <//>`;
}

function Editor({ base, path, read, around, heard, defs, values, tab, oid }) {
  const draft = useDraft(path, 'customer', read, EDITED);
  const { said, stands, changed, problems, set } = draft;
  const fields = defs.Customer.properties;
  const titleOf = (pointer) => {
    const [, field, position, part] = pointer.split('/');
    const [, title] = TABS.find(([, , parts]) => parts.some(([, names]) => names.split(' ').includes(field))) || [];
    return [title, TITLES[field] || words(field), position && /^\d+$/.test(position) ? `${Number(position) + 1}` : position && words(position), part && words(part)].filter(Boolean).join(', ');
  };
  const show = (pointer) => {
    const field = pointer.split('/')[1];
    const home = TABS.find(([, , parts]) => parts.some(([, names]) => names.split(' ').includes(field)));
    if (home && home[0] !== tab) go(`/customers/${oid}`, { tab: home[0] });
    requestAnimationFrame(() => requestAnimationFrame(() => reveal(pointer)));
  };
  const open = TABS.find(([name]) => name === tab) || TABS[0];
  const [, title, parts, more] = open;
  const locked = !may('customer_write');
  const form = (field) => {
    const offered = values[OFFERED[field]];
    const of = {
      ...fields[field], title: TITLES[field] || words(field), 'x-ui': ABOUT[field] || {},
      ...(field === 'password' ? { description: 'Blank: it stays as it is.' } : {}),
      ...(offered?.length ? { enum: [...new Set([...offered, said[field]].filter(Boolean))] } : {}),
    };
    return html`<${Rule} key=${field} field=${field} of=${of} defs=${defs} value=${said[field]} was=${stands.said[field]} set=${set(field)} locked=${locked} problems=${problems} />`;
  };
  const More = { Cards, Loyalty, Orders, Quotes, Uploads, Activity }[more];
  return html`
    <${Summary} problems=${problems} title="Some fields are not valid" titleOf=${titleOf} show=${show} />
    <${Theirs} draft=${draft} titleOf=${titleOf} />
    <nav class="tabs" aria-label="Tabs">${TABS.map((of) => html`<${Tab} of=${of} here=${of[0] === tab} oid=${oid} customer=${{ ...around.data, ...stands.said }} known=${around.data} changed=${changed} />`)}</nav>
    ${WHY[tab] && nothing(open, stands.said) && html`<p class="soft">${WHY[tab]}</p>`}
    <form onSubmit=${(event) => event.preventDefault()}>${parts.map(([part, names]) => html`<${Card} title=${part || title}>
      <div class="fields">${names.split(' ').filter((field) => fields[field]).map(form)}</div><//>`)}</form>
    ${More && html`<${More} base=${base} customer=${read.said} etag=${read.etag} around=${around} defs=${defs} heard=${heard} />`}
    <${Dock} draft=${draft} />`;
}

// A tab with nothing in it is drawn grey, and says so to who does not see that.
function Tab({ of, here, oid, customer, known, changed }) {
  const [name, text] = of;
  const count = COUNTS[name]?.(customer);
  const none = nothing(of, customer, known);
  return html`<a href=${link(`/customers/${oid}`, { tab: name })} class=${none ? 'none' : ''} aria-current=${here ? 'true' : undefined}>${text}${count > 0 && count !== true ? html` <span class="soft small">${number(count)}</span>` : ''}${none ? html`<span class="hidden">, nothing yet</span>` : ''}${fieldsOf(of).some((field) => changed.includes(field)) ? ' •' : ''}</a>`;
}

// --- what is shown beside the fields -----------------------------------------------------------------------------

function Cards({ base, customer, etag, heard }) {
  const [going, ask] = useState(null);
  const name = (row) => `${row.card_type} ending in ${(row.card_number || '').slice(-4)}`;
  const forget = async () => {
    await call('PUT', base, { cards: customer.cards.filter((one) => one !== going) }, { 'if-match': etag });
    toast('Forgotten.');
    ask(null);
    heard();
  };
  return html`<${Card} title="Cards"><${Table} label="Cards" rows=${customer.cards || []} empty=${html`<${Empty} title="No card is stored">One is stored when the customer pays and says so.<//>`} columns=${[
    ['Card', name], ['Good until', (row) => `${row.card_expiration_month}/${row.card_expiration_year}`], ['Used', (row) => day(row.last_used_dts)],
    ...(may('customer_write') ? [['Do', (row) => html`<button onClick=${() => ask(row)}>Forget…<span class="hidden"> ${name(row)}</span></button>`]] : []),
  ]} />${going && html`<${Dialog} title="Forget this card?" close=${() => ask(null)}><p>${name(going)} is no longer offered to the customer. Auto orders keep the card that they have.</p>
    <div class="row"><${Do} kind="danger" act=${forget}>Forget the card<//><button onClick=${(event) => event.target.closest('dialog').close()}>Keep it</button></div><//>`}<//>`;
}

const OfOrders = (field, title, why) => function Part({ base }) {
  const found = useLoad(async () => (await get(`${base}?_expand=${field}`)).customer[field] || [], [base]);
  return html`<${Card} title=${title}><${Loaded} of=${found}>${(rows) => html`<${Table} label=${title} rows=${rows} empty=${html`<${Empty} title="None">${why}<//>`} columns=${[
    ['Order', (row) => html`<a href=${link(`/orders/${encodeURIComponent(row.order_id)}`)}>${row.order_id}</a>`], ['Placed', (row) => moment(row.creation_dts)], ['Stage', stage], ['Total', (row) => money(row.summary?.total), 'num'],
  ]} />`}<//><//>`;
};
const Orders = OfOrders('orders', 'Orders', 'Orders stand here once the customer has placed one.');
const Quotes = OfOrders('quotes', 'Quotes', 'Quote requests would stand here; this shop has taken none.');

// An activity says when in milliseconds: shown by the shop's own clock, and with the zone where the shop has said none.
const when = (ts) => { const zone = shop.value.time_zone; return new Intl.DateTimeFormat('en-US', { dateStyle: 'medium', timeStyle: zone ? 'short' : 'long', hourCycle: 'h23', timeZone: zone || 'UTC' }).format(ts); };
const PLACES = { order: '/orders', auto_order: '/auto_orders' };
const about = ({ type, subject }) => (PLACES[type] ? html`<a href=${link(`${PLACES[type]}/${encodeURIComponent(subject)}`)}>${subject}</a>` : subject);

function Activity({ around }) {
  return html`<${Card} title="Activity"><${Loaded} of=${around}>${({ activity: told = {} }) => html`
    ${(told.metrics || []).length > 0 && html`<dl>${told.metrics.map((row) => html`<dt>${words(row.name)}</dt><dd>${row.all_time_formatted ?? number(row.all_time)}</dd>`)}</dl>`}
    <${Table} label="Activity" rows=${told.activities || []} empty=${html`<${Empty} title="Nothing is known yet">What the customer does in the shop stands here.<//>`} columns=${[
      ['When', (row) => row.ts && when(row.ts)], ['What', (row) => html`${words(row.action)}${row.subject ? html`, ${about(row)}` : ''}`], ['Kind', (row) => words(row.type)], ['Where', (row) => words(row.channel)],
    ]} />`}<//><//>`;
}
