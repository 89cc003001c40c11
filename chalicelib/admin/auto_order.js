// One auto order: how it stands, why it will be billed or not, what comes, what was, and all of it that can be changed.
import { html, useEffect, useState } from './lib.js';
import { again, call, get, may, post } from './api.js';
import { Actions, Dialogs } from './auto_order_dialogs.js';
import { Field, Items, Overview, kept, titleOf as titleOfItem, worded } from './auto_order_items.js';
import { status } from './auto_orders.js';
import { Work } from './bulk.js';
import { count, day, moment, money, name, number, words } from './format.js';
import { reveal } from './fields.js';
import { Dock, Theirs, useDraft } from './form.js';
import { go, link } from './router.js';
import { schemas } from './schemas.js';
import { Timeline } from './timeline.js';
import { Why } from './why.js';
import { Card, Copy, Do, Empty, Loaded, Page, Summary, Table, toast, useLoad } from './ui.js';

const EXPAND = ['items', 'items.future_schedules', 'add_ons', 'properties', 'original_order', ...['billing', 'shipping', 'payment', 'item'].map((part) => `original_order.${part}`)].join(',');
const PLAIN = ['cancel_after_next_x_orders', 'override_affiliate_id', 'rotating_transaction_gateway_code', 'next_attempt', 'properties'];
const EDITED = ['items', 'add_ons', 'original_order', ...PLAIN];
const ADDRESS = 'first_name last_name company title address1 address2 city state_region postal_code country_code day_phone evening_phone'.split(' ');
const BLOCKS = { billing: ['Billing address', [...ADDRESS, 'cell_phone', 'email', 'cc_emails']], shipping: ['Shipping address', [...ADDRESS, 'special_instructions']] };
const TABS = [['', 'Overview'], ['items', 'Items', ['items', 'add_ons']], ['addresses', 'Payment and addresses', ['original_order', 'next_attempt', 'rotating_transaction_gateway_code']], ['ending', 'Ending and affiliate', ['cancel_after_next_x_orders', 'override_affiliate_id', 'properties']]];
const TITLES = {
  cancel_after_next_x_orders: ['Cancel after', 'It is canceled by itself once so many more orders are paid. Blank: it goes on.'], override_affiliate_id: ['Override affiliate', 'Who is credited for its rebills. Blank: whoever sent the first order.'],
  rotating_transaction_gateway_code: ['Payment account', 'By which account its rebills are charged, where that is not left to the rules. Blank: by the rules.'],
  next_attempt: ['Next attempt', 'When the charge that was declined is tried again.'], properties: ['Properties', ''],
  address1: ['Address', ''], address2: ['Address, second line', ''], state_region: ['State or region', ''], country_code: ['Country', 'Two letters: US.'], cc_emails: ['Copies go to', ''], email: ['E-mail', ''],
};
const titled = (field) => TITLES[field]?.[0] || titleOfItem(field);
const BACK = { override_affiliate_id: 0, cancel_after_next_x_orders: 0, rotating_transaction_gateway_code: '', properties: [], add_ons: [], items: [] };

// What of the API's answer is edited here.
const part = (of, fields) => Object.fromEntries(fields.filter((field) => of?.[field] !== undefined).map((field) => [field, of[field]]));
const shape = (auto) => ({
  ...part(auto, ['add_ons', ...PLAIN]), items: (auto.items || []).map(kept),
  original_order: Object.fromEntries(Object.entries(BLOCKS).map(([block, [, fields]]) => [block, part(auto.original_order?.[block], fields)])),
});
// What is taken back is said to be nothing, in the way that the API takes it.
function sent(changes, stands) {
  const body = Object.fromEntries(Object.entries(changes).map(([field, said]) => [field, said ?? BACK[field] ?? null]));
  if (body.original_order) {
    body.original_order = Object.fromEntries(Object.keys(BLOCKS).map((block) => {
      const [said, stood] = [body.original_order[block] || {}, stands.original_order[block] || {}];
      return [block, { ...Object.fromEntries(Object.entries(stood).filter(([field]) => said[field] === undefined).map(([field, was]) => [field, Array.isArray(was) ? [] : ''])), ...said }];
    }));
  }
  return body;
}

