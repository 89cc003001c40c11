// Endpoints of other systems that are told what happens.
import { html, useRef, useState } from './lib.js';
import { again, get, may, post } from './api.js';
import { number, words } from './format.js';
import { go, link } from './router.js';
import { Card, Copy, Dialog, Do, Empty, Loaded, Page, Summary, Table, Tag, problemsOf, useAdding, useLoad } from './ui.js';

export const state = (one) => (one.disabled ? html`<${Tag} kind="bad">Disabled<//>` : one.consecutive_failures ? html`<${Tag} kind="warn">${`${one.consecutive_failures} failures in a row`}<//>` : html`<${Tag} kind="good">Enabled<//>`);
export const subscribed = (one) => (one.event_categories || []).flatMap((category) => (category.events || []).filter((event) => event.subscribed).map((event) => event.event_name));

export default function Webhooks() {
  const found = useLoad(() => get('/webhook/webhooks?_limit=100'), []);
  const [adding, add] = useAdding('webhook_write');
  const button = may('webhook_write') && html`<button class="main" onClick=${() => add(true)}>Add a webhook…</button>`;
  return html`<${Page} title="Webhooks" lead="Each event is sent to each endpoint that subscribes to it, signed, and tried again for a week." actions=${button}>
    <${Card}><${Loaded} of=${found}>${(data) => html`<${Table} label="Webhooks" rows=${data.webhooks} empty=${html`<${Empty} title="Nobody is told yet" action=${button}>Your shipping software or your mailing list may want to know.<//>`} columns=${[
      ['Endpoint', (one) => html`<a href=${link(`/webhooks/${one.webhook_oid}`)}>${one.name || one.webhook_url}</a>${one.name && html`<br /><span class="soft small">${one.webhook_url}</span>`}`],
      ['State', state],
      ['Events', (one) => { const names = subscribed(one); return names.length > 4 ? `${names.slice(0, 4).map(words).join(', ')} and ${names.length - 4} more` : names.map(words).join(', '); }],
      ['Waiting', (one) => number(one.pending || 0), 'num'],
    ]} />`}<//><//>
    ${adding && html`<${Add} close=${() => add(false)} />`}
  <//>`;
}

// The secret of a new endpoint is shown once.
export const Secret = ({ text }) => html`<p class="note">This is the signing secret. It is shown this once; keep it where your receiver reads it.</p><pre tabindex="0">${text}</pre><${Copy} text=${text}>Copy the secret<//>`;

function Add({ close }) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const [made, set] = useState(null);
  const known = useLoad(async () => (await get('/webhook/webhook_event_categories')).event_categories, []);
  const save = async () => {
    if (!form.current.reportValidity()) return;
    const said = new FormData(form.current);
    const wanted = new Set(said.getAll('event'));
    const categories = known.data.map((category) => ({
      event_category: category.event_category,
      events: category.events.filter((event) => wanted.has(event.event_name)).map((event) => ({ event_name: event.event_name, subscribed: true })),
    })).filter((category) => category.events.length);
    try {
      const { webhook } = await post('/webhook/webhooks', { webhook_url: said.get('url').trim(), ...(said.get('name') ? { name: said.get('name') } : {}), event_categories: categories });
      set(webhook);
      again();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  const end = () => { close(); if (made) go(`/webhooks/${made.webhook_oid}`); };
  if (made) return html`<${Dialog} title="It is added" close=${end}><${Secret} text=${made.signing_secret} /><div class="row"><button class="main" onClick=${(event) => event.target.closest('dialog').close()}>I have kept it</button></div><//>`;
  return html`<${Dialog} title="Add a webhook" close=${close}>
    <${Summary} problems=${problems} title="It was not added" titleOf=${(pointer) => words(pointer.split('/')[1] || '')} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}>
      <div class="field"><label for="url">Address</label><p class="help">Where the events are posted to; it begins with https.</p><input id="url" name="url" class="wide" type="url" required /></div>
      <div class="field"><label for="name">Name</label><input id="name" name="name" class="wide" maxlength="80" /></div>
      <${Loaded} of=${known}>${(categories) => categories.map((category) => html`<fieldset><legend>${words(category.event_category)}</legend>
        <div class="pair">${category.events.map((event) => html`<p class="check"><input type="checkbox" id=${event.event_name} name="event" value=${event.event_name} /><label for=${event.event_name} title=${event.event_description}>${words(event.event_name)}</label></p>`)}</div></fieldset>`)}<//>
    </form>
    <div class="row"><${Do} kind="main" act=${save}>Add it<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>
  <//>`;
}
