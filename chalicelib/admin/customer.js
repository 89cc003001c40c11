// One customer: a profile in eleven tabs. Its fields are made from the API's own description of the noun.
import { html, useRef, useState } from './lib.js';
import { again, call, get, may, post } from './api.js';
import { count, day, moment, money, number, words } from './format.js';
import { go, link } from './router.js';
import { Rule, reveal } from './fields.js';
import { Dock, Theirs, useDraft } from './form.js';
import { schemas } from './schemas.js';
import { stage } from './orders.js';
import { Card, Dialog, Do, Empty, Loaded, Page, Summary, Table, Tag, problemsOf, toast, useLoad } from './ui.js';

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
const ABOUT = { billing: ADDRESS, shipping: ADDRESS, password: { widget: 'password' } };
// Lists that a merchant keeps of what a field may say, by the field.
const OFFERED = { qb_class: 'qb_classes', sales_rep_code: 'sales_rep_codes', terms: 'terms' };
const TITLES = { email: 'E-mail', birth_date: 'Date of birth', website_url: 'Website', qb_tax_exemption_reason_code: 'Tax exemption reason', quickbooks_online_customer_id: 'QuickBooks Online id', affiliate_oid: 'Affiliate', billing: 'Addresses', shipping: 'Addresses', pricing_tiers: 'Tiers', allow_3rd_party_billing: 'Allow third-party billing', suppress_buysafe: 'Suppress buySAFE', ups_account_number: 'UPS account', fedex_account_number: 'FedEx account', dhl_account_number: 'DHL account', dhl_duty_account_number: 'DHL duty account', automatic_merchant_notes: 'Notes on every order', software_entitlements: 'Licences',  qb_class: 'Class', qb_code: 'Code', tax_id: 'Reseller tax id', cc_emails: 'Copies', do_not_send_mail: 'Send no mail', allow_cod: 'Allow C.O.D.', auto_approve_cod: 'Approve C.O.D. by itself', edi: 'EDI' };

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
  const [removing, remove] = useState(false);
  const home = one?.billing?.[0];
  return html`<${Page} title=${one ? [home?.first_name, home?.last_name].filter(Boolean).join(' ') || one.email : 'Customer'}
      lead=${one && html`${one.email}. Signed up ${day(one.signup_dts)}${one.orders_summary?.order_count ? `, ${count(one.orders_summary.order_count, 'order')}, ${money(one.orders_summary.total)}` : ''}. <a href=${link('/auto_orders', { email: one.email })}>Auto orders</a>${may('gift_certificate_read') && html` · <a href=${link('/gift_certificates', { email: one.email })}>Gift certificates</a>`}`}
      actions=${one && may('customer_write') && html`<button onClick=${() => remove(true)}>Delete…</button>`}>
    <${Loaded} of=${nouns}>${({ defs, values }) => html`<${Loaded} of=${found}>${(read) => html`<${Editor} key=${base} base=${base} path=${path} read=${read} defs=${defs} values=${values} tab=${query.tab || 'general'} oid=${params.oid} />`}<//>`}<//>
    ${removing && html`<${Remove} base=${base} email=${one.email} close=${() => remove(false)} />`}
  <//>`;
}

function Editor({ base, path, read, defs, values, tab, oid }) {
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
  const [, title, parts, more] = TABS.find(([name]) => name === tab) || TABS[0];
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
    <nav class="tabs" aria-label="Tabs">${TABS.map(([name, text]) => html`<a href=${link(`/customers/${oid}`, { tab: name })} aria-current=${name === tab ? 'true' : undefined}>${text}${TABS.find(([one]) => one === name)[2].some(([, names]) => names.split(' ').some((field) => changed.includes(field))) ? ' •' : ''}</a>`)}</nav>
    <form onSubmit=${(event) => event.preventDefault()}>${parts.map(([part, names]) => html`<${Card} title=${part || title}>
      <div class="fields">${names.split(' ').filter((field) => fields[field]).map(form)}</div><//>`)}</form>
    ${More && html`<${More} base=${base} customer=${stands.said} />`}
    <${Dock} draft=${draft} />`;
}

function Remove({ base, email, close }) {
  const gone = async () => { await call('DELETE', base); toast('Deleted.'); close(); go('/customers'); };
  return html`<${Dialog} title=${`Delete ${email}?`} close=${close}><p>The profile goes with its addresses, cards and points. Orders stay. While an active auto order is his, it is refused.</p>
    <div class="row"><${Do} kind="danger" act=${gone}>Delete the profile<//><button onClick=${(event) => event.target.closest('dialog').close()}>Keep it</button></div><//>`;
}

// --- what is shown beside the fields -----------------------------------------------------------------------------

const Cards = ({ customer }) => html`<${Card} title="Cards"><${Table} label="Cards" rows=${customer.cards || []} empty=${html`<${Empty} title="No card is stored">One is stored when the customer pays and says so.<//>`} columns=${[
  ['Card', (row) => `${row.card_type} ending in ${(row.card_number || '').slice(-4)}`], ['Good until', (row) => `${row.card_expiration_month}/${row.card_expiration_year}`], ['Used', (row) => day(row.last_used_dts)],
]} /><//>`;

const Uploads = ({ customer }) => html`<${Card} title="Uploads"><${Table} label="Uploads" rows=${customer.attachments || []} empty=${html`<${Empty} title="There are no files">Certificates of resale and the like would stand here.<//>`} columns=${[
  ['File', (row) => row.file_name], ['What it is', (row) => row.description || ''], ['Put there', (row) => moment(row.upload_dts)],
]} /><//>`;

