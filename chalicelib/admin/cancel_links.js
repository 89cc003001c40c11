// Links for a storefront or a mail, by which customers ask for their own cancel link.
import { html } from './lib.js';
import { get } from './api.js';
import { Card, Copy, Empty, Loaded, Page, useLoad } from './ui.js';

export default function CancelLinks() {
  const links = useLoad(async () => (await get('/configuration/auto_order_processing/links')).links, []);
  return html`<${Page} title="Cancel links" lead="Put one on your website or into an e-mail: whoever follows it is mailed a link of his own.">
    <${Loaded} of=${links}>${(found) => (found.length ? found.map((one, at) => html`<${Card} title=${one.origin || (at ? `Link ${at + 1}` : 'Link')}>
      <h3>Address</h3><pre tabindex="0">${one.url}</pre><${Copy} text=${one.url}>Copy the address<//>
      <h3>HTML</h3><pre tabindex="0">${one.html}</pre><${Copy} text=${one.html}>Copy the HTML<//>
    <//>`) : html`<${Card}><${Empty} title="There is no link yet">Name the pages that may call the shop first.<//><//>`)}<//>
    <p class="soft">Reasons that customers choose from stand in <a href="#/configuration/auto_order_processing?field=cancel_reasons">Auto Order Processing</a>.</p>
  <//>`;
}