export default function AutoOrder({ params, query }) {
  const base = `/auto_order/auto_orders/${params.oid}`;
  const path = `${base}?_expand=${EXPAND}`;
  const one = useLoad(async () => {
    const { data, etag } = await call('GET', path);
    return { auto: { ...data.auto_order, etag }, said: shape(data.auto_order), etag };
  }, [path]);
  const nouns = useLoad(async () => worded(await schemas(), TITLES), []);
  const next = useLoad(async () => (await get(`${base}/next_orders`)).next_orders, [params.oid]);
  const [open, show] = useState('');
  const auto = one.data?.auto;
  const billing = auto?.original_order?.billing;
  const lead = auto && html`${name(billing)}, <a href=${link('/customers', { email: billing?.email })}>${billing?.email}</a>. From order <a href=${link(`/orders/${encodeURIComponent(auto.original_order_id)}`)}>${auto.original_order_id}</a>. Code ${auto.auto_order_code}.`;
  return html`<${Page} title=${`Auto order ${params.oid}`} lead=${lead} actions=${auto && html`${status(auto)}${may('auto_order_write') && html`<${Actions} auto=${auto} path=${base} show=${show} />`}`}>
    ${query.batch && html`<${Work} key=${query.batch} name=${query.batch} of=${query.of} />`}
    <${Loaded} of=${one}>${(read) => html`<${Standing} auto=${read.auto} />
      <${Loaded} of=${nouns}>${(defs) => html`<${Editor} key=${base} base=${base} path=${path} read=${read} defs=${defs} next=${next} tab=${query.tab || ''} field=${query.field} oid=${params.oid} />`}<//>
      <${Dialogs} open=${open} auto=${read.auto} path=${base} next=${next.data} close=${() => show('')} />`}<//>
  <//>`;
}

// The items of an auto order by their oids, as people call them.
function called(auto) {
  const said = Object.fromEntries((auto.original_order?.items || []).map((line) => [line.merchant_item_id, line.description]));
  return Object.fromEntries((auto.items || []).map((item) => [item.auto_order_item_oid, said[item.original_item_id] || item.original_item_id]));
}

function Standing({ auto }) {
  return html`
    ${auto.failure_reason && html`<p class="note bad">The last charge was declined: ${auto.failure_reason}</p>`}
    ${auto.canceled_dts && html`<p class="note">Canceled on ${moment(auto.canceled_dts)}${auto.canceled_by_user ? ` by ${auto.canceled_by_user}` : ''}${auto.cancel_reason ? `: ${auto.cancel_reason}` : ''}${auto.cancel_upgrade ? ' (an upgrade)' : auto.cancel_downgrade ? ' (a downgrade)' : ''}.</p>`}
    ${auto.disabled_dts && html`<p class="note bad">Disabled on ${moment(auto.disabled_dts)}.</p>`}
    ${auto.completed && html`<p class="note good">It has run to its end.</p>`}
    ${auto.merged_into_auto_order_oid && html`<p class="note">Merged into <a href=${link(`/auto_orders/${auto.merged_into_auto_order_oid}`)}>auto order ${auto.merged_into_auto_order_oid}</a>${auto.merged_dts ? ` on ${moment(auto.merged_dts)}` : ''}.</p>`}
    ${auto.cancel_after_next_x_orders > 0 && html`<p class="note">It ends after ${count(auto.cancel_after_next_x_orders, 'more order')}.</p>`}`;
}

