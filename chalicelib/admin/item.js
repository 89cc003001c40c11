// One item: what it costs, how it comes again, and the rules that are its own.
import { html, useState } from './lib.js';
import { call, get, may } from './api.js';
import { day, money } from './format.js';
import { go, link } from './router.js';
import { Dock, Theirs } from './form.js';
import { Fields, Input, flatOf, idOf, problemsAt, put, reveal, titleOf, toItem, usePaths } from './noun.js';
import { schemas } from './schemas.js';
import { Card, Dialog, Do, Empty, Loaded, Page, Summary, Table, Tag, toast, useLoad } from './ui.js';

const EXPAND = 'accounting,auto_order,payment_processing,physical,pricing,properties,restriction,shipping,tags,tax';
const NOUN = 'Item';
const TAB = 'auto_order/';
const of = (start, names) => names.split(' ').map((name) => start + name).join(' ');
// Tab, its parts: title, fields, what stands above them.
const TABS = [
  ['general', 'General', [
    ['Item', 'description parent_category_path inactive'],
    ['Prices', of('pricing/', 'cost auto_order_cost sale_cost sale_start sale_end manufacturer_suggested_retail_price cogs currency_code')],
    ['Tags and properties', 'tags/tags properties', 'Coupons go by tags of the item; an order or a customer gets the others when it is bought.'],
  ]],
  ['auto_order', 'Auto order', [
    ['On auto order', of(TAB, 'auto_orderable auto_order_upsell free_shipping_auto_order auto_order_paused auto_order_schedules'), 'Customer selectable or automatic, not both. Neither: it is sold once at a time.'],
    ['Steps', ''],
    ['Rules', of(TAB, 'auto_order_upsell_one_per_customer cancel_other_auto_orders refund_other_auto_orders auto_order_upsell_no_easy_cancel auto_order_prohibit_expiring_cards auth_test_amount auth_future_amount')],
    ['Upgrades and downgrades', of(TAB, 'auto_order_upgrade_items auto_order_downgrade_items')],
    ['Canceling too early', of(TAB, 'auto_order_cancel_item_id auto_order_cancel_charge_minimum_balance auto_order_cancel_minimum_rebill_count auto_order_cancel_minimum_rebill_value auto_order_cancel_minimum_life_time_count auto_order_cancel_minimum_life_time_value'), 'Who cancels before all minimums are reached can be charged one more item.'],
  ]],
  ['rules', 'Orders and taxes', [
    ['In an order', of('restriction/', 'minimum_quantity maximum_quantity multiple_quantity one_per_customer exclude_coupon')],
    ['Taxes', of('tax/', 'tax_free exempt tax_product_type')],
    ['Payment and accounting', `payment_processing/rotating_transaction_gateway_codes ${of('accounting/', 'accounting_code qb_class')}`],
  ]],
  ['shipping', 'Shipping', [
    ['Shipping', of('shipping/', 'free_shipping no_shipping_discount country_code_of_origin special_product_type')],
    ['Weight and size', of('physical/', 'weight length width height')],
  ]],
];
const tabOf = (pointer) => TABS.find(([, , parts]) => parts.some(([, paths]) => paths.split(' ').some((path) => path && `${pointer}/`.startsWith(`/${path}/`)))) || (pointer.startsWith('/auto_order') ? TABS[1] : TABS[0]);
const PATH = 'auto_order/steps';
const PATHS = [...TABS.flatMap(([, , parts]) => parts.flatMap(([, paths]) => paths.split(' ').filter(Boolean))), PATH];

export default function Item({ params, query }) {
  const id = params.merchant_item_id;
  const defs = useLoad(schemas, []);
  const found = useLoad(async () => {
    const { data, etag } = await call('GET', `/item/items/merchant_item_id/${encodeURIComponent(id)}?_expand=${EXPAND}`);
    return { item: data.item, read: { said: flatOf(data.item, PATHS), etag } };
  }, [id]);
  const one = found.data?.item;
  const [removing, remove] = useState(false);
  return html`<${Page} title=${one?.description || id} lead=${one && html`${id}. ${one.pricing?.cost === undefined ? 'It has no cost yet.' : `${money(one.pricing.cost)}.`} Changed ${day(one.last_modified_dts)}.
      ${may('auto_order_read') && html` <a href=${link('/auto_orders', { original_item_id: id })}>Auto orders with it</a>`}${may('order_read') && html` · <a href=${link('/orders', { item_id: id })}>Orders with it</a>`}`}
      actions=${one && html`${one.inactive && html`<${Tag} kind="bad">Not for sale<//>`}${one.auto_order?.auto_order_paused && html`<${Tag} kind="warn">Rebilling is paused<//>`}${may('item_write') && html`<button onClick=${() => remove(true)}>Delete…</button>`}`}>
    <${Loaded} of=${defs}>${(known) => html`<${Loaded} of=${found}>${({ item, read }) => html`<${Editor} key=${id} item=${item} read=${read} defs=${known} tab=${query.tab || 'general'} />`}<//>`}<//>
    ${removing && html`<${Remove} item=${one} etag=${found.data.read.etag} close=${() => remove(false)} />`}
  <//>`;
}

