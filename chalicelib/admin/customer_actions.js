// What can be done with a customer beside changing his fields: each a dialog that says what will happen.
import { html, useRef, useState } from './lib.js';
import { ApiError, again, call, get, post } from './api.js';
import { shop } from './format.js';
import { go, link } from './router.js';
import { Copy, Dialog, Do, Summary, problemsOf, toast } from './ui.js';

const leave = (event) => event.target.closest('dialog').close();
const Leave = ({ children = 'Leave it' }) => html`<button onClick=${leave}>${children}</button>`;

// What went wrong stands in the dialog, where it was done.
function useTried() {
  const [problems, complain] = useState([]);
  const tried = (act) => async () => {
    try {
      await act();
      complain([]);
    } catch (error) {
      if (error.status !== 401) complain(problemsOf(error));
    }
  };
  return [problems, tried];
}

function Notice({ customer, close }) {
  const [problems, tried] = useTried();
  const send = tried(async () => {
    const { password_notices: told } = await post('/customer/password_notices', { customer_profile_oids: [customer.customer_profile_oid] });
    toast(told.sent.length ? `A link goes to ${customer.email}.` : 'There is a password already: nothing was sent. A new one can be set under General.', told.sent.length ? '' : 'bad');
    close();
  });
  return html`<${Dialog} title="Send a password notice?" close=${close}><${Summary} problems=${problems} title="Nothing was sent" />
    <p>${customer.email} gets a link by which the customer sets a password; a password never stands in a mail. It is sent only where there is none yet, and once a day.</p>
    <div class="row"><${Do} kind="main" act=${send}>Send it<//><${Leave} /></div><//>`;
}

function SignIn({ base, close }) {
  const form = useRef();
  const [url, tell] = useState('');
  const [problems, tried] = useTried();
  const hosts = (shop.value.allowed_origins || []).map((one) => one.split('://')[1]);
  const make = tried(async () => { tell((await call('PUT', `${base}/magic_link/${encodeURIComponent(form.current.elements.host.value)}`)).data.url); });
  return html`<${Dialog} title="Sign in as the customer" close=${close}><${Summary} problems=${problems} title="No link was made" />
    ${url ? html`<p>Good once, for 15 minutes. Whoever opens it is signed in as the customer.</p><pre tabindex="0">${url}</pre><div class="row"><${Copy} text=${url} /><${Leave}>Close<//></div>`
      : hosts.length === 0 ? html`<p>The shop has no storefront yet: say which under <a href=${link('/configuration/merchant', { field: 'allowed_origins' })} onClick=${close}>Allowed origins</a>.</p><div class="row"><${Leave} /></div>`
        : html`<p>A link is made by which you see the storefront as the customer does.</p><form ref=${form} onSubmit=${(event) => event.preventDefault()}><div class="field"><label for="host">Storefront</label>
          <select id="host" name="host" class="wide">${hosts.map((host) => html`<option>${host}</option>`)}</select></div></form><div class="row"><${Do} kind="main" act=${make}>Make the link<//><${Leave} /></div>`}<//>`;
}

function Merge({ base, customer, close }) {
  const form = useRef();
  const [problems, tried] = useTried();
  const merge = tried(async () => {
    if (!form.current.reportValidity()) return;
    await call('PUT', `${base}/merge`, { email: form.current.elements.email.value.trim() });
    toast('Merged.');
    close();
    again();
  });
  return html`<${Dialog} title=${`Merge another profile into ${customer.email}`} close=${close}><${Summary} problems=${problems} title="Nothing was merged" show=${() => document.getElementById('merged').focus()} titleOf=${() => 'E-mail'} />
    <p>Orders, auto orders, ledgers, files and entitlements of the other profile come to this one, and the other goes. This cannot be undone.</p>
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}><div class="field"><label for="merged">E-mail of the profile that goes</label><input id="merged" name="email" class="wide" type="email" required autocomplete="off" /></div></form>
    <div class="row"><${Do} kind="danger" act=${merge}>Merge it into this one<//><${Leave}>Leave both<//></div><//>`;
}

// All that is kept about him, his orders and what hangs on them page by page, as one file of the browser's own making.
const OF_PAGES = ['orders', 'consents', 'mails'];
async function collected(base) {
  let offset = 0;
  let all = null;
  do {
    const { customer_data: data, metadata } = await get(`${base}/export?_limit=200&_offset=${offset}`);
    for (const name of all ? OF_PAGES : []) {
      const known = new Set(all[name].map((one) => JSON.stringify(one)));
      all[name].push(...data[name].filter((one) => !known.has(JSON.stringify(one))));
    }
    all ||= data;
    offset = metadata.result_set.more ? metadata.result_set.next_offset : 0;
  } while (offset);
  return all;
}

function Data({ base, customer, close }) {
  const form = useRef();
  const [problems, tried] = useTried();
  const save = tried(async () => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(await collected(base), null, 2)], { type: 'application/json' }));
    Object.assign(document.createElement('a'), { href: url, download: `customer-${customer.customer_profile_oid}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  });
  const erase = tried(async () => {
    if (!form.current.reportValidity()) return;
    if (form.current.elements.email.value.trim().toLowerCase() !== customer.email.toLowerCase()) throw new ApiError(0, { error: { user_message: 'That is not his address.' } });
    await post(`${base}/erase`);
    toast('Forgotten.');
    close();
    go('/customers');
  });
  return html`<${Dialog} title="What is kept about the customer" close=${close}><${Summary} problems=${problems} title="It was not done" />
    <p>All of it as a file, for whoever asks for his own: profile, orders, auto orders, ledgers, mails.</p><div class="row"><${Do} act=${save}>Download it<//></div>
    <h3>Forget the person</h3><p>Orders and ledgers stay, without him; the profile, its addresses, cards and files go for good. While an active auto order is his, it is refused.</p>
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}><div class="field"><label for="forgotten">To forget him, enter ${customer.email}</label><input id="forgotten" name="email" class="wide" required autocomplete="off" /></div></form>
    <div class="row"><${Do} kind="danger" act=${erase}>Forget him for good<//><${Leave} /></div><//>`;
}

function Remove({ base, customer, close }) {
  const gone = async () => { await call('DELETE', base); toast('Deleted.'); close(); go('/customers'); };
  return html`<${Dialog} title=${`Delete ${customer.email}?`} close=${close}><p>The profile goes with its addresses, cards and points. Orders stay. While an active auto order is his, it is refused.</p>
    <div class="row"><${Do} kind="danger" act=${gone}>Delete the profile<//><${Leave}>Keep it<//></div><//>`;
}

const WRITE = 'customer_write';
export const ACTIONS = {
  signIn: { title: 'Sign in as', needs: WRITE, Dialog: SignIn },
  notice: { title: 'Password notice', needs: WRITE, Dialog: Notice },
  merge: { title: 'Merge', needs: WRITE, Dialog: Merge },
  data: { title: 'Data and privacy', needs: WRITE, Dialog: Data },
  remove: { title: 'Delete', needs: WRITE, Dialog: Remove },
};
