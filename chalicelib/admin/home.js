// How the shop stands: the last run, the next one, what is coming, and why customers leave.
import { html } from './lib.js';
import { get, may, runs } from './api.js';
import { clock, count, day, moment, money, number, shop } from './format.js';
import { link } from './router.js';
import { Bars, Card, Columns, Empty, Late, Loaded, Page, Table, useLoad } from './parts.js';

const loadWaiting = () => import('./waiting.js');

export default function Home() {
  const late = useLoad(() => runs(), []);
  const ahead = useLoad(async () => (await get('/report/forecast?days=14')).forecast_report, []);
  const left = useLoad(async () => (await get('/report/cancel_reasons')).cancel_reason_report, []);
  return html`<${Page} title="Home" lead=${late.data && `${moment(late.data.now_dts)} in ${late.data.time_zone}.`}>
    <${Loaded} of=${late}>${(told) => html`<${Figures} told=${told} held=${ahead.data?.held} />`}<//>
    <${Late} load=${loadWaiting} />
    <div class="grid">
      <${Card} title="Orders due in the next 14 days">
        <${Loaded} of=${ahead}>${(told) => told.orders ? html`
          <${Columns} label="Orders due by day" data=${told.days.map((row) => [String(Number(row.day.slice(8))), row.orders])} />
          <p class="soft"><a href="#/reports?report=forecast">${count(told.orders, 'order')}</a>, ${money(told.revenue)}, if every charge is approved.</p>` : html`
          <${Empty} title="Nothing is due">An auto order begins when an order with a schedule is paid.<//>`}<//>
      <//>
      <${Card} title="Cancel reasons, last 30 days">
        <${Loaded} of=${left}>${(told) => told.count ? html`
          <${Bars} label="Cancellations by reason" data=${told.reasons.slice(0, 6).map((row) => [row.reason, row.count])} />
          <p class="soft"><a href="#/reports">${count(told.count, 'cancellation')}</a>; their next rebills would have brought ${money(told.lost_revenue)}.</p>` : html`
          <${Empty} title="Nobody has canceled">In the last 30 days.<//>`}<//>
      <//>
    </div>
    <${Loaded} of=${late}>${(told) => html`<${Card} title="The last runs">
      <${Table} label="The last runs" rows=${told.days.slice(0, 7)} columns=${[
        ['Day', (row) => day(row.day)],
        ['Paid', (row) => paid(row), 'num'],
        ['Declined', (row) => declined(row), 'num'],
        ['Taken', (row) => money(row.rebill_revenue), 'num'],
      ]} />
    <//>`}<//>
    <${FirstSteps} />
  <//>`;
}

// A number of a day's, as a link to what it counts.
const counted = (number_, to) => (number_ ? html`<a href=${to}>${number(number_)}</a>` : '0');
const paid = (row) => counted(row.rebills, link('/orders', { creation_date_begin: row.day, creation_date_end: row.day }));
const declined = (row) => counted(row.declines, link('/reports', { report: 'recovery', begin_date: row.day, end_date: row.day }));

function Figures({ told, held }) {
  const [today] = told.days;
  const last = told.days.find((row) => row.rebills || row.declines) || today;
  return html`<div class="grid figures">
    <section class="card"><strong>${paid(last)}</strong>rebills paid<br /><span class="soft">${day(last.day)}, ${money(last.rebill_revenue)}</span></section>
    <section class="card"><strong>${declined(last)}</strong>declined<br /><span class="soft">${day(last.day)}</span></section>
    <section class="card"><strong><a href="#/rehearsal">${held === undefined ? '…' : number(held)}</a></strong>stopped or held within 90 days</section>
    <section class="card"><strong>${clock(told.opens_dts)}</strong>the window opens next<br /><span class="soft">${day(told.opens_dts)}.</span> <a href="#/rehearsal">Rehearse it</a></section>
  </div>`;
}

// What a new shop does first; each step is gone once it is done. Of webhooks it asks how many there are, and for none.
function FirstSteps() {
  const done = useLoad(async () => {
    const [rules, hooks] = await Promise.all([
      get('/configuration/auto_order_processing').then((a) => Boolean(a.auto_order_processing.cancel_reasons?.length)),
      may('webhook_read') ? get('/webhook/webhooks?_limit=1&_offset=1000').then((a) => a.metadata.result_set.total_records > 0) : true,
    ]);
    return { rules, hooks };
  }, []);
  const steps = done.data && [
    [!shop.value.merchant_id || shop.value.support_email, '/configuration/merchant', 'Say where customers write to', 'The support address stands in every mail.'],
    [done.data.rules, '/configuration/auto_order_processing?field=cancel_reasons', 'Name your cancel reasons', 'So that you learn why customers leave.'],
    [done.data.hooks, '/webhooks', 'Tell another system of what happens', 'A webhook is sent each event, signed.'],
  ].filter(([is]) => !is);
  if (!steps?.length) return null;
  return html`<${Card} title="First steps"><ul>${steps.map(([, to, title, why]) => html`<li><a href=${`#${to}`}>${title}</a>. <span class="soft">${why}</span></li>`)}</ul><//>`;
}