function Editor({ base, path, read, defs, next, tab, field, oid }) {
  const draft = useDraft(path, 'auto_order', read, EDITED, { shape, sent, after: again });
  const { auto } = read;
  const { said, stands, changed, problems, set } = draft;
  const names = called(auto);
  const sold = useLoad(async () => (may('item_read') && tab === 'items' ? (await get('/item/items?_limit=200')).items : []), [tab === 'items']);
  const locked = !may('auto_order_write') || auto.status === 'merged';
  const offset = auto.original_order?.creation_dts;
  const titleOf = (pointer) => {
    const [, top, at, ...rest] = pointer.split('/');
    const title = (one) => (/^\d+$/.test(one) ? `${Number(one) + 1}` : titled(one));
    if (top === 'items') return at === undefined ? 'Items' : [names[said.items[at]?.auto_order_item_oid] || 'A new item', ...rest.map(title)].join(', ');
    if (top === 'original_order') return at === undefined ? 'Addresses' : [BLOCKS[at]?.[0] || words(at), ...rest.map(title)].join(', ');
    return [top, at, ...rest].filter(Boolean).map(title).join(', ');
  };
  const show = (pointer) => {
    const home = TABS.find(([, , fields]) => fields?.includes(pointer.split('/')[1]));
    if (home && home[0] !== tab) go(`/auto_orders/${oid}`, { tab: home[0] });
    reveal(pointer);
  };
  useEffect(() => { if (field) reveal(`/${field}`); }, [field, tab]);
  const plain = (one) => html`<${Field} key=${one} pointer=${`/${one}`} of=${defs.AutoOrder.properties[one]} defs=${defs} value=${said[one]} was=${stands.said[one]} set=${set(one)} problems=${problems} locked=${locked} ui=${{ offset }} />`;
  const address = (block) => {
    const [title, fields] = BLOCKS[block];
    const mine = said.original_order[block] || {};
    const put = (one) => (value) => { const after = { ...mine }; if (value === undefined) delete after[one]; else after[one] = value; set('original_order')({ ...said.original_order, [block]: after }); };
    const schema = defs[block === 'billing' ? 'OrderBilling' : 'OrderShipping'].properties;
    return html`<${Card} title=${title}><p class="soft">${block === 'billing' ? 'It is the address of the original order too, and of every rebill to come.' : 'Where the country is blank, it is sent to the billing address.'}</p><div class="fields">${fields.filter((one) => schema[one]).map((one) => html`<${Field} key=${one} pointer=${`/original_order/${block}/${one}`} of=${schema[one]} defs=${defs}
      value=${mine[one]} was=${stands.said.original_order[block]?.[one]} set=${put(one)} problems=${problems} locked=${locked} />`)}</div><//>`;
  };
  return html`
    <${Summary} problems=${problems} title="Nothing was saved" titleOf=${titleOf} show=${show} />
    <${Theirs} draft=${draft} titleOf=${titleOf} />
    <nav class="tabs" aria-label="Tabs">${TABS.map(([one, text, fields]) => html`<a href=${link(`/auto_orders/${oid}`, { tab: one })} aria-current=${one === tab ? 'true' : undefined}>${text}${fields?.some((name) => changed.includes(name)) ? ' •' : ''}</a>`)}</nav>
    ${tab === '' && html`<${AsItStands} auto=${auto} base=${base} names=${names} next=${next} oid=${oid} />`}
    <form onSubmit=${(event) => event.preventDefault()}>
      ${tab === 'items' && html`<${Items} draft=${draft} whole=${auto} names=${names} defs=${defs} locked=${locked} offset=${offset} sold=${sold.data} />`}
      ${tab === 'addresses' && html`<${Card} title="Charges"><div class="fields">${auto.next_attempt && plain('next_attempt')}${plain('rotating_transaction_gateway_code')}</div><//>${address('billing')}${address('shipping')}`}
      ${tab === 'ending' && html`<${Card} title="Ending and affiliate"><div class="fields">${plain('cancel_after_next_x_orders')}${plain('override_affiliate_id')}</div><//><${Card} title="For programs">${plain('properties')}<//>`}
    </form>
    <${Dock} draft=${draft} />`;
}

// --- as it stands ------------------------------------------------------------------------------------------------

function AsItStands({ auto, base, names, next, oid }) {
  const why = useLoad(async () => (await get(`${base}/explain?at=next_run`)).explanation, [base]);
  const mails = useLoad(async () => (await get(`${base}/emails`)).emails, [base]);
  const past = useLoad(() => get(`${base}/timeline?_limit=20`), [base]);
  const rules = useLoad(async () => (may('configuration_read') ? (await get('/configuration/auto_order_processing/schema')).schema.properties : {}), []);
  const to = (tab) => may('auto_order_write') && html`<a class="button" href=${link(`/auto_orders/${oid}`, { tab })}>Change</a>`;
  return html`
    <${Card} title=${why.data ? `Will it bill on ${day(why.data.at)}?` : 'Will it bill?'}>
      <${Loaded} of=${why}>${(told) => html`<${Why} told=${told} items=${names} fields=${rules.data || {}} auto=${auto} titleOf=${titled} />`}<//>
    <//>
    <${Card} title="Items" actions=${to('items')}><${Overview} auto=${auto} names=${names} /><//>
    <div class="grid loose">
      <div>
        <${Card} title="Next orders"><${Loaded} of=${next}>${(told) => html`<${Next} told=${told} />`}<//><//>
        <${Card} title="Payment" actions=${auto.next_attempt && to('addresses')}><${Payment} auto=${auto} path=${base} /><//>
        <${Card} title="Addresses" actions=${to('addresses')}><div class="grid"><${Address} title="Billing" of=${auto.original_order?.billing} /><${Address} title="Shipping" of=${auto.original_order?.shipping} /></div><//>
        <${Card} title="E-mails"><${Loaded} of=${mails}>${(rows) => html`<${Table} label="E-mails" rows=${rows} empty=${html`<p class="soft">None yet.</p>`} columns=${[
          ['When', (row) => moment(row.send_dts)], ['Subject', (row) => html`${row.subject || '(not written)'}${row.skipped && html`<br /><span class="soft small">Not sent: ${row.skip_reason}</span>`}`], ['To', (row) => row.email],
        ]} />`}<//><//>
        <${Card} title="Ending and affiliate" actions=${to('ending')}><dl><dt>Cancel after</dt><dd>${auto.cancel_after_next_x_orders ? count(auto.cancel_after_next_x_orders, 'more order') : 'goes on'}</dd><dt>Affiliate</dt><dd>${auto.override_affiliate_id || 'whoever sent the first order'}</dd></dl><//>
      </div>
      <${Card} title="Timeline"><${Loaded} of=${past}>${(first) => html`<${Timeline} key=${first.timeline[0]?.log_dts + first.timeline.length} first=${first} path=${`${base}/timeline`} items=${names} />`}<//><//>
    </div>`;
}

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
  return html`<dl>
      <dt>Method</dt><dd>${payment.payment_method}${card ? `, ${card.card_type} ending in ${(card.card_number || '').slice(-4)}, good until ${card.card_expiration_month}/${card.card_expiration_year}` : ''}</dd>
      <dt>Attempts</dt><dd>${number(auto.credit_card_attempt || 0)} declined ${auto.credit_card_attempt > 0 && may('auto_order_write') && html`<${Do} kind="plain" act=${reset}>Count from nought<//>`}</dd>
      ${auto.next_attempt && html`<dt>Next attempt</dt><dd>${moment(auto.next_attempt)}</dd>`}
    </dl>
    ${url ? html`<p>Send this link to the customer, or <a href=${url} target="_blank" rel="noopener">open it</a> and enter the card while he is on the telephone. It is good for 30 days.</p><pre tabindex="0">${url}</pre><${Copy} text=${url} />` : html`<${Do} act=${ask}>Another card…<//>`}`;
}

export const Address = ({ title, of }) => html`<div><h3>${title}</h3>${of ? html`<p>${[name(of), of.company, of.address1, of.address2, [of.city, of.state_region, of.postal_code].filter(Boolean).join(' '), of.country_code, of.day_phone, of.email].filter(Boolean).map((line) => html`${line}<br />`)}</p>` : html`<p class="soft">As billing.</p>`}</div>`;
