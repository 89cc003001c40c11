// The list of customers: with wildcards, columns of one's own, and searches that are kept under a name.
import { html, useRef, useState } from './lib.js';
import { again, get, may, post, query as text } from './api.js';
import { day, number } from './format.js';
import { go, link } from './router.js';
import { Options } from './customer_options.js';
import { Card, Dialog, Do, Empty, Filters, Loaded, PAGE, Page, Pager, Summary, Table, problemsOf, toast, useAdding, useLoad } from './ui.js';
import { useViews } from './views.js';

export const FIELDS = [
  ['email', 'E-mail'], ['billing_last_name', 'Last name'], ['billing_first_name', 'First name'], ['billing_company', 'Company'],
  ['billing_day_phone', 'Phone'], ['billing_city', 'City'], ['billing_postal_code', 'Postal code'],
  ['pricing_tier_name', 'Pricing tier'], ['signup_dts_start', 'Signed up from', null, 'date'], ['signup_dts_end', 'until', null, 'date'],
];
const NAMES = FIELDS.map(([field]) => field);
// Columns by the names under which they are kept.
const COLUMNS = {
  'email': ['E-mail', (one) => html`<a href=${link(`/customers/${one.customer_profile_oid}`)}>${one.email}</a>`],
  'billing.last_name': ['Name', (one) => [one.billing?.[0]?.first_name, one.billing?.[0]?.last_name].filter(Boolean).join(' ')],
  'billing.company': ['Company', (one) => one.billing?.[0]?.company || ''],
  'billing.day_phone': ['Phone', (one) => one.billing?.[0]?.day_phone || ''],
  'billing.city': ['City', (one) => one.billing?.[0]?.city || ''],
  'pricing_tiers': ['Pricing tiers', (one) => (one.pricing_tiers || []).map((tier) => tier.name).join(', ')],
  'tags': ['Tags', (one) => (one.tags || []).map((tag) => tag.tag_value).join(', ')],
  'qb_code': ['QuickBooks code', (one) => one.qb_code || ''],
  'sales_rep_code': ['Sales rep', (one) => one.sales_rep_code || ''],
  'signup_dts': ['Signed up', (one) => day(one.signup_dts)],
  'last_modified_dts': ['Changed', (one) => day(one.last_modified_dts)],
};
const USUAL = ['email', 'billing.last_name', 'billing.company', 'billing.city', 'signup_dts'];

export default function Customers({ query }) {
  const asked = Object.fromEntries(NAMES.map((field) => [field, query[field]]));
  const found = useLoad(() => get(`/customer/customers${text({ ...asked, _limit: PAGE, _offset: query.offset, _expand: 'billing,pricing_tiers,tags' })}`), [JSON.stringify(query)]);
  const views = useViews({ screen: 'customers', query, names: NAMES, columns: COLUMNS, usual: USUAL });
  const [adding, add] = useAdding('customer_write');
  const total = found.data?.metadata.result_set.total_records;
  return html`<${Page} title="Customers" lead=${html`${total === undefined ? '' : `${number(total)} ${views.any ? 'found' : 'profiles'}. `}Use * in a search, for example <code>y*@gmail.com</code>.`}
      actions=${html`<a class="button" href=${link('/customers/exports', asked)}>Export…</a><a class="button" href=${link('/customers/imports')}>Import…</a>${views.button}${may('customer_write') && html`<button class="main" onClick=${() => add(true)}>Add a customer…</button>`}`}>
    <${Card}>
      ${views.tabs}
      <${Filters} fields=${FIELDS} query=${query} label="Customers" />
      <${Loaded} of=${found}>${(data) => html`
        <${Table} label="Customers" rows=${data.customers} columns=${views.columns}
          empty=${html`<${Empty} title="No customer matches">Try a shorter term, or * for any letters.<//>`} />
        <${Pager} set=${data.metadata.result_set} label="Pages of customers" /><${Options} shown=${data.customers} />`}<//>
    <//>
    ${views.dialogs}
    ${adding && html`<${Add} close=${() => add(false)} />`}
  <//>`;
}

const QUICK = [['email', 'E-mail', 'email', true], ['password', 'Password', 'password', true], ['first_name', 'First name'], ['last_name', 'Last name'], ['company', 'Company'], ['phone', 'Phone', 'tel']];

function Add({ close }) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const save = async () => {
    if (!form.current.reportValidity()) return;
    try {
      const { customer } = await post('/customer/customers/quick_add', Object.fromEntries([...new FormData(form.current)].filter(([, value]) => value)));
      toast('Added.');
      close();
      again();
      go(`/customers/${customer.customer_profile_oid}`);
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  const titleOf = (pointer) => QUICK.find(([field]) => `/${field}` === pointer)?.[1] || pointer;
  return html`<${Dialog} title="Add a customer" close=${close}>
    <${Summary} problems=${problems} title="Nobody was added" titleOf=${titleOf} show=${(pointer) => document.getElementById(`quick-${pointer.slice(1)}`)?.focus()} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}>${QUICK.map(([field, title, type = 'text', needed]) => html`<div class="field">
      <label for=${`quick-${field}`}>${title}${needed ? ' (required)' : ''}</label><input id=${`quick-${field}`} name=${field} type=${type} class="wide" required=${needed} autocomplete=${type === 'password' ? 'new-password' : 'off'} /></div>`)}</form>
    <div class="row"><${Do} kind="main" act=${save}>Add the customer<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>
  <//>`;
}
