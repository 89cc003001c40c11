// Giving back an order, all of it or a part. What it comes to is the API's word; every figure is what is to have been given
// back in all, so pressing twice gives back once.
import { html, useRef, useState } from './lib.js';
import { again, call, get, may, post, query as text } from './api.js';
import { money, number } from './format.js';
import { link } from './router.js';
import { Dialog, Do, Loaded, Summary, Table, problemsOf, toast, useLoad } from './ui.js';

// Of the order's sums: what is given back, and of what it is a part.
const PARTS = [['shipping_handling_refunded', 'Shipping', 'shipping_handling_total'], ['tax_refunded', 'Tax', 'tax'], ['subtotal_discount_refunded', 'Less of the discount', 'subtotal_discount'], ['other_refunded', 'Anything else, or less a fee']];
const value = (amount) => amount?.value ?? amount ?? '';
const fill = (input, amount) => { if (input && (input.value || !zero(amount))) input.value = value(amount); };
const zero = (amount) => !Number(value(amount));
const TITLES = Object.fromEntries([...PARTS.map(([name, title]) => [name, title]), ['total_refunded', 'In all'], ['quantity_refunded', 'Quantity'], ['cancel_reason', 'Reason of the cancellation'], ['manual_refund', 'Given back elsewhere'], ['refund_reason', 'Reason'], ['internal_gift_certificate_refunded', 'To store credit']]);
const titleOf = (pointer) => { const [, , position, part] = pointer.split('/'); return part ? `Item ${Number(position) + 1}, ${TITLES[part] || part}` : TITLES[pointer.split('/').pop()] || pointer; };

export default function Refund({ order, close }) {
  const path = `/order/orders/${encodeURIComponent(order.order_id)}`;
  const form = useRef();
  const found = useLoad(async () => (await post(`${path}/refund_preview`)).refund_preview, [path]);
  const [part, choose] = useState(false);
  const [told, tell] = useState(null);
  const [problems, complain] = useState([]);
  const auto = order.auto_order?.status === 'active' && may('auto_order_read') ? order.auto_order : null;
  const reasons = useLoad(async () => (auto ? (await get('/auto_order/auto_orders/cancel_reasons')).cancelReasons || [] : []), [path]);
  const preview = part ? told : found.data;
  const field = (name) => form.current.elements[name];
  // What was said of a part, as the API takes it: an empty field says nothing.
  const asked = () => {
    const sum = Object.fromEntries(PARTS.map(([name]) => [name, field(name)?.value]).filter(([, said]) => said).map(([name, said]) => [name, Number(said)]));
    const items = (order.items || []).map((line) => ({ item_index: line.item_index, ...Object.fromEntries(['quantity_refunded', 'total_refunded'].map((name) => [name, field(`${name}-${line.item_index}`).value]).filter(([, said]) => said).map(([name, said]) => [name, Number(said)])) })).filter((line) => Object.keys(line).length > 1);
    return { ...(items.length ? { items } : {}), summary: sum };
  };
  const attempt = (act) => async () => {
    try {
      await act();
      complain([]);
    } catch (error) {
      if (error.status !== 401) complain(problemsOf(error));
    }
  };
  // What the API has reckoned stands in the form, and can be said otherwise.
  const look = attempt(async () => {
    const { refund_preview: found } = await post(`${path}/refund_preview`, asked());
    for (const line of found.order?.items || []) for (const name of ['quantity_refunded', 'total_refunded']) fill(field(`${name}-${line.item_index}`), line[name]);
    for (const [name] of PARTS) fill(field(name), found.order?.summary?.[name]);
    tell(found);
  });
  const give = attempt(async () => {
    const said = new FormData(form.current);
    const flags = Object.fromEntries(['manual_refund', 'reject_after_refund', 'auto_order_cancel'].filter((name) => said.get(name)).map((name) => [name, true]));
    const body = { ...preview.order, ...(said.get('refund_reason') ? { refund_reason: said.get('refund_reason') } : {}) };
    await call('PUT', `${path}/refund${text({ ...flags, auto_order_cancel_reason: flags.auto_order_cancel && said.get('auto_order_cancel_reason') })}`, body);
    toast(`${money(preview.to_refund)} given back.`);
    close();
    again();
  });
  const changed = ({ target: { name } }) => {
    if (/refunded/.test(name)) tell(null);
    // Another quantity is reckoned anew.
    if (/^quantity/.test(name)) for (const other of [name.replace('quantity', 'total'), 'subtotal_discount_refunded']) if (field(other)) field(other).value = '';
  };
  return html`<${Dialog} title=${`Refund order ${order.order_id}`} close=${close}><${Loaded} of=${found}>${(all) => (all.why_not ? html`<p class="note">${all.why_not}</p>
    <div class="row"><button onClick=${(event) => event.target.closest('dialog').close()}>Close</button></div>` : html`
    <p>${money(all.paid)} was paid${zero(all.refunded) ? '' : `, ${money(all.refunded)} of it was given back before`}.</p>
    <${Summary} problems=${problems} title="Nothing was given back" titleOf=${titleOf} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()} onInput=${changed}>
      <fieldset><legend>How much</legend>
        <p class="check"><input type="radio" id="refund-all" name="how" checked=${!part} onChange=${() => choose(false)} /><label for="refund-all">All that is left, ${money(all.to_refund)}</label></p>
        <p class="check"><input type="radio" id="refund-part" name="how" checked=${part} onChange=${() => choose(true)} /><label for="refund-part">A part of it</label></p></fieldset>
      ${part && html`<${Part} order=${order} />`}
      <div class="field"><label for="refund-reason">Reason</label><input id="refund-reason" name="refund_reason" class="wide" maxlength="50" defaultValue=${order.refund_reason || ''} /></div>
      ${all.why_manual && html`<p class="note">The payment's own account cannot do it: ${all.why_manual}.</p>`}
      <p class="check"><input type="checkbox" id="refund-manual" name="manual_refund" defaultChecked=${Boolean(all.why_manual)} /><label for="refund-manual">It was given back elsewhere: only write it down</label></p>
      <p class="check"><input type="checkbox" id="refund-reject" name="reject_after_refund" /><label for="refund-reject">Reject the order: it is not shipped</label></p>
      ${auto && html`<p class="check"><input type="checkbox" id="refund-cancel" name="auto_order_cancel" /><label for="refund-cancel">Cancel auto order ${auto.auto_order_oid} as well; a refund alone leaves it as it is</label></p>
        ${reasons.data?.length > 0 && html`<div class="field"><label for="refund-cancel-reason">Reason of the cancellation</label><select id="refund-cancel-reason" name="auto_order_cancel_reason" class="wide"><option value=""></option>${reasons.data.map((one) => html`<option>${one.reason}</option>`)}</select></div>`}`}
      ${!auto && order.auto_order?.auto_order_oid && html`<p class="soft">Its auto order is ${order.auto_order.status}.</p>`}
    </form>
    <div role="status">${preview && html`<${Told} of=${preview} />`}</div>
    <div class="row">${part && html`<${Do} act=${look}>What would it come to?<//>`}
      <${Do} kind="danger" act=${give} disabled=${!preview || zero(preview.to_refund)}>Give back ${preview ? money(preview.to_refund) : ''}<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>`)}<//><//>`;
}

