// Every section of settings that the product pages name, in the two views that they have. What is not there yet says so.
import { html } from './lib.js';
import { may } from './api.js';
import { link } from './router.js';
import { sections } from './sections.js';
import { Card, Page, Table, Tag } from './ui.js';

// Name, what it is for, the screen, where there is one, and whether the basic view names it all the same.
const ALL = [
  ['Account', 'The plan, its bills and its users.'],
  ['Your account', 'Your password and one-time codes.', '/account'],
  ['Accounts Receivable Retry', 'Unpaid orders are charged again on a schedule of yours.'],
  ['Authorized Applications', 'API keys: what other programs may do here.', '/configuration/api_keys'],
  ['Activity', 'Who has changed what, and when.', '/configuration/activity'],
  ['Auto Order Processing', 'How auto orders are billed, retried, shipped and announced.', '/configuration/auto_order_processing'],
  ['Cancel Links', 'Links by which customers cancel on their own.', '/configuration/cancel_links'],
  ['Chargeback Processing', 'Disputes of card payments, handled step by step.'],
  ['E-mails', 'The texts of every notice, with a preview and a test.', '/configuration/notices'],
  ['Exporting Orders', 'Formats in which orders are exported.'],
  ['Linked Accounts', 'Several shops with the same users.'],
  ['Old Order Handling', 'Unpaid orders are rejected after so many days.'],
  ['Order Retention', 'How long what customers ordered is kept.', null, true],
  ['Printable Documents', 'Address labels, packing slips, invoices, pick lists and receipts.'],
  ['QuickBooks Terms and Lists', 'What customer profiles say to QuickBooks.'],
  ['Report Delivery', 'A summary of the shop by e-mail, now and then.', null, true],
  ['Service Plan', 'The plan, as it was shown before.'],
  ['Shop', 'Its name, zone, sender and the pages that may call it.', '/configuration/merchant'],
  ['UltraBooks', 'Orders for QuickBooks.'],
  ['Users', 'Who may sign in, and what each may do.', '/configuration/users'],
  ['Webhooks', 'Other systems are told of what happens.', '/webhooks'],
  ['XML Postback', 'A copy of each order as XML to another server.'],
];
// The advanced view has all of these; the basic view those that this version has, and those that it names.
const there = ([, , path]) => path && sections.some((section) => section.path === path && may(section.needs));

export default function Configuration({ query }) {
  const advanced = query.view === 'advanced';
  const rows = ALL.filter((row) => advanced || there(row) || row[3]);
  const view = (value, title) => html`<a class="button" href=${link('/configuration', { view: value })} aria-current=${advanced === (value === 'advanced') ? 'true' : undefined}>${title}</a>`;
  return html`<${Page} title="Configuration" lead=${advanced ? 'Everything, also what is not in this version.' : 'What this shop can be set to.'} actions=${html`${view('', 'Basic')}${view('advanced', 'Advanced')}`}>
    <${Card}><${Table} label="Sections" rows=${rows} columns=${[
      ['Section', (row) => (there(row) ? html`<a href=${link(row[2])}>${row[0]}</a>` : html`<span class="soft">${row[0]}</span>`)],
      ['What it is for', ([, about]) => html`<span class="soft">${about}</span>`],
      ['State', (row) => !there(row) && html`<${Tag} kind="plain">Not in this version<//>`],
    ]} /><//>
  <//>`;
}