const OfOrders = (field, title, why) => function Part({ base }) {
  const found = useLoad(async () => (await get(`${base}?_expand=${field}`)).customer[field] || [], [base]);
  return html`<${Card} title=${title}><${Loaded} of=${found}>${(rows) => html`<${Table} label=${title} rows=${rows} empty=${html`<${Empty} title="None">${why}<//>`} columns=${[
    ['Order', (row) => html`<a href=${link(`/orders/${encodeURIComponent(row.order_id)}`)}>${row.order_id}</a>`], ['Placed', (row) => moment(row.creation_dts)], ['Stage', stage], ['Total', (row) => money(row.summary?.total), 'num'],
  ]} />`}<//><//>`;
};
const Orders = OfOrders('orders', 'Orders', 'Orders stand here once the customer has placed one.');
const Quotes = OfOrders('quotes', 'Quotes', 'Quote requests would stand here; this shop has taken none.');

function Activity({ base }) {
  const found = useLoad(async () => (await get(`${base}?_expand=activity`)).customer.activity || {}, [base]);
  return html`<${Card} title="Activity"><${Loaded} of=${found}>${(told) => html`
    ${(told.metrics || []).length > 0 && html`<dl>${told.metrics.map((row) => html`<dt>${words(row.name)}</dt><dd>${row.all_time_formatted ?? number(row.all_time)}</dd>`)}</dl>`}
    <${Table} label="Activity" rows=${told.activities || []} empty=${html`<${Empty} title="Nothing is known yet">What the customer does in the shop stands here.<//>`} columns=${[
      ['What', (row) => [row.action, row.subject].filter(Boolean).map(words).join(', ')], ['Kind', (row) => words(row.type)], ['Where', (row) => words(row.channel)],
    ]} />`}<//><//>`;
}

function Loyalty({ base }) {
  const path = `${base}/loyalty`;
  const found = useLoad(async () => {
    if (may('configuration_read') && !(await get('/configuration/loyalty_program')).loyalty_program.active) return { none: true };
    const [past, future] = await Promise.all([get(`${path}/past_ledger?_limit=25`), get(`${path}/future_ledger`)]);
    return { past: past.past_ledger, future: future.future_ledger };
  }, [path]);
  return html`<${Loaded} of=${found}>${(told) => (told.none ? html`<${Card} title="Loyalty"><${Empty} title="There is no active loyalty program">Its ledgers stand here once there is one.<//><//>` : html`
    <${Card} title="Past ledger"><${Table} label="Past ledger" rows=${told.past} empty=${html`<${Empty} title="No points yet">Paid orders earn them.<//>`} columns=${[
      ['When', (row) => moment(row.ledger_dts)], ['Type', (row) => row.type], ['What for', (row) => html`${row.description}${row.notes && html`<br /><span class="soft small">${row.notes}</span>`}`],
      ['Points', (row) => number(row.loyalty_points), 'num'], ['Balance', (row) => number(row.balance), 'num'],
      ['Order', (row) => row.order_id && html`<a href=${link(`/orders/${encodeURIComponent(row.order_id)}`)}>${row.order_id}</a>`], ['Item or reward', (row) => row.item_or_reward || ''],
    ]} /><//>
    <${Card} title="Future ledger"><${Table} label="Future ledger" rows=${told.future} empty=${html`<${Empty} title="Nothing waits">What vests, expires or is scheduled stands here.<//>`} columns=${[
      ['When', (row) => moment(row.ledger_dts)], ['Type', (row) => row.type], ['What for', (row) => row.description], ['Points', (row) => number(row.loyalty_points), 'num'], ['State', (row) => html`<${Tag} kind="plain">${row.status}<//>`],
    ]} /><//>
    ${may('customer_write') && html`<${Entry} path=${path} />`}`)}<//>`;
}

function Entry({ path }) {
  const form = useRef();
  const key = useRef(crypto.randomUUID());
  const [problems, complain] = useState([]);
  const [would, tell] = useState(null);
  const said = () => {
    const all = Object.fromEntries([...new FormData(form.current)].filter(([, value]) => value !== ''));
    return { ...all, ...(all.loyalty_points ? { loyalty_points: Number(all.loyalty_points) } : {}) };
  };
  const send = (dry) => async () => {
    if (!form.current.reportValidity()) return;
    try {
      const { data } = await call('POST', `${path}/ledger_entries${dry ? '?dry_run=true' : ''}`, said(), dry ? {} : { 'idempotency-key': key.current });
      complain([]);
      tell(data.loyalty_balance);
      if (dry) return;
      toast('Entered.');
      key.current = crypto.randomUUID();
      form.current.reset();
      tell(null);
      again();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  return html`<${Card} title="New ledger entry"><${Summary} problems=${problems} title="Nothing was entered" titleOf=${(pointer) => words(pointer.slice(1))} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()} onInput=${() => tell(null)}><div class="pair">
      <div class="field"><label for="entry-type">Type</label><select id="entry-type" name="type" class="wide"><option>Credit</option><option>Debit</option><option>Adjustment</option></select></div>
      <div class="field"><label for="entry-points">Points, with their sign</label><input id="entry-points" name="loyalty_points" type="number" step="1" required class="wide" /></div>
      <div class="field"><label for="entry-description">What for (required)</label><input id="entry-description" name="description" required class="wide" maxlength="200" /></div>
      <div class="field"><label for="entry-notes">Notes</label><input id="entry-notes" name="notes" class="wide" /></div></div></form>
    ${would && html`<p class="note good" role="status">The balance would be ${number(would.current_points)} points.</p>`}
    <div class="row"><${Do} act=${send(true)}>What would it be?<//><${Do} kind="main" act=${send(false)}>Enter it<//></div><//>`;
}
