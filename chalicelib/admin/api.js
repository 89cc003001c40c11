// The calls of the page: the public API, and the session door beside the page. All addresses are relative, for a stage
// may stand before the path.
import { signal } from './lib.js';

const API = '../rest/v2';

// undefined: not asked yet; null: nobody is signed in.
export const session = signal(undefined);
// Why somebody has to sign in again, if that is so.
export const ended = signal('');
// Rises when time was moved or something was changed that many screens show: what is on the screen is read again.
export const tick = signal(0);
export const again = () => { tick.value += 1; };

export class ApiError extends Error {
  constructor(status, body) {
    super(body?.error?.user_message || 'The answer was not understood.');
    this.status = status;
    this.code = body?.code || '';
    this.problems = body?.problems || [];
    this.request_id = body?.request_id || '';
  }
}

export async function send(method, url, body, headers = {}) {
  const changes = method !== 'GET';
  const init = { method, headers: { accept: 'application/json', ...headers }, credentials: 'same-origin' };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    // Of a PUT, what is said to be null is taken away.
    init.headers['content-type'] = `application/${method === 'PUT' ? 'merge-patch+' : ''}json`;
  }
  if (changes && session.peek()) init.headers['x-backroom-csrf'] = session.peek().csrf;
  let reply;
  try {
    reply = await fetch(url, init);
  } catch {
    throw new ApiError(0, { error: { user_message: 'The shop cannot be reached. Look at your connection and try again.' } });
  }
  const text = await reply.text();
  let data = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    data = null;
  }
  if (!reply.ok) {
    if (reply.status === 401 && session.peek()) {
      ended.value = 'Your session has ended. Sign in again to go on where you were.';
      session.value = null;
    }
    throw new ApiError(reply.status, data);
  }
  return { data, etag: reply.headers.get('etag') };
}

export const call = (method, path, body, headers) => send(method, API + path, body, headers);
export const get = async (path) => (await call('GET', path)).data;
export const post = async (path, body) => (await call('POST', path, body)).data;

// What the latest runs came to, and the shop's time: banner and screen ask within moments of each other, and get one
// answer.
const AGE = 3000;
let known = { tick: -1, at: 0 };
export function runs() {
  if (known.tick !== tick.peek() || performance.now() - known.at > AGE) {
    const answer = get('/report/runs').then((data) => data.runs_report);
    known = { tick: tick.peek(), at: performance.now(), answer };
    answer.catch(() => { known = { tick: -1, at: 0 }; });
  }
  return known.answer;
}

// A query of what is named; what is empty is left out.
export function query(values) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== '') found.set(name, value);
  }
  const text = found.toString();
  return text ? `?${text}` : '';
}

// --- the session -------------------------------------------------------------------------------------------------

// That somebody has signed in here is remembered (not who, nor by what), so that nobody else is asked for.
const HERE = 'backroom.here';
const here = {
  get: () => { try { return localStorage.getItem(HERE); } catch { return '1'; } },
  set: (is) => { try { if (is) localStorage.setItem(HERE, '1'); else localStorage.removeItem(HERE); } catch { /* asked each time */ } },
};

export function arrived(found) {
  here.set(true);
  ended.value = '';
  session.value = found;
}

export async function whoIsThere() {
  if (!here.get()) {
    session.value = null;
    return;
  }
  try {
    session.value = (await send('GET', 'session')).data.session;
  } catch (error) {
    if (error.status !== 401) throw error;
    here.set(false);
    session.value = null;
  }
}

export async function signIn(body) {
  arrived((await send('POST', 'session', body)).data.session);
}

export async function signOut() {
  try {
    await send('DELETE', 'session');
  } finally {
    here.set(false);
    session.value = null;
  }
}

export const welcome = async (body) => (await send('POST', 'welcome', body)).data;

// Whether whoever is signed in may do what needs this permission.
export const may = (permission) => !permission || (session.value?.permissions || []).includes(permission);