const Part = ({ order }) => html`<p class="help">Each figure is what is to have been given back in all, with what was given back before. Of a quantity alone the amount is reckoned.</p>
  <${Table} label="Items to give back" rows=${order.items || []} columns=${[
    ['Item', (row) => html`${row.description}<br /><span class="soft small">${number(row.quantity)} at ${money(row.cost)}</span>`],
    ['Quantity', (row) => html`<input type="number" step="any" min="0" name=${`quantity_refunded-${row.item_index}`} aria-label=${`Quantity of item ${row.item_index}`} defaultValue=${row.quantity_refunded ?? ''} />`],
    ['Amount', (row) => html`<input type="number" step="any" min="0" name=${`total_refunded-${row.item_index}`} aria-label=${`Amount of item ${row.item_index}`} defaultValue=${value(row.total_refunded)} />`],
  ]} />
  <div class="pair">${PARTS.filter(([, , of]) => !of || !zero(order.summary?.[of])).map(([name, title, of]) => html`<div class="field"><label for=${`refund-${name}`}>${title}${of ? `, of ${money(order.summary[of])}` : ''}</label>
    <input id=${`refund-${name}`} name=${name} type="number" step="any" defaultValue=${value(order.summary?.[name])} /></div>`)}</div>`;

// Where it goes, and what goes back with it.
function Told({ of }) {
  const ways = [[of.money, 'as the payment came'], [of.gift_certificate, 'to the gift certificate'], [of.store_credit, 'to store credit']].filter(([amount]) => !zero(amount));
  return html`<p class="note good">${ways.length ? ways.map(([amount, where]) => `${money(amount)} ${where}`).join(', ') : 'Nothing is left of it to give back'}.</p>
    ${of.other_auto_orders && html`<div class="note"><p>Something of it refunds the customer's other auto orders. These orders go back too, after it:</p>
      <ul>${of.other_auto_orders.map((one) => html`<li><a href=${link(`/orders/${encodeURIComponent(one.order_id)}`)}>${one.order_id}</a> of auto order ${one.auto_order_oid}: ${money(one.amount)}</li>`)}</ul></div>`}`;
}
