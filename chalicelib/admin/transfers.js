// What exports and imports have in common: they move by themselves, and their lists go on by cursors.
import { html, useEffect, useRef } from './lib.js';
import { number } from './format.js';
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

// A cursor knows what comes next, not what was before: for that the browser has its way back. `name`: under which it
// stands in the address.
export const Onward = ({ query, name = 'cursor', next, label }) => (query[name] || next ? html`<nav class="pager" aria-label=${label}>
  <button disabled=${!query[name]} onClick=${() => requery({ [name]: '' })}>First page</button>
  <button disabled=${!next} onClick=${() => requery({ [name]: next })}>Next</button></nav>` : null);
