// Ctrl K: screens, actions, settings by their titles, and whatever can be found by a name, a number or an address.
import { html, useEffect, useMemo, useState } from './lib.js';
import { get, may, post, query } from './api.js';
import { name } from './format.js';
import { go } from './router.js';
import { rules } from './rules.js';
import { sections } from './sections.js';
import { Dialog } from './ui.js';

// One finding of each way is enough to go on from; the lists show the rest.
const MOST = 5;
const WAIT = 250;

// How a text is looked for: what needs the permission, when the text may be such a thing, and what is found.
const finders = [
  {
    needs: 'customer_read',
    fits: (text) => text.length > 1 && !/^\d+$/.test(text),
    find: async (text) => customers(await get(`/customer/customers/search${query({ search_string: text, _limit: MOST, _expand: 'billing' })}`)),
  },
  {
    needs: 'auto_order_read',
    fits: (text) => /^\d{1,10}$/.test(text),
    find: async (text) => auto((await get(`/auto_order/auto_orders/${text}?_expand=original_order,original_order.billing`)).auto_order),
  },
  {
    needs: 'auto_order_read',
    fits: (text) => text.length > 1,
    find: async (text) => many('auto_order', text.includes('@') ? { email: text } : { last_name: text }),
  },
  { needs: 'auto_order_read', fits: (text) => /^[A-Za-z0-9]{10}$/.test(text), find: (text) => many('auto_order', { auto_order_code: text.toUpperCase() }) },
  { needs: 'order_read', fits: (text) => /^[A-Za-z0-9._-]{3,30}$/.test(text) && /\d/.test(text), find: async (text) => order((await get(`/order/orders/${encodeURIComponent(text)}?_expand=billing`)).order) },
  { needs: 'order_read', fits: (text) => text.length > 1 && !/^\d+$/.test(text), find: async (text) => many('order', text.includes('@') ? { email: text } : { last_name: text }) },
  { needs: 'item_read', fits: (text) => text.length > 1, find: async (text) => (await get(`/item/items${query({ merchant_item_id_or_description: text, _limit: MOST })}`)).items.map((one) => ({ title: `${one.merchant_item_id}, ${one.description || ''}`, kind: 'Item', to: `/items/${encodeURIComponent(one.merchant_item_id)}` })) },
  { needs: 'coupon_read', fits: (text) => text.length > 1, find: async (text) => (await post(`/coupon/coupons/query?_limit=${MOST}`, { merchant_code_or_description: text })).coupons.map((one) => ({ title: `${one.merchant_code}, ${one.calculated_description}`, kind: 'Coupon', to: `/coupons/${one.coupon_oid}` })) },
  { needs: 'gift_certificate_read', fits: (text) => /^[A-Za-z2-7]{4}[A-Za-z2-7 -]{12,20}$/.test(text), find: async (text) => { const one = (await post(`/gift_certificate/gift_certificates/by_code/${encodeURIComponent(text)}`)).gift_certificate; return [{ title: one.code, kind: 'Gift certificate', to: `/gift_certificates/${one.gift_certificate_oid}` }]; } },
];

// What can be begun from anywhere: the dialog of a list.
const actions = [
  ['Add a customer', 'customer_write', '/customers'], ['Add an item', 'item_write', '/items'], ['Add a coupon', 'coupon_write', '/coupons'],
  ['Make a gift certificate', 'gift_certificate_write', '/gift_certificates'], ['Invite a user', 'user_write', '/configuration/users'],
  ['Make an API key', 'user_write', '/configuration/api_keys'], ['Add a webhook', 'webhook_write', '/webhooks'],
].map(([title, needs, to]) => ({ title, needs, about: title.toLowerCase(), kind: 'Action', to, query: { add: 1 } }));

const auto = (one) => [{ title: `Auto order ${one.auto_order_oid}, ${name(one.original_order?.billing)}`, kind: 'Auto order', to: `/auto_orders/${one.auto_order_oid}` }];
const customers = (found) => found.customers.map((one) => ({ title: [name(one.billing?.[0]), one.email].filter(Boolean).join(', '), kind: 'Customer', to: `/customers/${one.customer_profile_oid}` }));
const order = (one) => [{ title: `${one.order_id}, ${name(one.billing)}`, kind: 'Order', to: `/orders/${encodeURIComponent(one.order_id)}` }];
async function many(kind, criteria) {
  const expand = kind === 'order' ? 'billing' : 'original_order,original_order.billing';
  const found = await get(`/${kind}/${kind}s${query({ ...criteria, _limit: MOST, _expand: expand })}`);
  return found[`${kind}s`].flatMap(kind === 'order' ? order : auto);
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export default function Palette({ close }) {
  const [text, say] = useState('');
  const [at, move] = useState(0);
  const [settings, know] = useState([]);
  const [found, show] = useState([]);
  const [looking, look] = useState(false);
  useEffect(() => { rules().then(know, () => {}); }, []);
  const screens = useMemo(() => sections.filter((section) => (section.menu || section.found) && may(section.needs)).map((section) => ({
    title: section.title, about: section.title.toLowerCase(), kind: section.group || 'Screen', to: section.path,
  })), []);

  useEffect(() => {
    const wanted = text.trim();
    let mine = true;
    show([]);
    const ways = finders.filter((one) => may(one.needs) && one.fits(wanted));
    if (!ways.length) return undefined;
    const timer = setTimeout(async () => {
      look(true);
      const words = wanted.includes('@') || /\d/.test(wanted) ? wanted : capital(wanted);
      const all = await Promise.allSettled(ways.map((way) => way.find(words)));
      if (!mine) return;
      look(false);
      const seen = new Set();
      show(all.flatMap((one) => one.value || []).filter((one) => !seen.has(one.to) && seen.add(one.to)));
    }, WAIT);
    return () => { mine = false; clearTimeout(timer); };
  }, [text]);

  const asked = text.trim().toLowerCase();
  const options = [...screens.filter((one) => one.about.includes(asked)), ...(asked ? actions.filter((one) => may(one.needs) && one.about.includes(asked)) : []), ...(asked ? settings.filter((one) => one.about.includes(asked)).slice(0, 8) : []), ...found];
  const chosen = Math.min(at, options.length - 1);
  const take = (one) => { close(); go(one.to, one.query); };
  const keys = (event) => {
    if (event.key === 'ArrowDown') move((chosen + 1) % options.length);
    else if (event.key === 'ArrowUp') move((chosen - 1 + options.length) % options.length);
    else if (event.key === 'Enter' && options[chosen]) take(options[chosen]);
    else return;
    event.preventDefault();
  };
  return html`<${Dialog} title="Find" kind="palette" close=${close}>
    <input role="combobox" aria-expanded="true" aria-controls="found" aria-autocomplete="list" aria-label="Find"
      aria-activedescendant=${options.length ? `found-${chosen}` : undefined} placeholder="A name, an e-mail address, a number, a setting, an action…"
      value=${text} onInput=${(event) => { say(event.target.value); move(0); }} onKeyDown=${keys} autofocus autocomplete="off" />
    <ul id="found" role="listbox" aria-label="Found" tabindex="-1">
      ${options.map((one, position) => html`<li id=${`found-${position}`} role="option" aria-selected=${position === chosen ? 'true' : 'false'}
        onClick=${() => take(one)}><span>${one.title}</span><span class="soft">${one.section || one.kind}</span></li>`)}
    </ul>
    <p class="soft small" role="status">${looking ? 'Looking…' : options.length ? `${options.length} found` : 'Nothing is found. Names, addresses and numbers are looked for as a whole.'}</p>
  <//>`;
}
