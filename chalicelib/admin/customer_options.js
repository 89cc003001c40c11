// What belongs to the list of customers: their settings, and notices to those on the page who have no password.
import { html, useState } from './lib.js';
import { may, post } from './api.js';
import { count } from './format.js';
import { sections } from './sections.js';
import { Dialog, Do, Summary, problemsOf, toast } from './ui.js';

const OF_CUSTOMERS = ['pricing_tiers', 'loyalty_program', 'customer_profiles'];

export function Options({ shown }) {
  const [asking, ask] = useState(false);
  const [problems, complain] = useState([]);
  const send = async () => {
    try {
      const { password_notices: told } = await post('/customer/password_notices', { customer_profile_oids: shown.map((one) => one.customer_profile_oid) });
      toast(`${count(told.sent.length, 'notice goes', 'notices go')} out; ${told.has_password.length} had a password.`);
      ask(false);
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  return html`<nav class="pager" aria-label="What belongs to customers">${sections.filter((one) => OF_CUSTOMERS.includes(one.settings) && may(one.needs)).map((one) => html`<a class="button" href=${`#${one.path}`}>${one.title}</a>`)}
      ${may('customer_write') && shown.length > 0 && html`<button onClick=${() => ask(true)}>Password notices…</button>`}</nav>
    ${asking && html`<${Dialog} title="Send password notices?" close=${() => ask(false)}><${Summary} problems=${problems} title="Nothing was sent" />
      <p>Of the ${count(shown.length, 'customer')} on this page, those without a password get a link by which they set one: once a day each, and never a password.</p>
      <div class="row"><${Do} kind="main" act=${send}>Send them<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div><//>`}`;
}
