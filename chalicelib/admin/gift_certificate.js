// One gift certificate: what is on it, by which entries, and whose it is.
import { html, useRef, useState } from './lib.js';
import { again, call, may } from './api.js';
import { moment, money, words } from './format.js';
import { go, link } from './router.js';
import { Dock, Theirs } from './form.js';
import { Fields, Input, flatOf, put, reveal, titleOf, usePaths } from './noun.js';
import { ALL, state } from './gift_certificates.js';
import { schemas } from './schemas.js';
import { Card, Copy, Dialog, Do, Empty, Loaded, Page, Summary, Table, Tag, problemsOf, toast, useLoad } from './ui.js';

const NOUN = 'GiftCertificate';
const FIELDS = ['activated', 'email', 'expiration_dts', 'merchant_note'];

export default function GiftCertificate({ params }) {
  const path = `${ALL}/${params.oid}`;
  const defs = useLoad(schemas, []);
  const found = useLoad(async () => {
    const { data, etag } = await call('GET', path);
    return { certificate: data.gift_certificate, read: { said: flatOf(data.gift_certificate, FIELDS), etag } };
  }, [path]);
  const one = found.data?.certificate;
  const [removing, remove] = useState(false);
  const writes = one && may('gift_certificate_write') && !one.deleted && !one.internal;
  const turn = async () => { await call('PUT', path, { activated: !one.activated }, { 'if-match': found.data.read.etag }); toast(one.activated ? 'It pays nothing now; what is on it stays.' : 'It can pay.'); again(); };
  return html`<${Page} title=${one ? `Gift certificate ${one.code}` : 'Gift certificate'} lead=${one && html`${money(one.remaining_balance)} left of ${money(one.original_balance)}. ${one.expiration_dts ? `Expires ${moment(one.expiration_dts)}.` : 'It never expires.'}${one.email && html` <a href=${link('/customers', { email: one.email })}>Its owner</a>`}${one.reference_order_id && html` <a href=${link(`/orders/${encodeURIComponent(one.reference_order_id)}`)}>Order ${one.reference_order_id}</a>`}`}
      actions=${one && html`${one.deleted ? html`<${Tag} kind="bad">Deleted<//>` : state(one)}<${Copy} text=${one.code}>Copy the code<//>${writes && html`<${Do} act=${turn}>${one.activated ? 'Deactivate' : 'Activate'}<//><button onClick=${() => remove(true)}>Delete…</button>`}`}>
    ${one?.internal && html`<p class="note">It is store credit: what is on it moves at its <a href=${link(`/customers/${one.customer_profile_oid}`, { tab: 'accounting' })}>customer</a>, too.</p>`}
    <${Loaded} of=${defs}>${(known) => html`<${Loaded} of=${found}>${({ certificate, read }) => html`
      <${Ledger} entries=${certificate.ledger_entries || []} />
      ${may('gift_certificate_write') && !certificate.deleted && html`<${Entry} path=${path} defs=${known} />`}
      <${Editor} key=${path} path=${path} read=${read} defs=${known} locked=${!may('gift_certificate_write') || certificate.deleted} />`}<//>`}<//>
    ${removing && html`<${Remove} path=${path} one=${one} etag=${found.data.read.etag} close=${() => remove(false)} />`}
  <//>`;
}

const Ledger = ({ entries }) => html`<${Card} title="Ledger"><${Table} label="Ledger" rows=${[...entries].reverse()} empty=${html`<${Empty} title="Nothing has moved">What is put on it and taken off it stands here.<//>`} columns=${[
  ['When', (row) => moment(row.entry_dts)], ['What for', (row) => row.description], ['Order', (row) => row.reference_order_id && html`<a href=${link(`/orders/${encodeURIComponent(row.reference_order_id)}`)}>${row.reference_order_id}</a>`], ['Amount', (row) => money(row.amount), 'num'],
]} /><//>`;

function Entry({ path, defs }) {
  const key = useRef(crypto.randomUUID());
  const [said, say] = useState({});
  const [problems, complain] = useState([]);
  const [would, tell] = useState(null);
  const fields = defs.GiftCertificateLedgerEntry.properties;
  const send = (dry) => async () => {
    try {
      const { data } = await call('POST', `${path}/ledger_entry${dry ? '?dry_run=true' : ''}`, said, dry ? {} : { 'idempotency-key': key.current });
      complain([]);
      tell(data.gift_certificate);
      if (dry) return;
      toast('Entered.');
      key.current = crypto.randomUUID();
      say({});
      tell(null);
      again();
    } catch (error) {
      tell(null);
      complain(problemsOf(error));
    }
  };
  return html`<${Card} title="New ledger entry"><${Summary} problems=${problems} title="Nothing was entered" titleOf=${(pointer) => fields[pointer.slice(1)]?.title || words(pointer.slice(1))} />
    <form class="fields" onSubmit=${(event) => event.preventDefault()}>${['amount', 'description', 'reference_order_id', 'entry_dts'].map((name) => html`<${Input} key=${name} name=${`entry-${name}`} of=${fields[name]} defs=${defs} value=${said[name]} set=${(value) => { tell(null); say((old) => put(old, [name], value)); }} />`)}</form>
    <p class="help">A ledger is added to and never changed: what was wrong is put right by another entry.</p>
    ${would && html`<p class="note good" role="status">${money(would.remaining_balance)} would be on it.</p>`}
    <div class="row"><${Do} act=${send(true)}>What would be on it?<//><${Do} kind="main" act=${send(false)} disabled=${!would}>Enter it<//></div><//>`;
}

function Editor({ path, read, defs, locked }) {
  const draft = usePaths(path, 'gift_certificate', read, FIELDS);
  const title = titleOf(defs, NOUN);
  return html`<${Summary} problems=${draft.problems} title="Some fields are not valid" titleOf=${title} show=${reveal} />
    <${Theirs} draft=${draft} titleOf=${title} />
    <form onSubmit=${(event) => event.preventDefault()}><${Fields} title="Whose it is, and until when" draft=${draft} defs=${defs} noun=${NOUN} paths=${FIELDS.join(' ')} locked=${locked} /></form>
    <${Dock} draft=${draft} />`;
}

function Remove({ path, one, etag, close }) {
  const gone = async () => { await call('DELETE', path, undefined, { 'if-match': etag }); toast('Deleted.'); close(); go('/gift_certificates'); };
  return html`<${Dialog} title=${`Delete ${one.code}?`} close=${close}><p>Nothing can be paid with it any more; ${money(one.remaining_balance)} are on it. Its ledger and its code are kept. This cannot be taken back; to stop it for a while, deactivate it.</p>
    <div class="row"><${Do} kind="danger" act=${gone}>Delete the certificate<//><button onClick=${(event) => event.target.closest('dialog').close()}>Keep it</button></div><//>`;
}
