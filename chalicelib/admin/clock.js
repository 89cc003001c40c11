// The banner of test mode; what moves the shop's time is loaded when somebody wants to.
import { html, useState } from './lib.js';
import { may, runs, session } from './api.js';
import { moment } from './format.js';
import { Late, useLoad } from './parts.js';

const loadTravel = () => import('./travel.js');

export default function Clock() {
  const [open, set] = useState(false);
  const told = useLoad(async () => (may('auto_order_read') ? runs() : null), []);
  const now = told.data;
  return html`<aside class="banner" aria-label="Test mode">
    <span role="status">Test mode. No card is charged and no e-mail leaves. Shop ${session.value.merchant_id}.
      ${now && html` It is ${moment(now.now_dts)}.`}</span>
    ${now?.test_clock && may('configuration_write') && html`<button onClick=${() => set(true)}>Test clock…</button>`}
  </aside>
  ${open && html`<${Late} load=${loadTravel} found=${told} close=${() => set(false)} />`}`;
}
