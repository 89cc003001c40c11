// Where the page is: the part of the address after '#', as a path and a query.
import { signal } from './lib.js';

const read = () => {
  const [path, query = ''] = location.hash.replace(/^#/, '').split('?');
  return { path: path.replace(/\/+$/, '') || '/', query: Object.fromEntries(new URLSearchParams(query)) };
};

export const route = signal(read());
// Asked before the page goes elsewhere; a text that it gives is asked of whoever sits there.
let guard = null;
export const guarded = (ask) => { guard = ask; };

let standing = location.hash;
addEventListener('hashchange', () => {
  const to = read();
  if (guard && to.path !== route.peek().path) {
    const question = guard();
    // eslint-disable-next-line no-alert
    if (question && !confirm(question)) {
      history.replaceState(null, '', standing || '#/');
      return;
    }
    guard = null;
  }
  standing = location.hash;
  route.value = to;
});
addEventListener('beforeunload', (event) => {
  if (guard?.()) event.preventDefault();
});

export function link(path, query = {}) {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== '' && value !== null)).toString();
  return `#${path}${text ? `?${text}` : ''}`;
}

export const go = (path, query) => { location.hash = link(path, query); };

// The same screen with another query: filters and pages stand in the address.
export const requery = (changes) => go(route.peek().path, { ...route.peek().query, ...changes });

export function matched(pattern, path) {
  const parts = pattern.split('/');
  const found = path.split('/');
  if (parts.length !== found.length) return null;
  const params = {};
  for (const [position, part] of parts.entries()) {
    if (part.startsWith(':')) {
      try {
        params[part.slice(1)] = decodeURIComponent(found[position]);
      } catch {
        return null;
      }
    } else if (part !== found[position]) return null;
  }
  return params;
}
