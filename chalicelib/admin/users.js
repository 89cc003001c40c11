// Who may sign in to this page.
import { html, useRef, useState } from './lib.js';
import { again, get, may, post, query as text } from './api.js';
import { go, link } from './router.js';
import { Card, Copy, Dialog, Do, Empty, Loaded, PAGE, Page, Pager, Summary, Table, Tag, problemsOf, useAdding, useLoad } from './ui.js';

export default function Users({ query }) {
  const found = useLoad(() => get(`/user/users${text({ _limit: PAGE, _offset: query.offset })}`), [query.offset]);
  const [adding, add] = useAdding('user_write');
  const rights = (one) => one.permissions.filter((permission) => permission.selected).map((permission) => permission.permission_Name);
  return html`<${Page} title="Users" lead="Who may sign in to this page, and what each may do."
      actions=${may('user_write') && html`<button class="main" onClick=${() => add(true)}>Invite a user…</button>`}>
    <${Card}><${Loaded} of=${found}>${(data) => html`
      <${Table} label="Users" rows=${data.users} empty=${html`<${Empty} title="Nobody yet">Invite the first one.<//>`} columns=${[
        ['Login', (one) => html`<a href=${link(`/configuration/users/${one.user_id}`)}>${one.login}</a>`],
        ['Name', (one) => one.full_name || ''],
        ['State', (one) => (one.signed_up ? html`<${Tag} kind="good">Has a password<//>` : html`<${Tag} kind="warn">Invited<//>`)],
        ['One-time codes', (one) => (one.totp ? 'Yes' : 'No')],
        ['May', (one) => (one.owner ? 'Everything (owner)' : rights(one).join(', ') || 'Nothing')],
      ]} />
      <${Pager} set=${data.metadata.result_set} label="Pages of users" />`}<//><//>
    ${adding && html`<${Invite} close=${() => add(false)} />`}
  <//>`;
}

// The link is shown once: whoever invites hands it on.
export const Link = ({ url }) => html`<p class="note">Hand this link on. It is good for one use, and is shown this once.</p><pre tabindex="0">${url}</pre><${Copy} text=${url}>Copy the link<//>`;

export const titleOf = (pointer) => ({ login: 'Login', full_name: 'Name', email: 'E-mail', phone: 'Phone', current: 'Current password', new: 'New password', code: 'Code', password: 'Password' }[pointer.split('/')[1]] || pointer);

function Invite({ close }) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const [made, set] = useState(null);
  const save = async () => {
    if (!form.current.reportValidity()) return;
    const said = Object.fromEntries([...new FormData(form.current)].filter(([, value]) => value));
    try {
      set(await post('/user/users', said));
      again();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  if (made) return html`<${Dialog} title=${`${made.user.login} is invited`} close=${() => { close(); go(`/configuration/users/${made.user.user_id}`); }}>
    <${Link} url=${made.welcome_url} /><p>Say next what the user may do.</p>
    <div class="row"><button class="main" onClick=${(event) => event.target.closest('dialog').close()}>Go on</button></div><//>`;
  return html`<${Dialog} title="Invite a user" close=${close}>
    <${Summary} problems=${problems} title="Nobody was invited" titleOf=${titleOf} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}>
      <div class="field"><label for="new-login">Login</label><input id="new-login" name="login" class="wide" required autocomplete="off" autocapitalize="none" /></div>
      <div class="field"><label for="new-name">Name</label><input id="new-name" name="full_name" class="wide" autocomplete="off" /></div>
      <div class="field"><label for="new-email">E-mail</label><input id="new-email" name="email" class="wide" type="email" autocomplete="off" /></div>
    </form>
    <div class="row"><${Do} kind="main" act=${save}>Make a link<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div>
  <//>`;
}
