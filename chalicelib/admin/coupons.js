// Coupons: codes that take something off an order.
import { html, useRef, useState } from './lib.js';
import { may, post, query as text } from './api.js';
import { moment } from './format.js';
import { go, link } from './router.js';
import { Input, put, titleOf } from './noun.js';
import { schemas } from './schemas.js';
import { Card, Dialog, Do, Empty, Filters, Loaded, PAGE, Page, Pager, Summary, Table, problemsOf, toast, useAdding, useLoad } from './ui.js';

export const KINDS = [
  ['percent_off_subtotal', 'Percent off the order'], ['amount_off_subtotal', 'Amount off the order'],
  ['percent_off_items', 'Percent off items'], ['amount_off_items', 'Amount off items'], ['free_shipping', 'Free shipping'],
];
export const wordsOf = (one) => (KINDS.find(([kind]) => kind === one.coupon_type) || [one.coupon_type, one.coupon_type])[1];
const FIELDS = [
  ['merchant_code_or_description', 'Code or description'],
  ['coupon_type', 'Kind', KINDS],
  ['exclude_expired', 'Expired', [['true', 'Leave them out']], null, 'Show them too'],
  ['start_dts_begin', 'Begins from', null, 'date'],
  ['start_dts_end', 'until', null, 'date'],
  ['expiration_dts_begin', 'Ends from', null, 'date'],
  ['expiration_dts_end', 'until', null, 'date'],
  ['_sort', 'In order of', [['expiration_dts', 'Their end'], ['-start_dts', 'Begun last']], null, 'Code'],
];

export default function Coupons({ query }) {
  const { _sort, exclude_expired: gone, ...asked } = Object.fromEntries(FIELDS.map(([field]) => [field, query[field]]).filter(([, value]) => value));
  const found = useLoad(() => post(`/coupon/coupons/query${text({ _limit: PAGE, _offset: query.offset, _sort })}`, { ...asked, ...(gone ? { exclude_expired: true } : {}) }), [JSON.stringify(query)]);
  const [adding, add] = useAdding('coupon_write');
  const button = may('coupon_write') && html`<button class="main" onClick=${() => add(true)}>Add a coupon…</button>`;
  const any = FIELDS.some(([field]) => query[field]);
  return html`<${Page} title="Coupons" lead="Codes that take something off an order." actions=${button}>
    <${Card}>
      <${Filters} fields=${FIELDS} query=${query} label="Coupons" />
      <${Loaded} of=${found}>${(data) => html`
        <${Table} label="Coupons" rows=${data.coupons} empty=${any ? html`<${Empty} title="No coupon is found">A piece of its code or description is enough. Codes for one order are not listed.<//>` : html`<${Empty} title="There are no coupons yet" action=${button}>A first one may welcome new customers.<//>`} columns=${[
          ['Code', (one) => html`<a href=${link(`/coupons/${one.coupon_oid}`)}>${one.merchant_code}</a><br /><span class="soft">${one.description}</span>`],
          ['What it does', (one) => one.calculated_description],
          ['Rebills', (one) => (one.skip_on_rebill ? 'First order only' : 'Too')],
          ['Begins', (one) => moment(one.start_dts)],
          ['Ends', (one) => moment(one.expiration_dts)],
        ]} />
        <${Pager} set=${data.metadata.result_set} label="Pages of coupons" />`}<//>
    <//>
    ${adding && html`<${Add} close=${() => add(false)} />`}
  <//>`;
}

// What every coupon says, and of its kind what it cannot do without.
const FIRST = { percent_off_subtotal: ['discount_percent'], amount_off_subtotal: ['discount_amount'], percent_off_items: ['discount_percent', 'items'], amount_off_items: ['discount_amount', 'items'], free_shipping: [] };

function Add({ close }) {
  const defs = useLoad(schemas, []);
  const form = useRef();
  const [said, say] = useState({ percent_off_subtotal: {} });
  const [problems, complain] = useState([]);
  const [kind] = KINDS.map(([one]) => one).filter((one) => said[one]);
  const set = (...path) => (value) => say((old) => ({ [kind]: {}, ...put(old, path, value) }));
  const turn = (event) => say(({ [kind]: before, ...rest }) => ({ ...rest, [event.target.value]: {} }));
  const save = async () => {
    try {
      const { coupon } = await post('/coupon/coupons', said);
      toast('Added.');
      close();
      go(`/coupons/${coupon.coupon_oid}`);
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  return html`<${Dialog} title="Add a coupon" close=${close}><${Loaded} of=${defs}>${(known) => {
    const input = (of, ...path) => html`<${Input} key=${path.join()} name=${`new-${path[path.length - 1]}`} of=${of} defs=${known} value=${path.reduce((value, part) => value?.[part], said)} set=${set(...path)} />`;
    const fields = known.Coupon.properties;
    const inKind = known[fields[kind].$ref.split('/').pop()].properties;
    return html`<${Summary} problems=${problems} title="It was not added" titleOf=${titleOf(known, 'Coupon')} />
      <form ref=${form} onSubmit=${(event) => event.preventDefault()}>
        ${input(fields.merchant_code, 'merchant_code')}${input(fields.description, 'description')}
        <div class="rule field"><label for="new-kind">Kind</label><select id="new-kind" class="wide" onChange=${turn}>${KINDS.map(([one, title]) => html`<option value=${one} selected=${one === kind}>${title}</option>`)}</select></div>
        ${FIRST[kind].map((name) => input(inKind[name], kind, name))}
      </form>
      <div class="row"><${Do} kind="main" act=${save}>Add it<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>`;
  }}<//><//>`;
}
