// The shop's test clock: time is moved, and what happened on the way is told.
import { html, useState } from './lib.js';
import { again, post } from './api.js';
import { count, moment, money } from './format.js';
import { link } from './router.js';
import { Dialog, Do, Loaded, Summary, Tag, problemsOf } from './ui.js';

export default function Travel({ found, close }) {
  const [told, tell] = useState(null);
  const [problems, complain] = useState([]);
  const go = (wanted) => async () => {
    complain([]);
    try {
      tell((await post('/configuration/test_clock', wanted)).test_clock);
      again();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  const to = async (event) => {
    event.preventDefault();
    // The day's end in the shop's own zone is what the field means; the API reads the offset that it told us.
    const said = new FormData(event.target).get('to');
    await go({ advance_to: `${said}:00${found.data.now_dts.slice(19)}` })();
  };
  return html`<${Dialog} title="Test clock" close=${close}>
    <${Loaded} of=${found}>${(now) => html`
      <p>It is ${moment(now.now_dts)} in ${now.time_zone}. Moving on does everything that comes due on the way: charges at the sandbox, retries, e-mails to the mailbox, webhooks. Time does not go back.</p>`}<//>
    <${Summary} problems=${problems} title="Time was not moved" titleOf=${(pointer) => pointer.slice(1)} />
    <div class="row">
      <${Do} kind="main" act=${go({ advance_to: 'next_run' })}>To the next run<//>
      <${Do} act=${go({ advance_days: 1 })}>One day<//>
      <${Do} act=${go({ advance_days: 7 })}>One week<//>
    </div>
    <form class="row" onSubmit=${to}>
      <label for="to">To</label><input id="to" name="to" type="datetime-local" required />
      <button>Go there</button>
    </form>
    ${told && html`<${Told} told=${told} close=${close} />`}
    <div class="row"><button onClick=${(event) => event.target.closest('dialog').close()}>Close</button></div>
  <//>`;
}

function Told({ told, close }) {
  const list = (title, rows) => rows.length > 0 && html`<h3>${title}</h3><ul>${rows.slice(0, 12).map((row) => html`<li>
    <a href=${link(`/auto_orders/${row.auto_order_oid}`)} onClick=${close}>Auto order ${row.auto_order_oid}</a>
    ${row.reason || row.code ? ` (${row.reason || row.code})` : ''}${row.total === undefined ? '' : `, ${money(row.total)}`}</li>`)}
    ${rows.length > 12 && html`<li>and ${rows.length - 12} more</li>`}</ul>`;
  return html`<div role="status">
    <p class="verdict">${moment(told.from)} to ${moment(told.to)}</p>
    <p>${count(told.number_of_orders, 'order')}, ${money(told.total)}; ${count(told.number_of_declines, 'decline')}; ${count(told.number_of_mails, 'e-mail')}.
      ${' '}${told.rehearsal.same ? html`<${Tag} kind="good">As rehearsed<//>` : html`<${Tag} kind="warn">Otherwise than rehearsed: ${money(told.rehearsal.total)}<//>`}</p>
    ${list('Billed', told.orders)}${list('Being retried', told.retrying)}${list('Disabled', told.disabled)}${list('Held', told.held)}
  </div>`;
}
