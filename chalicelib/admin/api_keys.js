// Keys with which other programs call this shop.
import { html, useRef, useState } from './lib.js';
import { again, call, get, may, post, session } from './api.js';
import { moment, words } from './format.js';
import { Card, Copy, Dialog, Do, Empty, Loaded, Page, Summary, Table, problemsOf, toast, useAdding, useLoad } from './ui.js';

const KEYS = '/configuration/api_keys';
const VERBS = { read: 'view', write: 'edit' };
const shut = (event) => event.target.closest('dialog').close();
// 'order_read', 'order_write' and 'item_read' as 'Order (view, edit), Item (view)'.
const told = (scopes) => {
  const found = {};
  for (const scope of scopes) (found[scope.slice(0, scope.lastIndexOf('_'))] ||= []).push(VERBS[scope.slice(scope.lastIndexOf('_') + 1)]);
  return Object.entries(found).map(([noun, verbs]) => `${words(noun)} (${verbs.join(', ')})`).join(', ');
};
const opens = (one) => (one.kind === 'browser' ? 'What a page for shoppers calls' : one.scopes ? told(one.scopes) : 'Everything');

export default function ApiKeys() {
  const found = useLoad(async () => (await get(KEYS)).api_keys, []);
  const [adding, add] = useAdding('user_write');
  const [revoked, revoke] = useState(null);
  const button = may('user_write') && html`<button class="main" onClick=${() => add(true)}>Make a key…</button>`;
  return html`<${Page} title="API keys" lead="One for each program that calls this shop, with no more than it needs. Who has a key needs no password." actions=${button}>
    <${Card}><${Loaded} of=${found}>${(keys) => html`<${Table} label="API keys" rows=${keys} empty=${html`<${Empty} title="No program calls this shop" action=${button}>Make a key for the first one.<//>`} columns=${[
      ['Key of', (one) => one.name],
      ['May', opens],
      ['Made', (one) => html`${moment(one.created_dts)}${one.created_by && html`<br /><span class="soft small">by ${one.created_by}</span>`}`],
      ['Last used', (one) => moment(one.last_used_dts) || html`<span class="soft">Not yet</span>`],
      ['End it', (one) => may('user_write') && html`<button onClick=${() => revoke(one)}>Revoke…<span class="hidden"> the key of ${one.name}</span></button>`],
    ]} />
    <p class="soft small">That a key was used is noted once an hour.</p>`}<//><//>
    ${adding && html`<${Make} close=${() => add(false)} />`}
    ${revoked && html`<${Revoke} one=${revoked} close=${() => revoke(null)} />`}
  <//>`;
}

const titleOf = (pointer) => ({ name: 'Name', scopes: 'What it may do', kind: 'Used by' }[pointer.split('/')[1]] || pointer);

function Make({ close }) {
  const form = useRef();
  const [kind, choose] = useState('api');
  const [problems, complain] = useState([]);
  const [made, set] = useState(null);
  const nouns = [...new Set(session.value.permissions.map((scope) => scope.slice(0, scope.lastIndexOf('_'))))].sort();
  const save = async () => {
    if (!form.current.reportValidity()) return;
    const said = new FormData(form.current);
    try {
      set((await post(KEYS, { name: said.get('name'), kind, ...(kind === 'api' ? { scopes: said.getAll('scope') } : {}) })).api_key);
      again();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  if (made) return html`<${Dialog} title=${`The key of ${made.name}`} close=${close}>
    <p class="note">It is shown this once and kept nowhere here: put it where the program reads it. ${made.kind === 'browser' ? 'It may stand in a page; it opens the calls of shoppers alone.' : 'Whoever has it may do what it may: send it to nobody in a mail.'}</p>
    <pre tabindex="0">${made.key}</pre><div class="row"><${Copy} text=${made.key}>Copy the key<//><button class="main" onClick=${shut}>I have kept it</button></div><//>`;
  return html`<${Dialog} title="Make a key" close=${close}>
    <${Summary} problems=${problems} title="No key was made" titleOf=${titleOf} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}>
      <div class="field"><label for="key-name">Name</label><p class="help">Which program it is for. So its changes are signed in every timeline.</p><input id="key-name" name="name" class="wide" maxlength="50" required autocomplete="off" /></div>
      <div class="field"><label for="key-kind">Used by</label><select id="key-kind" value=${kind} onChange=${(event) => choose(event.target.value)}><option value="api">A program on a server</option><option value="browser">A page in shoppers' browsers</option></select></div>
      ${kind === 'api' && html`<fieldset><legend>What it may do</legend><div class="pair">${nouns.map((noun) => Object.entries(VERBS).map(([verb, title]) => may(`${noun}_${verb}`) && html`<p class="check">
        <input type="checkbox" id=${`${noun}_${verb}`} name="scope" value=${`${noun}_${verb}`} /><label for=${`${noun}_${verb}`}>${words(title)} ${words(noun).toLowerCase()}</label></p>`))}</div></fieldset>`}
    </form>
    <div class="row"><${Do} kind="main" act=${save}>Make it<//><button onClick=${shut}>Leave it</button></div>
  <//>`;
}

function Revoke({ one, close }) {
  const revoke = async () => { await call('DELETE', `${KEYS}/${one.api_key_id}`); toast('Revoked.'); close(); again(); };
  return html`<${Dialog} title=${`Revoke the key of ${one.name}?`} close=${close}>
    <p>From this moment it opens nothing, and the program that holds it is refused. ${one.last_used_dts ? `It was last used on ${moment(one.last_used_dts)}.` : 'It was never used.'} This cannot be taken back; what it has done stays in every timeline.</p>
    <div class="row"><${Do} kind="danger" act=${revoke}>Revoke it<//><button onClick=${shut}>Keep it</button></div>
  <//>`;
}
