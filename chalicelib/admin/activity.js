// Who has done what in this shop, newest first.
import { html } from './lib.js';
import { get, may, query as text } from './api.js';
import { moment, words } from './format.js';
import { link, matched } from './router.js';
import { sections } from './sections.js';
import { Card, Empty, Filters, Loaded, PAGE, Page, useLoad } from './ui.js';
import { Onward } from './transfers.js';

const NOUNS = ['api_key', 'auto_order', 'coupon', 'customer', 'export', 'gift_certificate', 'import', 'item', 'ledger', 'notice_template', 'order', 'settings', 'user', 'webhook'];
const FIELDS = [
  ['actor', 'Login, or key and its name'], ['noun', 'What', NOUNS.map((noun) => [noun, noun === 'api_key' ? 'API key' : words(noun)])], ['key', 'Its number or name'],
  ['begin_date', 'From', null, 'date'], ['end_date', 'until', null, 'date'],
];
const PLACES = {
  api_key: () => '/configuration/api_keys', auto_order: (key) => `/auto_orders/${key}`, customer: (key) => `/customers/${key}`, export: () => '/customers/exports',
  import: (key) => `/customers/imports/${key}`, notice_template: (key) => `/configuration/notices/${key}`, order: (key) => `/orders/${encodeURIComponent(key)}`,
  settings: (key) => sections.find((one) => one.settings === key)?.path, user: (key) => `/configuration/users/${key}`, webhook: (key) => `/webhooks/${key}`,
  // Points stand with the customer whose they are.
  ledger: (key) => key.startsWith('points#') && `/customers/${key.slice(7)}`,
};
const SAID = {
  welcomed: 'Chose a password by a link', welcome_made: 'Link for a password', sign_in_failed: 'Sign in failed', code_failed: 'A code failed', password_failed: 'A password failed',
  export_inserted: 'Export started', import_inserted: 'Import started', import_updated: 'Import decided on', notice_template_deleted: 'Text of an e-mail given up', ledger_entry: 'Entered by hand',
};

// What it was done to: a link where there is a screen of it that may be seen, and it is still there.
function About({ row }) {
  const said = row.noun === 'settings' ? sections.find((one) => one.settings === row.key)?.title || words(row.key) : `${row.noun === 'api_key' ? 'API key' : words(row.noun)} ${row.subject || (row.noun === 'user' ? row.actor : row.key)}`;
  const path = !row.action.endsWith('_deleted') && !row.action.endsWith('_delete') && !row.action.endsWith('_revoked') && PLACES[row.noun]?.(row.key);
  return path && sections.some((one) => matched(one.path, path) && may(one.needs)) ? html`<a href=${link(path)}>${said}</a>` : said;
}

const Changed = ({ rows = [] }) => (rows.some((one) => one.before || one.after)
  ? rows.map((one) => html`<p class="small">${words(one.field)}: <del>${one.before || 'nothing'}</del> → <strong>${one.after || 'nothing'}</strong></p>`)
  : rows.length > 0 && html`<p class="small">${rows.map((one) => words(one.field)).join(', ')}</p>`);

export default function Activity({ query }) {
  const asked = Object.fromEntries(FIELDS.map(([field]) => [field, query[field]]));
  const found = useLoad(() => get(`/activity${text({ ...asked, _limit: PAGE, cursor: query.cursor })}`), [JSON.stringify(query)]);
  const any = FIELDS.some(([field]) => query[field]);
  return html`<${Page} title="Activity" lead="Who has signed in, and what people and programs have changed, for thirteen months. What charges bring stands with the auto orders and orders themselves.">
    <${Card}><${Filters} fields=${FIELDS} query=${query} label="Activity" />
      <${Loaded} of=${found}>${({ activities, metadata }) => html`
        ${activities.length ? html`<ol class="timeline">${activities.map((row) => html`<li class=${row.action.endsWith('failed') ? 'bad' : ''}>
            <p>${SAID[row.action] || words(row.action)}${row.noun && html`: <${About} row=${row} />`}</p><${Changed} rows=${row.changed} />
            <p class="soft small">${moment(row.activity_dts)} · ${row.actor ? html`<a href=${link('/configuration/activity', { actor: row.actor })}>${row.actor}</a>` : 'nobody known'}${row.ip_address && ` · ${row.ip_address}`}</p></li>`)}</ol>` : metadata.next_cursor
          ? html`<${Empty} title="Nothing of that kind so far">There is more to look through: go on with Next.<//>`
          : html`<${Empty} title="Nothing was done">${any ? 'Clear the filters, or look at other days.' : 'What somebody changes stands here from the moment of the change.'}<//>`}
        <${Onward} query=${query} next=${metadata.next_cursor} label="Pages of the activity" />`}<//>
    <//>
  <//>`;
}
