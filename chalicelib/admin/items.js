// The catalogue: what the shop sells.
import { html, useRef, useState } from './lib.js';
import { get, may, post, query as text } from './api.js';
import { count, day, money } from './format.js';
import { go } from './router.js';
import { toItem } from './noun.js';
import { Card, Dialog, Do, Empty, Filters, Loaded, PAGE, Page, Pager, Summary, Table, Tag, problemsOf, toast, useAdding, useLoad } from './ui.js';

const FIELDS = [
  ['merchant_item_id_or_description', 'Id or description'],
  ['parent_category_path', 'Category'],
  ['_sort', 'In order of', [['description', 'Description'], ['-last_modified_dts', 'Changed last'], ['-creation_dts', 'Newest first']], null, 'Id'],
];
export const kind = ({ auto_order: tab }) => (tab?.auto_orderable ? `Customer selectable, ${count((tab.auto_order_schedules || []).length, 'schedule')}` : tab?.auto_order_upsell ? `Automatic, ${count((tab.steps || []).length, 'step')}` : '');

export default function Items({ query }) {
  const asked = Object.fromEntries(FIELDS.map(([field]) => [field, query[field]]));
  const found = useLoad(() => get(`/item/items${text({ ...asked, _limit: PAGE, _offset: query.offset, _expand: 'pricing,auto_order' })}`), [JSON.stringify(query)]);
  const [adding, add] = useAdding('item_write');
  const button = may('item_write') && html`<button class="main" onClick=${() => add(true)}>Add an item…</button>`;
  const any = FIELDS.some(([field]) => query[field]);
  return html`<${Page} title="Items" lead="What the shop sells, once and on auto order." actions=${button}>
    <${Card}>
      <${Filters} fields=${FIELDS} query=${query} label="Items" />
      <${Loaded} of=${found}>${(data) => html`
        <${Table} label="Items" rows=${data.items} empty=${any ? html`<${Empty} title="No item is found">A piece of its id is enough, or of how its description begins.<//>` : html`<${Empty} title="Nothing is sold yet" action=${button}>Orders name items, so the first item comes first.<//>`} columns=${[
          ['Item', (one) => html`${toItem(one.merchant_item_id)}<br /><span class="soft">${one.description}</span>`],
          ['Cost', (one) => html`${money(one.pricing?.cost)}${one.pricing?.auto_order_cost ? html`<br /><span class="soft small">${money(one.pricing.auto_order_cost)} on auto order</span>` : ''}`, 'num'],
          ['On auto order', (one) => html`${kind(one)}${one.auto_order?.auto_order_paused && html` <${Tag} kind="warn">Paused<//>`}`],
          ['Category', (one) => one.parent_category_path || ''],
          ['State', (one) => (one.inactive ? html`<${Tag} kind="bad">Not for sale<//>` : html`<${Tag} kind="good">For sale<//>`)],
          ['Changed', (one) => day(one.last_modified_dts)],
        ]} />
        <${Pager} set=${data.metadata.result_set} label="Pages of items" />`}<//>
    <//>
    ${adding && html`<${Add} close=${() => add(false)} />`}
  <//>`;
}

function Add({ close }) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const save = async () => {
    if (!form.current.reportValidity()) return;
    const said = new FormData(form.current);
    const cost = said.get('cost');
    try {
      const { item } = await post('/item/items', { merchant_item_id: said.get('id').trim(), description: said.get('description'), ...(cost ? { pricing: { cost: Number(cost) } } : {}) });
      toast('Added.');
      close();
      go(`/items/${encodeURIComponent(item.merchant_item_id)}`);
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  return html`<${Dialog} title="Add an item" close=${close}>
    <${Summary} problems=${problems} title="It was not added" titleOf=${(pointer) => ({ merchant_item_id: 'Item id', description: 'Description', pricing: 'Cost' }[pointer.split('/')[1]] || pointer)} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}>
      <div class="field"><label for="new-id">Item id</label><p class="help">Your own name for it: up to 20 letters, digits, dots, dashes. It stays, for orders know the item by it.</p><input id="new-id" name="id" class="wide" required maxlength="20" autocomplete="off" /></div>
      <div class="field"><label for="new-description">Description</label><input id="new-description" name="description" class="wide" required maxlength="512" autocomplete="off" /></div>
      <div class="field"><label for="new-cost">Cost</label><input id="new-cost" name="cost" type="number" step="any" min="0" /></div>
    </form>
    <div class="row"><${Do} kind="main" act=${save}>Add it<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>
  <//>`;
}
