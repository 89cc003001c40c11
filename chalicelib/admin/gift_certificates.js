// Gift certificates: money that was paid or given before, under a code.
import { html, useState } from './lib.js';
import { may, post, query as text } from './api.js';
import { moment, money } from './format.js';
import { go, link } from './router.js';
import { Input, instant, put, titleOf } from './noun.js';
import { schemas } from './schemas.js';
import { Card, Dialog, Do, Empty, Filters, Loaded, PAGE, Page, Pager, Summary, Table, Tag, problemsOf, toast, useAdding, useLoad } from './ui.js';

export const ALL = '/gift_certificate/gift_certificates';
const FIELDS = [
  ['code', 'Code'], ['email', 'E-mail of its owner', null, 'email'], ['reference_order_id', 'Order'],
  ['remaining_balance_start', 'Left on it, from', null, 'number'], ['remaining_balance_end', 'to', null, 'number'],
  ['original_balance_start', 'At first, from', null, 'number'], ['original_balance_end', 'to', null, 'number'],
  ['expiration_dts_start', 'Expires from', null, 'date'], ['expiration_dts_end', 'before', null, 'date'],
];
// As the query takes it: amounts are numbers, and a day begins by the shop's clock.
const TAKEN = { number: Number, date: instant };
export const state = (one) => html`<${Tag} kind=${one.activated ? 'good' : 'warn'}>${one.activated ? 'Active' : 'Not active'}<//>`;

export default function GiftCertificates({ query }) {
  const asked = Object.fromEntries(FIELDS.filter(([field]) => query[field]).map(([field, , , type]) => [field, (TAKEN[type] || String)(query[field])]));
  const found = useLoad(() => post(`${ALL}/query${text({ _limit: PAGE, _offset: query.offset })}`, asked), [JSON.stringify(query)]);
  const [adding, add] = useAdding('gift_certificate_write');
  const button = may('gift_certificate_write') && html`<button class="main" onClick=${() => add(true)}>Make a certificate…</button>`;
  const any = FIELDS.some(([field]) => query[field]);
  return html`<${Page} title="Gift certificates" lead="Money under a code, which whoever has the code can pay with. Store credit stands at its customer." actions=${button}>
    <${Card}>
      <${Filters} fields=${FIELDS} query=${query} label="Gift certificates" />
      <${Loaded} of=${found}>${(data) => html`
        <${Table} label="Gift certificates" rows=${data.gift_certificates} empty=${any ? html`<${Empty} title="No gift certificate is found">Codes and addresses are looked for as a whole.<//>` : html`<${Empty} title="There are no gift certificates yet" action=${button}>One may make good what went wrong.<//>`} columns=${[
          ['Code', (one) => html`<a href=${link(`/gift_certificates/${one.gift_certificate_oid}`)}>${one.code}</a>`],
          ['Owner', (one) => one.email || ''],
          ['State', state],
          ['Expires', (one) => moment(one.expiration_dts) || 'never'],
          ['At first', (one) => money(one.original_balance), 'num'],
          ['Left', (one) => money(one.remaining_balance), 'num'],
        ]} />
        <${Pager} set=${data.metadata.result_set} label="Pages of gift certificates" />`}<//>
    <//>
    ${adding && html`<${Add} close=${() => add(false)} />`}
  <//>`;
}

const ASKED = ['amount', 'email', 'expiration_dts', 'initial_ledger_description', 'merchant_note'];

function Add({ close }) {
  const defs = useLoad(schemas, []);
  const [said, say] = useState({});
  const [problems, complain] = useState([]);
  const save = async () => {
    try {
      const { gift_certificate: made } = await post(ALL, said);
      toast('Made.');
      close();
      go(`/gift_certificates/${made.gift_certificate_oid}`);
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  return html`<${Dialog} title="Make a gift certificate" close=${close}><${Loaded} of=${defs}>${(known) => html`
    <${Summary} problems=${problems} title="It was not made" titleOf=${titleOf(known, 'GiftCertificateCreateRequest')} />
    <form onSubmit=${(event) => event.preventDefault()}>${ASKED.map((name) => html`<${Input} key=${name} name=${`new-${name}`} of=${known.GiftCertificateCreateRequest.properties[name]} defs=${known} value=${said[name]} set=${(value) => say((old) => put(old, [name], value))} />`)}</form>
    <div class="row"><${Do} kind="main" act=${save}>Make it<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>`}<//><//>`;
}