function Editor({ item, read, defs, tab }) {
  const id = item.merchant_item_id;
  const draft = usePaths(`/item/items/${item.merchant_item_oid}?_expand=${EXPAND}`, 'item', read, PATHS);
  const locked = !may('item_write');
  const title = titleOf(defs, NOUN);
  const here = (name) => link(`/items/${encodeURIComponent(id)}`, { tab: name });
  const bring = (pointer) => {
    const [name] = tabOf(pointer);
    if (name !== tab) location.hash = here(name);
    requestAnimationFrame(() => requestAnimationFrame(() => reveal(pointer)));
  };
  const moved = (path) => draft.changed.includes(path);
  const [, , parts] = TABS.find(([name]) => name === tab) || TABS[0];
  return html`
    <${Summary} problems=${draft.problems} title="Some fields are not valid" titleOf=${title} show=${bring} />
    <${Theirs} draft=${draft} titleOf=${title} />
    <nav class="tabs" aria-label="Tabs">${TABS.map(([name, text, all]) => html`<a href=${here(name)} aria-current=${name === tab ? 'true' : undefined}>${text}${all.some(([part, paths]) => (part === 'Steps' ? moved(PATH) : paths.split(' ').some(moved))) ? ' •' : ''}</a>`)}</nav>
    <form onSubmit=${(event) => event.preventDefault()}>${parts.map(([text, paths, help]) => (text === 'Steps' ? html`<${Steps} draft=${draft} defs=${defs} locked=${locked} own=${id} />`
      : html`<${Fields} title=${text} help=${help} draft=${draft} defs=${defs} noun=${NOUN} paths=${paths} locked=${locked} />`))}</form>
    <${Dock} draft=${draft} />`;
}

function Remove({ item, etag, close }) {
  const gone = async () => { await call('DELETE', `/item/items/${item.merchant_item_oid}`, undefined, { 'if-match': etag }); toast('Deleted.'); close(); go('/items'); };
  return html`<${Dialog} title=${`Delete ${item.merchant_item_id}?`} close=${close}><p>Orders that have it stay as they are. Auto orders that have it are held until you give them another item; to stop selling it and nothing else, tick “Not for sale”.</p>
    <div class="row"><${Do} kind="danger" act=${gone}>Delete the item<//><button onClick=${(event) => event.target.closest('dialog').close()}>Keep it</button></div><//>`;
}

// --- the steps of an automatic schedule --------------------------------------------------------------------------

const REBILLS = 'recurring_merchant_item_id schedule arbitrary_schedule_days repeat_count preshipment_notice_days arbitrary_unit_cost arbitrary_unit_cost_schedules grandfather_pricing managed_by';
// What a form asks of each kind of step.
const ASKED = { item: REBILLS, pause: 'pause_days managed_by', 'pause until': 'pause_until_date pause_until_day_of_month pause_until_minimum_delay_days managed_by', loop: 'managed_by', 'kit only': REBILLS };
const when = (step) => (step.schedule === 'Every...' ? `Every ${step.arbitrary_schedule_days} days` : step.schedule);
const told = (step) => {
  if (step.type === 'pause') return `Wait ${step.pause_days} days`;
  if (step.type === 'pause until') return step.pause_until_date ? `Wait until ${day(step.pause_until_date)}` : `Wait until day ${step.pause_until_day_of_month} of the month`;
  if (step.type === 'loop') return 'Go back to the first step';
  return html`${step.recurring_merchant_item_id && toItem(step.recurring_merchant_item_id)}${step.type === 'kit only' && ', for buyers of kits'}`;
};

