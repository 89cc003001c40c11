// The way in: sign in, and the welcome of a new user by his link.
import { html, useEffect, useRef, useState } from './lib.js';
import { arrived, signIn, welcome } from './api.js';
import { go } from './router.js';
import { toast } from './ui.js';

export default function Door({ token, why }) {
  return token ? html`<${Welcome} token=${token} />` : html`<${SignIn} why=${why} />`;
}

function useForm(act) {
  const [problem, tell] = useState('');
  const [busy, set] = useState(false);
  const box = useRef();
  useEffect(() => { if (problem) box.current?.focus(); }, [problem]);
  const submit = async (event) => {
    event.preventDefault();
    const said = Object.fromEntries(new FormData(event.target));
    set(true);
    tell('');
    try {
      await act(said);
    } catch (error) {
      const told = error.problems?.map((p) => `${p.pointer.slice(1)} ${p.message}`).join('. ');
      tell(error.retell ?? (told || error.message));
    } finally {
      set(false);
    }
  };
  const note = problem && html`<div class="note bad" role="alert" tabindex="-1" ref=${box}>${problem}</div>`;
  return { submit, busy, note };
}

function SignIn({ why }) {
  const [coded, ask] = useState(false);
  const code = useRef();
  useEffect(() => {
    document.title = 'Sign in · Backroom';
  }, []);
  useEffect(() => { if (coded) code.current?.focus(); }, [coded]);
  const { submit, busy, note } = useForm(async (said) => {
    try {
      await signIn({ login: said.login, password: said.password, ...(said.code ? { code: said.code } : {}) });
    } catch (error) {
      if (error.code === 'totp_required' && !coded) {
        ask(true);
        return;
      }
      throw error;
    }
  });
  return html`<main class="door"><div class="card">
    <p class="brand"><img src="icon.svg" alt="" />Backroom</p>
    <h1>Sign in</h1>
    ${why && html`<p class="note" role="status">${why}</p>`}
    ${note}
    <form onSubmit=${submit}>
      <div class="field"><label for="login">Login</label><input class="wide" id="login" name="login" autocomplete="username" required autocapitalize="none" /></div>
      <div class="field"><label for="password">Password</label><input class="wide" id="password" name="password" type="password" autocomplete="current-password" required /></div>
      ${coded && html`<div class="field"><label for="code">Code</label>
        <p class="help">The six digits that your authenticator shows now.</p>
        <input class="wide" id="code" name="code" ref=${code} inputmode="numeric" autocomplete="one-time-code" required /></div>`}
      <button class="main" disabled=${busy}>Sign in</button>
    </form>
  </div></main>`;
}

function Welcome({ token }) {
  const [plain, show] = useState(false);
  useEffect(() => { document.title = 'Welcome · Backroom'; }, []);
  const { submit, busy, note } = useForm(async (said) => {
    const answer = await welcome({ token, name: said.name, password: said.password });
    if (answer?.session) arrived(answer.session);
    else toast('Your password is set. Sign in with it.');
    go('/');
  });
  return html`<main class="door"><div class="card">
    <p class="brand"><img src="icon.svg" alt="" />Backroom</p>
    <h1>Welcome</h1>
    <p>Choose your password. The link that brought you here is good for this once.</p>
    ${note}
    <form onSubmit=${submit}>
      <div class="field"><label for="name">Your name</label><p class="help">It stands beside what you change.</p>
        <input class="wide" id="name" name="name" autocomplete="name" required /></div>
      <div class="field"><label for="password">Password</label>
        <input class="wide" id="password" name="password" type=${plain ? 'text' : 'password'} autocomplete="new-password" required />
        <p class="check"><input type="checkbox" id="plain" checked=${plain} onChange=${() => show(!plain)} /><label for="plain">Show it</label></p></div>
      <button class="main" disabled=${busy}>Set the password</button>
    </form>
  </div></main>`;
}
