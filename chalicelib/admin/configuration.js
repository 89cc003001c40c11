// Every section of settings that the product pages name, in the two views that they have. What is not there yet says so.
import { html, useState } from './lib.js';
import { may } from './api.js';
import { link } from './router.js';
import { ABOUT, rules } from './rules.js';
import { sections } from './sections.js';
import { Card, Empty, Loaded, Page, Table, Tag, useLoad } from './ui.js';

// Name, what it is for, the screen, where there is one, and whether the basic view names it all the same.
const ALL = [
  ['Account', 'The plan, its bills and its users.'],
  ['Your account', 'Your password and one-time codes.', '/account'],
  ['Accounts Receivable Retry', 'Unpaid orders are charged again on a schedule of yours.'],
  ['Authorized Applications', 'API keys: what other programs may do here.', '/configuration/api_keys'],
  ['Activity', 'Who has changed what, and when.', '/configuration/activity'],
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
  ['UltraBooks', 'Orders for QuickBooks.'],
  ['Users', 'Who may sign in, and what each may do.', '/configuration/users'],
  ['Webhooks', 'Other systems are told of what happens.', '/webhooks'],
  ['XML Postback', 'A copy of each order as XML to another server.'],
  ...sections.filter((section) => section.settings).map(({ title, settings, path }) => [title, ABOUT[settings], path]),
].sort(([one], [other]) => one.localeCompare(other));
// The advanced view has all of these; the basic view those that this version has, and those that it names.
const there = ([, , path]) => path && sections.some((section) => section.path === path && may(section.needs));

export default function Configuration({ query }) {
  const advanced = query.view === 'advanced';
  const [text, say] = useState(query.search || '');
  const asked = text.trim().toLowerCase();
  // The address remembers it, without a step back for each letter.
  const find = ({ target }) => { say(target.value); history.replaceState(null, '', link('/configuration', { ...query, search: target.value })); };
  const rows = ALL.filter((row) => advanced || there(row) || row[3]).filter(([title, about]) => `${title} ${about}`.toLowerCase().includes(asked));
  const view = (value, title) => html`<a class="button" href=${link('/configuration', { search: text, view: value })} aria-current=${advanced === (value === 'advanced') ? 'true' : undefined}>${title}</a>`;
  return html`<${Page} title="Configuration" lead=${advanced ? 'Everything, also what is not in this version.' : 'What this shop can be set to.'} actions=${html`${view('', 'Basic')}${view('advanced', 'Advanced')}`}>
    <form class="filters" role="search" aria-label="Settings" onSubmit=${(event) => event.preventDefault()}><label>Find a section or a setting
      <input type="search" size="34" value=${text} autocomplete="off" placeholder="As in: retries, tax, coupon" onInput=${find} /></label></form>
    ${(rows.length > 0 || !asked) && html`<${Card} title=${asked && 'Sections'}><${Table} label="Sections" rows=${rows} columns=${[
      ['Section', (row) => (there(row) ? html`<a href=${link(row[2])}>${row[0]}</a>` : html`<span class="soft">${row[0]}</span>`)],
      ['What it is for', ([, about]) => html`<span class="soft">${about}</span>`],
      ['State', (row) => !there(row) && html`<${Tag} kind="plain">Not in this version<//>`],
    ]} /><//>`}
    ${asked && html`<${Settings} asked=${asked} none=${!rows.length} />`}
  <//>`;
}

function Settings({ asked, none }) {
  const found = useLoad(rules, []);
  return html`<${Loaded} of=${found}>${(all) => {
    const rows = all.filter((one) => one.about.includes(asked));
    if (!rows.length) return none && html`<${Card}><${Empty} title="Nothing is set by that name">Try a word of its title or of what it does.<//><//>`;
    return html`<${Card} title="Settings"><${Table} label="Settings" rows=${rows} columns=${[
      ['Setting', (one) => html`<a href=${link(one.to, one.query)}>${one.title}</a>`],
      ['Section', (one) => one.section],
      ['What it does', (one) => html`<span class="soft">${one.help}</span>`],
    ]} /><//>`;
  }}<//>`;
}