function Steps({ draft, defs, locked, own }) {
  const [at, edit] = useState(null);
  const rows = draft.said[PATH] || [];
  const problems = problemsAt(draft.problems, PATH);
  const lay = (next) => draft.set(PATH)(next.length ? next : undefined);
  const moved = (from, to) => { const next = [...rows]; next.splice(to, 0, ...next.splice(from, 1)); lay(next); };
  const button = !locked && html`<button type="button" onClick=${() => edit(rows.length)}>Add a step…</button>`;
  const wrong = (position) => problems.filter((p) => p.pointer.startsWith(`/auto_order-steps/${position}/`));
  return html`<${Card} title="Steps" id=${idOf(PATH)} actions=${rows.length > 0 && button}>
    <p class="soft">What is rebilled, one after the other. The last step may go on for ever, or loop back to the first.</p>
    ${problems.filter((p) => p.pointer === '/auto_order-steps').map((p) => html`<p class="wrong">${p.message}</p>`)}
    <${Table} label="Steps" rows=${rows.map((step, position) => ({ step, position }))} empty=${html`<${Empty} title="It has no steps" action=${button}>An automatic item needs one: the item that comes, and how often.<//>`} columns=${[
      ['Step', ({ step, position }) => html`<div id=${`${idOf(PATH)}-${position}`}><strong>${position + 1}</strong> ${told(step)}${wrong(position).map((p) => html`<p class="wrong">${p.message}</p>`)}</div>`],
      ['How often', ({ step }) => when(step) || ''],
      ['Times', ({ step }) => (ASKED[step.type] === REBILLS ? step.repeat_count || 'for ever' : '')],
      ['Unit cost', ({ step }) => html`${money(step.arbitrary_unit_cost)}${step.arbitrary_unit_cost_schedules && html`<br /><span class="soft small">less on a retry</span>`}${step.grandfather_pricing && html`<br /><span class="soft small">earlier customers keep theirs</span>`}`, 'num'],
      ['Notice', ({ step }) => (step.preshipment_notice_days === undefined ? '' : `${step.preshipment_notice_days} days before`)],
      ...(locked ? [] : [['Change', ({ position }) => html`<div class="row">
        <button type="button" aria-label=${`Change step ${position + 1}`} onClick=${() => edit(position)}>Change…</button>
        <button type="button" aria-label=${`Move step ${position + 1} up`} disabled=${position === 0} onClick=${() => moved(position, position - 1)}>↑</button>
        <button type="button" aria-label=${`Move step ${position + 1} down`} disabled=${position === rows.length - 1} onClick=${() => moved(position, position + 1)}>↓</button>
        <button type="button" aria-label=${`Remove step ${position + 1}`} onClick=${() => lay(rows.filter((_, other) => other !== position))}>Remove</button></div>`]]),
    ]} />
    ${at !== null && html`<${Step} defs=${defs} step=${rows[at] || { type: 'item', recurring_merchant_item_id: own }} isNew=${at === rows.length} position=${at} problems=${wrong(at)} close=${() => edit(null)}
      keep=${(step) => lay(at === rows.length ? [...rows, step] : rows.map((old, other) => (other === at ? step : old)))} />`}
  <//>`;
}

function Step({ defs, step, isNew, position, problems, keep, close }) {
  const [said, say] = useState(step);
  const fields = defs.ItemAutoOrderStep.properties;
  const set = (name) => (value) => say((old) => put(old, [name], value));
  // What the other kinds have says nothing here.
  const turn = (type) => say((old) => ({ ...Object.fromEntries(Object.entries(old).filter(([name]) => (ASKED[type] || '').split(' ').includes(name))), type }));
  const own = problems.map((p) => ({ ...p, pointer: p.pointer.replace(/^\/auto_order-steps\/\d+\//, '/step-') }));
  // Some to choose from; any other id can be written.
  const items = useLoad(async () => (await get('/item/items?_limit=200')).items, []);
  const listed = (name) => (name === 'recurring_merchant_item_id' ? { ...fields[name], 'x-ui': { list: 'items' } } : fields[name]);
  const done = (event) => { event.preventDefault(); keep(said); event.target.closest('dialog').close(); };
  return html`<${Dialog} title=${isNew ? 'Add a step' : `Step ${position + 1}`} close=${close}>
    <form onSubmit=${done}>
      <${Input} name="step-type" of=${fields.type} defs=${defs} value=${said.type} set=${(type) => turn(type || 'item')} problems=${own} />
      ${(ASKED[said.type] || '').split(' ').filter((name) => name && (name !== 'arbitrary_schedule_days' || said.schedule === 'Every...')).map((name) => html`<${Input} key=${name} name=${`step-${name}`} of=${listed(name)} defs=${defs} value=${said[name]} set=${set(name)} problems=${own} day=${true} />`)}
      <datalist id="items">${(items.data || []).map((one) => html`<option value=${one.merchant_item_id}>${one.description}</option>`)}</datalist>
      <p class="help">Nothing is saved before you save the item.</p>
      <div class="row"><button class="main">${isNew ? 'Add the step' : 'Take it'}</button><button type="button" onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>
    </form>
  <//>`;
}
