// The run that comes next, rehearsed: the same plan as the real one, and nothing is written or sent.
import { html } from './lib.js';
import { post, query as text, runs } from './api.js';
import { count, day, moment, money } from './format.js';
import { link } from './router.js';
import { Card, Empty, Filters, Loaded, Page, Table, useLoad } from './ui.js';

const FIELDS = [['until', 'Until the end of', null, 'date']];

export default function Rehearsal({ query }) {
  const found = useLoad(async () => {
    const late = await runs();
    // A day of the shop's, in the offset that the API told.
    const until = query.until ? `${query.until}T23:59:59${late.closes_dts.slice(-6)}` : '';
    return { late, told: (await post(`/auto_order/rehearsal${text({ until })}`)).rehearsal };
  }, [query.until]);
  return html`<${Page} title="Tonight's run" lead="What would be billed and held if it ran now. Nothing is charged, and nothing is written.">
    <${Card}>
      <${Filters} fields=${FIELDS} query=${query} label="How far" verb="Show" />
      <${Loaded} of=${found}>${({ late, told }) => html`
        <p class="verdict">${count(told.number_of_orders, 'order')}, ${money(told.total)}, until ${moment(told.until)}.</p>
        <p class="soft">It is ${moment(told.from)}; the window opens next on ${moment(late.opens_dts)}. Every charge is taken as approved.</p>`}<//>
    <//>
    <${Loaded} of=${found}>${({ told }) => html`
      <${Card} title=${`Billed: ${count(told.billed.length, 'order')}`}>
        <${Table} label="Billed" rows=${told.billed} empty=${html`<${Empty} title="Nothing would be billed">No auto order comes due until then.<//>`} columns=${[
          ['Auto order', (row) => html`<a href=${link(`/auto_orders/${row.auto_order_oid}`)}>${row.auto_order_oid}</a>`],
          ['Run', (row) => row.run, 'num'],
          ['Day', (row) => day(row.day)],
          ['Items', (row) => row.items.join(', ')],
          ['Total', (row) => money(row.total), 'num'],
        ]} />
      <//>
      <${Card} title=${`Held or stopped: ${count(told.held.length, 'auto order')}`}>
        <${Table} label="Held or stopped" rows=${told.held} empty=${html`<${Empty} title="Nothing is held">Whatever is due would be billed.<//>`} columns=${[
          ['Auto order', (row) => html`<a href=${link(`/auto_orders/${row.auto_order_oid}`)}>${row.auto_order_oid}</a>`],
          ['Run', (row) => row.run, 'num'],
          ['Why', (row) => row.message],
        ]} />
      <//>
      <p class="soft small">Digest <code>${told.digest}</code>: a real run with the same digest billed the same.</p>`}<//>
  <//>`;
}
