// The page itself: who is there, the frame, and the screen that the address names.
import { effect, html, render, signal, useEffect, useState } from './lib.js';
import { ended, get, may, session, signOut, whoIsThere } from './api.js';
import { shop } from './format.js';
import { matched, route } from './router.js';
import { sections } from './sections.js';
import { Failure, Late, Page, Toasts, toast } from './parts.js';

const unreachable = signal(null);
const palette = signal(false);

async function begin() {
  unreachable.value = null;
  try {
    await whoIsThere();
  } catch (error) {
    unreachable.value = error;
  }
}

// The shop's currency and name are on every screen.
effect(() => {
  if (session.value) get('/configuration/merchant').then((data) => { shop.value = data.merchant; }, () => {});
});

addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k' && session.value) {
    event.preventDefault();
    palette.value = true;
  }
});

function Screen() {
  const { path, query } = route.value;
  for (const section of sections) {
    const params = matched(section.path, path);
    if (!params) continue;
    if (!may(section.needs)) {
      const first = path === '/' && sections.find((one) => one.menu && may(one.needs));
      if (first) {
        location.replace(`#${first.path}`);
        return null;
      }
      return html`<${Page} title=${section.title}><${Failure} error=${{ status: 403, message: 'You do not have the permission for this screen.' }} /><//>`;
    }
    return html`<${Late} key=${section.path} load=${section.load} params=${params} query=${query} section=${section} />`;
  }
  return html`<${Page} title="There is no such screen"><p>Use the menu, or find it with Ctrl K.</p><//>`;
}

// --- the frame ---------------------------------------------------------------------------------------------------

const current = (section) => {
  const { path } = route.value;
  const here = sections.find((one) => matched(one.path, path));
  return here && (here.in || here.path) === section.path;
};

function Menu() {
  const shown = sections.filter((section) => section.menu && may(section.needs));
  const groups = [...new Set(shown.map((section) => section.group || ''))];
  const lists = groups.map((group) => html`
    ${group && html`<h2>${group}</h2>`}
    <ul>${shown.filter((section) => (section.group || '') === group).map((section) => html`<li>
      <a href=${`#${section.path}`} aria-current=${current(section) ? 'page' : undefined}>${section.title}</a></li>`)}
    </ul>`);
  const narrow = useNarrow();
  const here = shown.find(current);
  return html`<nav aria-label="Screens">
    ${narrow ? html`<details key=${route.value.path}><summary>${here ? here.title : 'Menu'}</summary>${lists}</details>` : lists}
  </nav>`;
}

function useNarrow() {
  const asked = matchMedia('(max-width: 52rem)');
  const [narrow, set] = useState(asked.matches);
  useEffect(() => {
    const heard = (event) => set(event.matches);
    asked.addEventListener('change', heard);
    return () => asked.removeEventListener('change', heard);
  }, []);
  return narrow;
}

const loadClock = () => import('./clock.js');
const loadPalette = () => import('./palette.js');
const loadDoor = () => import('./door.js');

function Frame() {
  const who = session.value;
  const out = () => signOut().catch((error) => toast(error.message, 'bad'));
  return html`
    ${who.test_mode && html`<${Late} load=${loadClock} />`}
    <div class="frame">
      <header class="side">
        <a class="skip" href=${location.hash || '#/'} onClick=${(event) => { event.preventDefault(); document.querySelector('h1')?.focus(); }}>To the content</a>
        <p class="brand"><img src="icon.svg" alt="" />${shop.value.name || 'Back office'}</p>
        <${Menu} />
      </header>
      <div>
        <div class="top" role="search" aria-label="Everything">
          <button class="find" aria-keyshortcuts="Control+K" onClick=${() => { palette.value = true; }}>
            <span>Find a customer, order, setting…</span><kbd>Ctrl K</kbd>
          </button>
          <div class="who"><a href="#/account">${who.name || who.login}</a><button onClick=${out}>Sign out</button></div>
        </div>
        <main><${Screen} /></main>
      </div>
    </div>
    ${palette.value && html`<${Late} load=${loadPalette} close=${() => { palette.value = false; }} />`}`;
}

function App() {
  const welcome = matched('/welcome/:token', route.value.path);
  if (unreachable.value) return html`<main class="door"><h1>Backroom</h1><${Failure} error=${unreachable.value} retry=${begin} /></main>`;
  if (session.value === undefined) return html`<p class="boot" role="status">Backroom</p>`;
  return html`
    ${session.value && !welcome ? html`<${Frame} />` : html`<${Late} load=${loadDoor} token=${welcome?.token} why=${ended.value} />`}
    <${Toasts} />`;
}

render(html`<${App} />`, Object.assign(document.getElementById('app'), { textContent: '' }));
begin();
