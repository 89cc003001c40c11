// One endpoint: how it stands, what was delivered, what was not.
import { html, useState } from './lib.js';
import { again, call, get, may, post, query as text } from './api.js';
import { count, moment, number, words } from './format.js';
import { go, link } from './router.js';
import { Secret, state, subscribed } from './webhooks.js';
import { Card, Dialog, Do, Empty, Failure, Filters, Loaded, PAGE, Page, Pager, Table, Tag, toast, useLoad } from './ui.js';

const FIELDS = [
  ['event', 'Event'], ['orderId', 'Order'], ['success', 'Came through', [['true', 'Yes'], ['false', 'No']]], ['status', 'Answer', null, 'number'],
  ['beginDate', 'From', null, 'date'], ['endDate', 'until', null, 'date'],
];

export default function Webhook({ params, query }) {
  const path = `/webhook/webhooks/${params.oid}`;
  const one = useLoad(async () => (await get('/webhook/webhooks?_limit=200')).webhooks.find((row) => String(row.webhook_oid) === params.oid) || null, [params.oid]);
  const [dialog, show] = useState('');
  const hook = one.data;
  return html`<${Page} title=${hook ? hook.name || `Webhook ${params.oid}` : 'Webhook'} lead=${hook?.webhook_url} actions=${hook && html`${state(hook)}${may('webhook_write') && html`<${Actions} hook=${hook} path=${path} show=${show} />`}`}>
    <${Loaded} of=${one}>${(found) => (found ? html`
      <${Card} title="Events"><p>${subscribed(found).map(words).join(', ') || 'It subscribes to none.'}</p>
        ${found.next_retry_after && html`<p class="note">It is left alone until ${moment(found.next_retry_after)}, then tried with one delivery.</p>`}<//>
      <${Deliveries} path=${path} oid=${params.oid} query=${query} />
      <${Dead} path=${path} />
      ${dialog === 'secret' && html`<${Rotate} path=${path} close=${() => show('')} />`}
      ${dialog === 'delete' && html`<${Delete} path=${path} hook=${found} close=${() => show('')} />`}` : html`<${Failure} error=${{ status: 404, message: 'There is no such webhook.' }} />`)}<//>
  <//>`;
}

function Actions({ hook, path, show }) {
  const test = async () => { await post(`${path}/test`); toast('A test event is on its way; it stands among the deliveries in a moment.'); setTimeout(again, 1500); };
  const turn = async () => { await call('PUT', path, { disabled: !hook.disabled }); toast(hook.disabled ? 'Enabled; its failures are forgiven.' : 'Disabled.'); again(); };
  return html`${!hook.disabled && html`<${Do} act=${test}>Send a test event<//>`}<button onClick=${() => show('secret')}>Rotate the secret…</button>
    <${Do} act=${turn}>${hook.disabled ? 'Enable' : 'Disable'}<//><button onClick=${() => show('delete')}>Delete…</button>`;
}

function Deliveries({ path, oid, query }) {
  const asked = Object.fromEntries(FIELDS.map(([field]) => [field, query[field]]));
  const found = useLoad(() => get(`${path}/logs${text({ ...asked, _limit: PAGE, _offset: query.offset })}`), [path, JSON.stringify(query)]);
  return html`<${Card} title="Deliveries">
    <${Filters} fields=${FIELDS} query=${query} label="Deliveries" />
    <${Loaded} of=${found}>${(data) => html`
      <${Table} label="Deliveries" rows=${data.webhook_log_summaries} empty=${html`<${Empty} title="Nothing was delivered yet">Send a test event to see one.<//>`} columns=${[
        ['When', (row) => html`<a href=${link(`/webhooks/${oid}/${encodeURIComponent(row.request_id)}`)}>${moment(row.delivery_dts)}</a>`],
        ['Event', (row) => (row.event_names || []).map(words).join(', ')],
        ['Order', (row) => (row.order_ids || []).join(', ')],
        ['Answer', (row) => (row.success === undefined ? html`<${Tag} kind="plain">Asked to send again<//>` : html`<${Tag} kind=${row.success ? 'good' : 'bad'}>${row.status_code || 'None'}<//>`)],
        ['Took', (row) => (row.duration === undefined ? '' : `${number(row.duration)} ms`), 'num'],
      ]} />
      <${Pager} set=${data.metadata.result_set} label="Pages of deliveries" />`}<//>
  <//>`;
}

function Dead({ path }) {
  const found = useLoad(async () => (await get(`${path}/dead?_limit=50`)).dead_deliveries, [path]);
  const replay = async () => { const { replay: told } = await post(`${path}/dead/replay`); toast(`${count(told.replayed, 'delivery', 'deliveries')} will be tried again.`); again(); };
  return html`<${Loaded} of=${found}>${(rows) => rows.length > 0 && html`<${Card} title="Not tried any more" actions=${may('webhook_write') && html`<${Do} act=${replay}>Send all again<//>`}>
    <${Table} label="Not tried any more" rows=${rows} columns=${[
      ['Ended', (row) => moment(row.ended_dts)], ['Event', (row) => (row.event_names || []).map(words).join(', ')],
      ['Tries', (row) => number(row.tries), 'num'], ['Why', (row) => row.reason],
      ['Again', (row) => may('webhook_write') && html`<${Do} act=${async () => { await post(`${path}/logs/${encodeURIComponent(row.event_id)}/resend`); toast('It will be tried again.'); again(); }}>Send again<//>`],
    ]} /><//>`}<//>`;
}

function Rotate({ path, close }) {
  const [made, set] = useState(null);
  const rotate = (query) => async () => { set((await post(`${path}/rotate_secret${query}`)).webhook.signing_secret); again(); };
  return html`<${Dialog} title="Rotate the signing secret" close=${close}>
    ${made ? html`<${Secret} text=${made} />` : html`<p>A new secret signs from now on. The old one signs beside it for a day, so that your receiver can change over in peace. If it has leaked, end it at once.</p>
      <div class="row"><${Do} kind="main" act=${rotate('')}>Rotate, with a day of overlap<//><${Do} kind="danger" act=${rotate('?at_once=true')}>End the old one at once<//></div>`}
    <div class="row"><button onClick=${(event) => event.target.closest('dialog').close()}>Close</button></div>
  <//>`;
}

function Delete({ path, hook, close }) {
  const remove = async () => { await call('DELETE', path); toast('Deleted.'); close(); go('/webhooks'); };
  return html`<${Dialog} title="Delete this webhook?" close=${close}>
    <p>${hook.webhook_url} is told nothing more, and ${count(hook.pending || 0, 'delivery', 'deliveries')} that wait for it end.</p>
    <div class="row"><${Do} kind="danger" act=${remove}>Delete it<//><button onClick=${(event) => event.target.closest('dialog').close()}>Keep it</button></div>
  <//>`;
}
