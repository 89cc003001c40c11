// Work that waits: whether anything is late, and how the queues stand.
import { html } from './lib.js';
import { get } from './api.js';
import { clock, count, number } from './format.js';
import { Card, Late, Loaded, Table, Tag, useLoad } from './parts.js';

const QUEUES = { rebill: 'Charges', deliver: 'E-mails and webhooks', reconcile: 'Checks at the gateways', files: 'Exports and imports' };
const loadLate = () => import('./late.js');
const age = (n) => (n < 120 ? count(n, 'second') : n < 7200 ? count(Math.floor(n / 60), 'minute') : n < 172800 ? count(Math.floor(n / 3600), 'hour') : count(Math.floor(n / 86400), 'day'));
const aged = (n, of) => (n !== undefined ? age(n) : of ? 'Not known' : '');

export default function Waiting() {
  const found = useLoad(async () => (await get('/report/queues')).queues_report, []);
  return html`<${Card} title="Work that waits"><${Loaded} of=${found}>${(told) => {
    const bad = told.late_auto_orders.count || told.late_events.count || told.dead_deliveries?.length || told.queues.some((one) => one.late || one.dead_letters);
    const dated = told.queues.find((one) => one.ages_dts);
    return html`${bad ? html`<${Late} load=${loadLate} told=${told} />` : html`<p class="note good">Nothing is late, and nothing was given up.</p>`}
      <${Table} label="Queues" rows=${told.queues} columns=${[
        ['Queue', (one) => QUEUES[one.name] || one.name],
        ['State', (one) => html`<${Tag} kind=${one.late || one.dead_letters ? 'bad' : 'good'}>${one.dead_letters ? count(one.dead_letters, 'dead letter') : one.late ? 'Late' : 'On time'}<//>${one.dead_letters > 0 && `, ${aged(one.oldest_dead_letter_seconds, 1)}`}`],
        ['Waiting', (one) => number(one.waiting + one.delayed), 'num'],
        ['In work', (one) => number(one.in_flight), 'num'],
        ['Oldest', (one) => aged(one.oldest_seconds, one.waiting + one.in_flight + one.delayed), 'num'],
      ]} />
      <p class="soft small">Queues are those of the whole back room.${dated && ` Their ages are of ${clock(dated.ages_dts)}.`}</p>`;
  }}<//><//>`;
}
