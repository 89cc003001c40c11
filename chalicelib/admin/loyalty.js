// What a customer has earned: points and store credit, their ledgers, and entries by hand.
import { html, useRef, useState } from './lib.js';
import { again, call, get, may } from './api.js';
import { moment, money, number, words } from './format.js';
import { link } from './router.js';
import { Card, Do, Empty, Loaded, Summary, Table, Tag, problemsOf, toast, useLoad } from './ui.js';

const MOST = 25;
const order = (row) => { const id = row.order_id || row.reference_order_id; return id && html`<a href=${link(`/orders/${encodeURIComponent(id)}`)}>${id}</a>`; };

export function Loyalty({ base, customer }) {
  const path = `${base}/loyalty`;
  const found = useLoad(async () => {
    const credit = (await get(`${base}/store_credit`)).customer_store_credit;
    if (may('configuration_read') && !(await get('/configuration/loyalty_program')).loyalty_program.active) return { none: true, credit };
    const [past, future, stands] = await Promise.all([get(`${path}/past_ledger?_limit=${MOST}`), get(`${path}/future_ledger`), get(path)]);
    return { past: past.past_ledger, next: past.metadata.next_cursor, future: future.future_ledger, stands: stands.customer_loyalty, credit };
  }, [path]);
  // Earlier entries are put behind those that are shown, page by page.
  const [earlier, add] = useState(null);
  const withdraw = async (row) => { await call('DELETE', `${path}/future_ledger/${row.loyalty_ledger_oid}`); toast('Withdrawn.'); again(); };
  const more = (told) => async () => {
    const { past_ledger: rows, metadata } = await get(`${path}/past_ledger?_limit=${MOST}&cursor=${encodeURIComponent(earlier?.of === told ? earlier.next : told.next)}`);
    add({ of: told, rows: [...(earlier?.of === told ? earlier.rows : []), ...rows], next: metadata.next_cursor });
  };
  const next = (told) => (earlier?.of === told ? earlier.next : told.next);
  return html`<${Loaded} of=${found}>${(told) => html`${told.none ? html`<${Card} title="Loyalty"><${Empty} title="There is no active loyalty program" action=${html`<a class="button" href="#/configuration">To the settings</a>`}>Its ledgers stand here once there is one.<//><//>` : html`
    <${Card} title="Past ledger"><p>${number(told.stands.current_points || 0)} points, ${number(told.stands.pending_points || 0)} more to come${told.stands.loyalty_tier_name ? `. Tier: ${told.stands.loyalty_tier_name}` : ''}.</p><${Table} label="Past ledger" rows=${[...told.past, ...(earlier?.of === told ? earlier.rows : [])]} empty=${html`<${Empty} title="No points yet">Paid orders earn them.<//>`} columns=${[
      ['When', (row) => moment(row.ledger_dts)], ['Type', (row) => row.type], ['What for', (row) => html`${row.description}${row.notes && html`<br /><span class="soft small">${row.notes}</span>`}`],
      ['Points', (row) => number(row.loyalty_points), 'num'], ['Balance', (row) => number(row.balance), 'num'],
      ['Order', order], ['Item or reward', (row) => row.item_or_reward || ''], ['By', (row) => row.created_by || ''],
    ]} />${next(told) && html`<p class="row"><${Do} act=${more(told)}>Earlier entries<//></p>`}<//>
    <${Card} title="Future ledger"><${Table} label="Future ledger" rows=${told.future} empty=${html`<${Empty} title="Nothing waits">What vests, expires or is scheduled stands here.<//>`} columns=${[
      ['When', (row) => moment(row.ledger_dts)], ['Type', (row) => row.type], ['What for', (row) => row.description], ['Points', (row) => number(row.loyalty_points), 'num'], ['State', (row) => html`<${Tag} kind="plain">${row.status}<//>`], ['Order', order],
      ...(may('customer_write') ? [['Do', (row) => row.loyalty_ledger_oid && !row.order_id && html`<${Do} act=${() => withdraw(row)}>Withdraw<span class="hidden"> ${row.description}</span><//>`]] : []),
    ]} /><//>
    ${may('customer_write') && html`<${Entry} path=${path} offset=${(customer.signup_dts || 'Z').slice(10).replace(/^T.{8}/, '')} />`}`}
    <${Credit} path=${`${base}/store_credit`} told=${told.credit} />`}<//>`;
}

function Entry({ path, offset }) {
  const form = useRef();
  const key = useRef(crypto.randomUUID());
  const [problems, complain] = useState([]);
  const [would, tell] = useState(null);
  const said = () => {
    const all = Object.fromEntries([...new FormData(form.current)].filter(([, value]) => value !== ''));
    // A day begins by the shop's own clock: at the offset with which its instants come.
    return { ...all, ...(all.loyalty_points ? { loyalty_points: Number(all.loyalty_points) } : {}), ...(all.ledger_dts ? { ledger_dts: `${all.ledger_dts}T00:00:00${offset}` } : {}) };
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
      <div class="field"><label for="entry-date">Date; blank: now</label><input id="entry-date" name="ledger_dts" type="date" class="wide" /></div>
      <div class="field"><label for="entry-order">Order</label><input id="entry-order" name="order_id" class="wide" maxlength="30" autocomplete="off" /></div></div>
      <div class="field"><label for="entry-description">What for (required)</label><input id="entry-description" name="description" required class="wide" maxlength="200" /></div>
      <div class="field"><label for="entry-notes">Notes</label><textarea id="entry-notes" name="notes" maxlength="2000"></textarea></div></form>
    ${would && html`<p class="note good" role="status">The balance would be ${number(would.current_points)} points.</p>`}
    <div class="row"><${Do} act=${send(true)}>What would it be?<//><${Do} kind="main" act=${send(false)}>Enter it<//></div><//>`;
}

function Credit({ path, told }) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const add = async () => {
    if (!form.current.reportValidity()) return;
    const { amount, description } = Object.fromEntries(new FormData(form.current));
    try {
      await call('POST', path, { amount: Number(amount), ...(description ? { description } : {}) });
      complain([]);
      toast('Added.');
      form.current.reset();
      again();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  const rows = [...told.future_ledgers.map((row) => ({ ...row, waits: true })), ...told.past_ledgers];
  return html`<${Card} title="Store credit"><p>${money(told.available)} available, ${money(told.vesting)} vests later, ${money(told.expiring)} expires.</p>
    <${Table} label="Store credit" rows=${rows} empty=${html`<${Empty} title="No store credit yet">Refunds and rewards come to stand here, and what is added by hand.<//>`} columns=${[
      ['When', (row) => html`${moment(row.entry_dts)}${row.waits && html` <${Tag} kind="plain">To come<//>`}`], ['What for', (row) => [row.action, row.description].filter(Boolean).join(': ')], ['Amount', (row) => money(row.amount), 'num'], ['Order', order],
    ]} />
    ${may('customer_write') && html`<h3>Add store credit</h3><${Summary} problems=${problems} title="Nothing was added" titleOf=${(pointer) => words(pointer.slice(1))} />
      <form ref=${form} onSubmit=${(event) => event.preventDefault()}><div class="pair">
        <div class="field"><label for="credit-amount">Amount (required)</label><input id="credit-amount" name="amount" type="number" step="any" min="0" required class="wide" /></div>
        <div class="field"><label for="credit-description">What for</label><input id="credit-description" name="description" class="wide" maxlength="50" autocomplete="off" /></div></div></form>
      <div class="row"><${Do} act=${add}>Add it<//></div>`}<//>`;
}
