// What files that come and go have in common: how they are sent, that work on them moves by itself, and that their lists
// go on by cursors.
import { html, useEffect, useRef } from './lib.js';
import { ApiError } from './api.js';
import { count, number } from './format.js';
import { requery } from './router.js';
import { useLoad } from './ui.js';

// Between two looks at what the workers are at, in milliseconds: a small file is done at once, a large one takes minutes.
const LEAST = 250;
const MOST = 2000;

// What `read` gives, read again for as long as it moves and somebody is on the screen.
export function useMoving(read, deps, moves) {
  const found = useLoad(read, deps);
  const { data, loading, error, reload } = found;
  const looks = useRef(0);
  useEffect(() => {
    if (loading || error) return undefined;
    if (!moves(data)) {
      looks.current = 0;
      return undefined;
    }
    const timer = setTimeout(reload, Math.min(MOST, LEAST * (looks.current += 1)));
    return () => clearTimeout(timer);
  }, [data, loading, error]);
  return { ...found, loading: false };
}

export const Progress = ({ label, done, of, more = '' }) => html`<progress aria-label=${label} max=${of || undefined} value=${of ? done : undefined}></progress>
  <span class="soft small" role="status">${of ? `${number(done)} of ${number(of)}${more}` : `${label}…`}</span>`;

// --- a file on its way -------------------------------------------------------------------------------------------

// As people read it: 10485760 is 10 MB, as the API says it.
export const bytes = (n) => (n === undefined ? '' : n < 1024 ? count(n, 'byte') : n < 1024 * 1024 ? `${Math.ceil(n / 1024)} KB` : `${number(Math.ceil((n / 1024 / 1024) * 10) / 10)} MB`);

// The file goes by a form of its own to where only the shop reads it: beside the shop, or into its bucket. `tell` hears
// how much of it has gone.
export async function upload({ url, fields, maximum_bytes: most }, file, tell) {
  const refuse = (status, message) => { throw new ApiError(status, { error: { user_message: message }, problems: [{ pointer: '/file', message }] }); };
  if (!file.size) refuse(400, 'is empty');
  if (file.size > most) refuse(413, `has ${bytes(file.size)}; it may have ${bytes(most)} at most`);
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  body.append('file', file);
  const status = await new Promise((done) => {
    const asked = new XMLHttpRequest();
    asked.upload.onprogress = (event) => tell({ done: Math.min(event.loaded, file.size), of: file.size });
    asked.onloadend = () => done(asked.status);
    asked.open('POST', url);
    asked.send(body);
  });
  if (status < 200 || status > 299) refuse(status, status ? `was not taken (${status}); try again` : 'could not be sent: look at your connection and try again');
}

export const Sending = ({ sent }) => sent && html`<progress aria-label="Sent" max=${sent.of} value=${sent.done}></progress><span class="soft small" role="status">${bytes(sent.done)} of ${bytes(sent.of)}</span>`;

// A cursor knows what comes next, not what was before: for that the browser has its way back. `name`: under which it
// stands in the address.
export const Onward = ({ query, name = 'cursor', next, label }) => (query[name] || next ? html`<nav class="pager" aria-label=${label}>
  <button disabled=${!query[name]} onClick=${() => requery({ [name]: '' })}>First page</button>
  <button disabled=${!next} onClick=${() => requery({ [name]: next })}>Next</button></nav>` : null);
