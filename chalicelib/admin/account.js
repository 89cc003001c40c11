// One's own way in: the password, and one-time codes.
import { html, useRef, useState } from './lib.js';
import { arrived, send, session } from './api.js';
import { titleOf } from './users.js';
import { Card, Copy, Do, Page, Summary, Tag, problemsOf, toast } from './ui.js';

export default function Account() {
  return html`<${Page} title="Your account" lead=${`${session.value.name}, ${session.value.login}`}>
    <div class="grid loose"><${Password} /><${Codes} /></div>
  <//>`;
}

function useForm(act) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const go = async () => {
    if (!form.current.reportValidity()) return;
    try {
      await act(Object.fromEntries(new FormData(form.current)));
      form.current?.reset();
      complain([]);
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  return { form, problems, go };
}

function Password() {
  const { form, problems, go } = useForm(async (said) => {
    arrived((await send('POST', 'password', said)).data.session);
    toast('The new password holds. All your other sessions have ended.');
  });
  return html`<${Card} title="Password"><${Summary} problems=${problems} title="It was not changed" titleOf=${titleOf} />
    <form ref=${form} onSubmit=${(event) => { event.preventDefault(); go(); }}>
      <input type="text" name="" autocomplete="username" value=${session.value.login} hidden readonly />
      <div class="field"><label for="current">Current password</label><input class="wide" id="current" name="current" type="password" autocomplete="current-password" required /></div>
      <div class="field"><label for="new">New password</label><input class="wide" id="new" name="new" type="password" autocomplete="new-password" required /></div>
    </form>
    <${Do} kind="main" act=${go}>Change it<//><//>`;
}

function Codes() {
  const [begun, begin] = useState(null);
  const act = async (said) => (await send('POST', 'totp', said)).data;
  const confirm = useForm(async (said) => { arrived((await act({ action: 'confirm', ...said })).session); begin(null); toast('From now on a code is asked for when you sign in.'); });
  const remove = useForm(async (said) => { arrived((await act({ action: 'remove', ...said })).session); toast('No code is asked for any more.'); });
  const is = session.value.totp;
  return html`<${Card} title="One-time codes">
    <p>${is ? html`<${Tag} kind="good">On<//> A code of your authenticator is asked for when you sign in.` : 'A second proof beside the password: six digits that an authenticator on your phone shows.'}</p>
    ${!is && !begun && html`<${Do} act=${async () => begin((await act({ action: 'begin' })).totp)}>Set it up<//>`}
    ${begun && html`<p>Put this secret into your authenticator, then enter the code that it shows.</p><pre tabindex="0">${begun.secret}</pre>
      <div class="row"><${Copy} text=${begun.secret}>Copy the secret<//><a class="button" href=${begun.uri}>Open the authenticator</a></div>
      <${Summary} problems=${confirm.problems} title="It was not taken into use" titleOf=${titleOf} />
      <form ref=${confirm.form} onSubmit=${(event) => { event.preventDefault(); confirm.go(); }}>
        <div class="field"><label for="code">Code</label><input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" required /></div></form>
      <${Do} kind="main" act=${confirm.go}>Take it into use<//>`}
    ${is && html`<${Summary} problems=${remove.problems} title="It was not removed" titleOf=${titleOf} />
      <form ref=${remove.form} onSubmit=${(event) => { event.preventDefault(); remove.go(); }}>
        <div class="field"><label for="password">Password</label><input class="wide" id="password" name="password" type="password" autocomplete="current-password" required /></div></form>
      <${Do} kind="danger" act=${remove.go}>Ask for no code any more<//>`}
  <//>`;
}
