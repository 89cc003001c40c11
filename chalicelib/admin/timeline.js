// What happened: each entry with who did it, and what stood there before and after.
import { html, useState } from './lib.js';
import { get } from './api.js';
import { moment, words } from './format.js';
import { link } from './router.js';
import { Do, Failure } from './ui.js';

const GOOD = new Set(['begun', 'established', 'billed', 'enabled', 'payment', 'cancel_item']);
const BAD = new Set(['declined', 'failed', 'held', 'disabled', 'canceled', 'not_sent', 'payment_review', 'receivable']);
const kind = (entry) => (GOOD.has(entry.kind) ? 'good' : BAD.has(entry.kind) ? 'bad' : '');

// The way to a field, as words: items/123/arbitrary_unit_cost.
const field = (name, items) => name.split('/').map((part) => items[part] || (part === 'items' ? '' : words(part))).filter(Boolean).join(', ');

export function Timeline({ first, path, items }) {
  const [more, add] = useState([]);
  const [cursor, at] = useState(first.metadata.next_cursor);
  const entries = [...first.timeline, ...more];
  const next = async () => {
    const page = await get(`${path}?_limit=20&cursor=${encodeURIComponent(cursor)}`);
    add([...more, ...page.timeline]);
    at(page.metadata.next_cursor);
  };
  if (!entries.length) return html`<${Failure} error=${{ status: 404, message: 'Nothing is known of its past.' }} />`;
  return html`<ol class="timeline">${entries.map((entry) => html`<li class=${kind(entry)}>
      <p>${entry.changes ? words(entry.kind) : entry.log_message}${entry.order_id && html` <a href=${link(`/orders/${encodeURIComponent(entry.order_id)}`)}>Open the order</a>`}</p>
      ${entry.reason && entry.changes && html`<p>Reason: ${entry.reason}</p>`}
      ${entry.changes?.map((change) => html`<p class="small">${field(change.field, items)}: <del>${change.before || 'nothing'}</del> → <strong>${change.after || 'nothing'}</strong></p>`)}
      <p class="soft small">${moment(entry.log_dts)} · ${entry.actor}</p>
    </li>`)}</ol>
    ${cursor && html`<${Do} act=${next}>Earlier<//>`}`;
}
