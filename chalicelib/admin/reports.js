// Reports: why customers leave, on which attempt declined rebills are paid, and what was forecast against what came.
import { html } from './lib.js';
import { get, query as text } from './api.js';
import { count, day, money, number } from './format.js';
import { link } from './router.js';
import { Bars, Card, Columns, Empty, Filters, Loaded, Page, Table, useLoad } from './ui.js';

const TABS = [['', 'Cancel reasons'], ['recovery', 'Recovery'], ['forecast', 'Forecast and what came']];
const PERIOD = [['begin_date', 'From', null, 'date'], ['end_date', 'until', null, 'date']];

export default function Reports({ query }) {
  const Tab = { recovery: Recovery, forecast: Forecast }[query.report] || CancelReasons;
  return html`<${Page} title="Reports">
    <nav class="tabs" aria-label="Reports">${TABS.map(([value, title]) => html`<a href=${link('/reports', { report: value })} aria-current=${(query.report || '') === value ? 'true' : undefined}>${title}</a>`)}</nav>
    <${Tab} key=${query.report} query=${query} />
  <//>`;
}

const ask = (path, name, query, fields) => useLoad(async () => (await get(`/report/${path}${text(Object.fromEntries(fields.map((field) => [field, query[field]])))}`))[name], [JSON.stringify(query)]);

function CancelReasons({ query }) {
  const fields = [...PERIOD, ['merchant_item_id', 'Item']];
  const found = ask('cancel_reasons', 'cancel_reason_report', query, fields.map(([field]) => field));
  return html`<${Card}><${Filters} fields=${fields} query=${query} label="Period" verb="Show" />
    <${Loaded} of=${found}>${(told) => html`
      <p class="verdict">${count(told.count, 'cancellation')} from ${day(told.begin_date)} to ${day(told.end_date)}; their next rebills would have brought ${money(told.lost_revenue)}.</p>
      ${told.reasons.length > 0 && html`<${Bars} label="Cancellations by reason" data=${told.reasons.map((row) => [row.reason, row.count])} />`}
      <${Table} label="By reason" rows=${told.reasons} empty=${html`<${Empty} title="Nobody has canceled">In this period.<//>`} columns=${[
        ['Reason', (row) => row.reason],
        ['Count', (row) => number(row.count), 'num'],
        ['Share', (row) => `${number(row.share)} %`, 'num'],
        ['By customers', (row) => number(row.by_customer), 'num'],
        ['Lost', (row) => money(row.lost_revenue), 'num'],
        ['Items', (row) => row.items.map((item) => `${item.merchant_item_id} (${item.count})`).join(', ')],
      ]} />`}<//>
  <//>`;
}

function Recovery({ query }) {
  const found = ask('recovery', 'recovery_report', query, PERIOD.map(([field]) => field));
  return html`<${Card}><${Filters} fields=${PERIOD} query=${query} label="Period" verb="Show" />
    <${Loaded} of=${found}>${(told) => html`
      <p class="soft">From ${day(told.begin_date)} to ${day(told.end_date)}. Attempt 1 is the first charge of a rebill, 2 the first retry.</p>
      <${Table} label="By attempt" rows=${told.attempts} empty=${html`<${Empty} title="Nothing was charged">In this period.<//>`} columns=${[
        ['Attempt', (row) => number(row.attempt), 'num'],
        ['Paid', (row) => number(row.paid), 'num'],
        ['Declined', (row) => number(row.declined), 'num'],
        ['Paid of those', (row) => `${number(row.share)} %`, 'num'],
        ['Taken', (row) => money(row.revenue), 'num'],
      ]} />`}<//>
  <//>`;
}

function Forecast({ query }) {
  const fields = [['days', 'Days', ['14', '30', '90'], null, '14'], ['made_date', 'As it was forecast on', null, 'date']];
  const found = ask('forecast', 'forecast_report', query, fields.map(([field]) => field));
  const few = (told) => told.days.slice(0, 31);
  return html`<${Card}><${Filters} fields=${fields} query=${query} label="Forecast" verb="Show" />
    <${Loaded} of=${found}>${(told) => html`
      <p class="verdict">Forecast on ${day(told.made_date)}: ${count(told.orders, 'rebill')}, ${money(told.revenue)} until ${day(told.end_date)}; ${count(told.held, 'auto order')} stopped or held.</p>
      ${told.actual_orders !== undefined && html`<p>Of the days that are over: ${count(told.actual_orders, 'rebill')} came, ${money(told.actual_revenue)}.</p>`}
      <${Columns} label="Rebills by day" data=${few(told).map((row) => [String(Number(row.day.slice(8))), row.orders, undefined, row.actual_orders])} />
      <${Table} label="By day" rows=${told.days} columns=${[
        ['Day', (row) => day(row.day)],
        ['Forecast', (row) => number(row.orders), 'num'],
        ['Amount', (row) => money(row.revenue), 'num'],
        ['Came', (row) => number(row.actual_orders), 'num'],
        ['Amount that came', (row) => money(row.actual_revenue), 'num'],
      ]} />`}<//>
  <//>`;
}
