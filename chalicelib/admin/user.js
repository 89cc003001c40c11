// One user: what he may do, and how he comes in.
import { html, useState } from './lib.js';
import { again, call, may, post, session } from './api.js';
import { go } from './router.js';
import { Link, titleOf } from './users.js';
import { Card, Dialog, Do, Loaded, Page, Summary, Tag, problemsOf, toast, useLoad } from './ui.js';

export default function User({ params }) {
  const path = `/user/users/${params.user_id}`;
  const found = useLoad(async () => {
    const { data, etag } = await call('GET', path);
    return { ...data.user, etag };
  }, [path]);
  const one = found.data;
  const [dialog, show] = useState(null);
  const invite = async () => show({ url: (await post(`${path}/welcome`)).welcome_url });
  const others = one && may('user_write') && one.login !== session.value.login;
  return html`<${Page} title=${one ? one.full_name || one.login : 'User'} lead=${one && `${one.login}${one.email ? `, ${one.email}` : ''}`}
      actions=${one && html`${one.owner && html`<${Tag}>Owner<//>`}${one.totp && html`<${Tag} kind="good">One-time codes<//>`}
        ${others && html`<${Do} act=${invite}>Fresh link…<//><button onClick=${() => show({ remove: true })}>Delete…</button>`}`}>
    <${Loaded} of=${found}>${(user) => html`<${Rights} key=${user.etag} path=${path} user=${user} />`}<//>
    ${dialog?.url && html`<${Dialog} title="A fresh link" close=${() => show(null)}><p>With it the user chooses a new password; all sessions of his end.</p><${Link} url=${dialog.url} />
      <div class="row"><button onClick=${(event) => event.target.closest('dialog').close()}>Close</button></div><//>`}
    ${dialog?.remove && html`<${Dialog} title=${`Delete ${one.login}?`} close=${() => show(null)}><p>All his sessions end at once. What he has done stays in every timeline.</p>
      <div class="row"><${Do} kind="danger" act=${async () => { await call('DELETE', path); toast('Deleted.'); go('/configuration/users'); }}>Delete him<//><button onClick=${(event) => event.target.closest('dialog').close()}>Keep him</button></div><//>`}
  <//>`;
}

function Rights({ path, user }) {
  const [said, say] = useState(new Set(user.permissions.filter((one) => one.selected).map((one) => one.permission_Name)));
  const [problems, complain] = useState([]);
  const groups = [...new Set(user.permissions.map((one) => one.permission_group))];
  const toggle = (name) => { const next = new Set(said); if (!next.delete(name)) next.add(name); say(next); };
  const save = async () => {
    try {
      await call('PUT', path, { permissions: user.permissions.map((one) => ({ ...one, selected: said.has(one.permission_Name) })) }, { 'if-match': user.etag });
      complain([]);
      toast('Saved.');
      again();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  const locked = user.owner || !may('user_write');
  return html`<${Card} title="Permissions">
    <${Summary} problems=${problems} title="Nothing was changed" titleOf=${titleOf} />
    ${user.owner && html`<p class="soft">An owner has every permission.</p>`}
    ${groups.map((group) => html`<fieldset><legend>${group}</legend><div class="pair">${user.permissions.filter((one) => one.permission_group === group).map((one) => html`<p class="check">
      <input type="checkbox" id=${one.permission_Name} checked=${said.has(one.permission_Name)} disabled=${locked} onChange=${() => toggle(one.permission_Name)} /><label for=${one.permission_Name}>${one.permission_Name}</label></p>`)}</div></fieldset>`)}
    ${!locked && html`<${Do} kind="main" act=${save}>Save<//>`}
  <//>`;
}
