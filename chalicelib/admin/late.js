// What is late or was given up, in words, and what to do about it.
import { html } from './lib.js';
import { count, moment } from './format.js';
import { link } from './router.js';

const some = (row, one, many) => `${row.at_least ? 'At least ' : ''}${count(row.count, one, many)}`;
const since = (row) => (row.since_dts ? ` since ${moment(row.since_dts)}` : '');

export default function Trouble({ told }) {
  const [orders, events, hooks] = [told.late_auto_orders, told.late_events, told.dead_deliveries || []];
  return html`
    ${orders.count > 0 && html`<p class="note bad">${some(orders, 'auto order')} should have been looked at${since(orders)}, and nobody did. Nothing is lost: each is billed once, as soon as the schedule runs again. Ask whoever runs this back room why it stands still.</p>`}
    ${events.count > 0 && html`<p class="note bad">${some(events, 'change')} could not be told to lists, e-mails and webhooks${since(events)}. They are tried again every few minutes; ask whoever runs this back room, whose log says why.</p>`}
    ${told.queues.some((one) => one.late) && html`<p class="note bad">What is marked late waits longer than it should: whatever works at it stands still or does not keep up. Ask whoever runs this back room.</p>`}
    ${told.queues.some((one) => one.dead_letters) && html`<p class="note bad">Dead letters failed five times and are not tried any more. Ask whoever runs this back room: the guide to deploying says, under Dead letters, where the causes stand and how they are sent again. Nothing is charged twice by that.</p>`}
    ${hooks.map((one) => html`<p class="note bad">${some(one, 'delivery', 'deliveries')} to <a href=${link(`/webhooks/${one.webhook_oid}`)}>${one.webhook_url}</a> ${one.count === 1 ? 'is' : 'are'} not tried any more. See why there, and send them again.</p>`)}`;
}
