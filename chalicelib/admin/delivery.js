// One try of one delivery: what was sent, and what came back.
import { html } from './lib.js';
import { get, may, post } from './api.js';
import { moment, number, words } from './format.js';
import { link } from './router.js';
import { Card, Do, Loaded, Page, Tag, toast, useLoad } from './ui.js';

export default function Delivery({ params }) {
  const path = `/webhook/webhooks/${params.oid}/logs/${encodeURIComponent(params.request_id)}`;
  const found = useLoad(async () => (await get(path)).webhook_log, [path]);
  const one = found.data;
  const resend = async () => { await post(`${path}/resend`); toast('It is sent again: the same id and body.'); };
  return html`<${Page} title="Delivery" lead=${one && `${(one.event_names || []).map(words).join(', ')}, ${moment(one.delivery_dts)}`}
    actions=${html`<a class="button" href=${link(`/webhooks/${params.oid}`)}>All deliveries</a>${one && may('webhook_write') && html`<${Do} kind="main" act=${resend}>Send again<//>`}`}>
    <${Loaded} of=${found}>${(log) => html`<div class="grid loose">
      <${Card} title="Request"><dl><dt>To</dt><dd>${log.uri}</dd><dt>Id</dt><dd><code>${log.request_id}</code></dd></dl>
        <${Headers} of=${log.request_headers} /><h3>Body</h3><${Body} text=${log.request} of="request" /><//>
      <${Card} title="Answer"><dl><dt>Status</dt><dd>${log.success === undefined ? 'Nothing was sent: this is a note.' : html`<${Tag} kind=${log.success ? 'good' : 'bad'}>${log.status_code || 'No answer'}<//>`}</dd>
        ${log.duration !== undefined && html`<dt>Took</dt><dd>${number(log.duration)} ms</dd>`}</dl>
        <${Headers} of=${log.response_headers} /><h3>Body</h3><${Body} text=${log.response} of="answer" /><//>
    </div>
    <${Card} title="How the signature is checked"><p>Join <code>webhook-id</code>, <code>webhook-timestamp</code> and the body, as they came, with dots; take the HMAC-SHA256 under the secret (decoded from base64 after <code>whsec_</code>), in base64. One of the values after <code>v1,</code> in <code>webhook-signature</code> must be the same. Refuse a time stamp that is more than five minutes old.</p><//>`}<//>
  <//>`;
}

const Headers = ({ of }) => (of?.length ? html`<h3>Headers</h3><dl>${of.map((header) => html`<dt><code>${header.name}</code></dt><dd><code>${header.value}</code></dd>`)}</dl>` : null);

function Body({ text, of }) {
  if (!text) return html`<p class="soft">Empty.</p>`;
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    shown = text;
  }
  return html`<pre tabindex="0" aria-label=${`Body of the ${of}`} role="region">${shown}</pre>`;
}
