// One coupon: what it takes off, when and for whom; and the codes that are made off it.
import { html, useState } from './lib.js';
import { call, may, post } from './api.js';
import { count, moment, words } from './format.js';
import { go } from './router.js';
import { Dock, Theirs } from './form.js';
import { Fields, Input, Several, flatOf, nested, put, reveal, titleOf, toItem, usePaths } from './noun.js';
import { KINDS, wordsOf } from './coupons.js';
import { schemas } from './schemas.js';
import { Card, Copy, Dialog, Do, Loaded, Page, Summary, Tag, problemsOf, toast, useLoad } from './ui.js';

const NOUN = 'Coupon';
const WHEN = 'start_dts expiration_dts usable_by maximum_uses skip_on_rebill can_be_used_with_other_coupons';
const OWN = 'description merchant_notes quickbooks_code';
const ofKind = (defs, kind) => Object.keys(defs[defs.Coupon.properties[kind].$ref.split('/').pop()].properties).map((name) => `${kind}/${name}`);
const pathsOf = (defs) => ['coupon_type', ...WHEN.split(' '), ...OWN.split(' '), ...KINDS.flatMap(([kind]) => ofKind(defs, kind))];
const isKind = (path) => KINDS.some(([kind]) => path.startsWith(`${kind}/`));
// Another kind takes the place of the one that stood.
function sent({ coupon_type: turned, ...said }, stood) {
  const kind = turned || stood.coupon_type;
  const noun = nested(Object.fromEntries(Object.entries(said).filter(([path]) => !isKind(path) || path.startsWith(`${kind}/`))));
  return turned ? { ...noun, [stood.coupon_type]: null, [kind]: noun[kind] || {} } : noun;
}

export default function Coupon({ params }) {
  const path = `/coupon/coupons/${params.oid}`;
  const found = useLoad(async () => {
    const [known, { data, etag }] = await Promise.all([schemas(), call('GET', path)]);
    return { coupon: data.coupon, known, read: { said: flatOf(data.coupon, pathsOf(known)), etag } };
  }, [path]);
  const one = found.data?.coupon;
  const [dialog, open] = useState('');
  return html`<${Page} title=${one ? `Coupon ${one.merchant_code}` : 'Coupon'} lead=${one && `${one.calculated_description}. ${one.expiration_dts ? `Ends ${moment(one.expiration_dts)}.` : 'It has no end.'}`}
      actions=${one && html`<${Tag}>${wordsOf(one)}<//>${may('coupon_write') && html`<button onClick=${() => open('codes')}>Make codes…</button><button onClick=${() => open('delete')}>Delete…</button>`}`}>
    <${Loaded} of=${found}>${({ coupon, known, read }) => html`<${Editor} key=${path} path=${path} read=${read} defs=${known} />
      ${dialog === 'codes' && html`<${Codes} path=${path} coupon=${coupon} defs=${known} close=${() => open('')} />`}`}<//>
    ${dialog === 'delete' && html`<${Remove} path=${path} coupon=${one} etag=${found.data.read.etag} close=${() => open('')} />`}
  <//>`;
}

function Editor({ path, read, defs }) {
  const draft = usePaths(path, 'coupon', read, pathsOf(defs), sent);
  const { said } = draft;
  const locked = !may('coupon_write');
  const title = titleOf(defs, NOUN);
  const kind = said.coupon_type;
  const fields = (text, paths, help) => html`<${Fields} title=${text} help=${help} draft=${draft} defs=${defs} noun=${NOUN} paths=${paths} locked=${locked} />`;
  const named = [...(said[`${kind}/items`] || []), ...(said[`${kind}/excluded_items`] || [])].filter(Boolean);
  return html`
    <${Summary} problems=${draft.problems} title="Some fields are not valid" titleOf=${title} show=${reveal} />
    <${Theirs} draft=${draft} titleOf=${title} />
    <form onSubmit=${(event) => event.preventDefault()}>
      <${Card} title="What it takes off"><div class="rule field"><label for="kind">Kind</label><select id="kind" disabled=${locked} onChange=${(event) => draft.set('coupon_type')(event.target.value)}>${KINDS.map(([one, text]) => html`<option value=${one} selected=${one === kind}>${text}</option>`)}</select></div>
        <${Several} draft=${draft} defs=${defs} noun=${NOUN} paths=${ofKind(defs, kind).join(' ')} locked=${locked} />
        ${named.length > 0 && html`<p class="soft">Look at ${named.map((id, at) => html`${at > 0 && ', '}${toItem(id)}`)}.</p>`}<//>
      ${fields('When and for whom', WHEN, 'Rebills of an auto order keep the coupons of its first order, but for those that are for the first order only.')}
      ${fields('For you', OWN)}
    </form>
    <${Dock} draft=${draft} />`;
}

function Codes({ path, coupon, defs, close }) {
  const [said, say] = useState({ quantity: 5 });
  const [problems, complain] = useState([]);
  const [made, set] = useState(null);
  const fields = defs.CouponCodesRequest.properties;
  const input = (name) => html`<${Input} key=${name} name=${`codes-${name}`} of=${fields[name]} defs=${defs} value=${said[name]} set=${(value) => say((old) => put(old, [name], value))} problems=${problems.map((p) => ({ ...p, pointer: `/codes-${p.pointer.slice(1)}` }))} />`;
  const make = async () => {
    try {
      set(await post(`${path}/generate_codes`, said));
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  if (made) return html`<${Dialog} title=${`${count(made.coupon_codes.length, 'code')} off ${coupon.merchant_code}`} close=${close}>
    <p class="note">They are listed this once: keep them where you need them. Each is good for one order${made.expiration_dts ? ` until ${moment(made.expiration_dts)}` : ''}.</p><pre tabindex="0" role="region" aria-label="Codes">${made.coupon_codes.join('\n')}</pre>
    <div class="row"><${Copy} text=${made.coupon_codes.join('\n')}>Copy all<//><button class="main" onClick=${(event) => event.target.closest('dialog').close()}>I have kept them</button></div><//>`;
  return html`<${Dialog} title=${`Make codes off ${coupon.merchant_code}`} close=${close}>
    <p>Each takes off what the coupon does, once, on one first order and not on its rebills.</p>
    <${Summary} problems=${problems} title="No codes were made" titleOf=${(pointer) => fields[pointer.slice(1)]?.title || words(pointer.slice(1))} />
    <form onSubmit=${(event) => event.preventDefault()}>${input('quantity')}${input('prefix')}${input('expiration_dts')}</form>
    <div class="row"><${Do} kind="main" act=${make}>Make them<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>
  <//>`;
}

function Remove({ path, coupon, etag, close }) {
  const gone = async () => { await call('DELETE', path, undefined, { 'if-match': etag }); toast('Deleted.'); close(); go('/coupons'); };
  return html`<${Dialog} title=${`Delete ${coupon.merchant_code}?`} close=${close}><p>Nobody can use it any more, nor the codes that were made off it; rebills that carry it are billed without it. To end it for new orders alone, give it an end.</p>
    <div class="row"><${Do} kind="danger" act=${gone}>Delete the coupon<//><button onClick=${(event) => event.target.closest('dialog').close()}>Keep it</button></div><//>`;
}
