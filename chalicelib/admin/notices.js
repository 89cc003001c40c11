// Every e-mail that the shop sends.
import { html } from './lib.js';
import { get } from './api.js';
import { link } from './router.js';
import { Card, Loaded, Page, Table, Tag, useLoad } from './ui.js';

export default function Notices() {
  const found = useLoad(async () => (await get('/configuration/notice_templates')).notice_templates, []);
  return html`<${Page} title="E-mails" lead="The texts of every notice. What you do not change stays the default's, and follows it.">
    <${Card}><${Loaded} of=${found}>${(rows) => html`<${Table} label="E-mails" rows=${rows} columns=${[
      ['E-mail', (row) => html`<a href=${link(`/configuration/notices/${row.template}`)}>${row.title}</a>`],
      ['When', (row) => row.description],
      ['To', (row) => (row.recipient === 'merchant' ? 'You' : 'The customer')],
      ['Texts', (row) => (row.edited ? html`<${Tag}>Your own<//>` : html`<span class="soft">Default</span>`)],
    ]} />`}<//><//>
  <//>`;
}
