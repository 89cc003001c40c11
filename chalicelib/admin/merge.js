// Two people's changes of one noun, laid together: field by field, and in lists entry by entry.

// What an entry of a list was when it was read (`row`), and by what it is known on the screen (`key`). It goes with every
// copy of the entry, and with nothing that is sent.
export const WAS = Symbol('was');
let numbers = 0;
export const fresh = () => ({ [WAS]: { key: ++numbers } });

const noun = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

export function same(one, other) {
  const [a, b] = [one ?? null, other ?? null];
  if (a === b || a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return a === b;
  return Array.isArray(a) === Array.isArray(b) && [...new Set([...Object.keys(a), ...Object.keys(b)])].every((name) => same(a[name], b[name]));
}

// The noun as it was read: each entry knows itself. `like`: what stood on the screen, place by place.
export function known(value, like) {
  if (Array.isArray(value)) {
    value.forEach((row, position) => {
      if (noun(row)) row[WAS] = { key: like?.[position]?.[WAS]?.key ?? ++numbers, row };
      known(row, like?.[position]);
    });
  } else if (noun(value)) for (const [name, part] of Object.entries(value)) known(part, like?.[name]);
  return value;
}

// By what the same entry is known in another version of the list.
function keyOf(row, of) {
  const ui = of?.['x-ui'] || {};
  const said = (ui.key || ui.summary?.slice(0, 1) || Object.keys(row).filter((part) => part.endsWith('_oid')).slice(0, 1)).map((part) => row[part] ?? null);
  return JSON.stringify(said.some((one) => one !== null) ? said : row);
}
const find = (rows, row, of) => rows.find((one) => keyOf(one, of) === keyOf(row, of));

const within = (of, name, defs) => (of?.$ref ? defs?.[of.$ref.split('/').pop()] : of)?.properties?.[name];

// Mine over theirs: what only one of us has changed is as he changed it; what both have is as I did.
export function merged(base, mine, theirs, of, defs) {
  if (same(mine, base)) return theirs;
  if (same(theirs, base)) return mine;
  if (noun(mine) && noun(theirs)) {
    const found = { ...theirs };
    for (const name of Object.keys({ ...base, ...mine, ...theirs })) {
      const value = merged(base?.[name], mine[name], theirs[name], within(of, name, defs), defs);
      if (value === undefined) delete found[name]; else found[name] = value;
    }
    return found;
  }
  if (!Array.isArray(mine) || !Array.isArray(theirs) || ![...mine, ...theirs].every(noun)) return mine;
  const left = [];
  for (const row of mine) {
    const was = row[WAS]?.row;
    const other = was && find(theirs, was, of);
    if (other) left.push({ ...merged(was, row, other, of?.items, defs), [WAS]: { key: row[WAS].key, row: other } });
    else if (!was || !same(row, was)) left.push({ ...row, [WAS]: { key: row[WAS]?.key } });
  }
  return [...left, ...theirs.filter((row) => !find(base || [], row, of) && !find(left, row, of))];
}

// What is other in one version than in the other, as [pointer, before, after].
export function differences(before, after, of, defs, at = '') {
  if (same(before, after)) return [];
  if (noun(before) && noun(after)) {
    return Object.keys({ ...before, ...after }).flatMap((name) => differences(before[name], after[name], within(of, name, defs), defs, `${at}/${name}`));
  }
  if (!Array.isArray(before) || !Array.isArray(after) || ![...before, ...after].every(noun)) return [[at, before, after]];
  const gone = before.flatMap((row, position) => (find(after, row, of) ? [] : [[`${at}/${position}`, row, undefined]]));
  const rest = after.flatMap((row, position) => {
    const was = find(before, row, of);
    return was ? differences(was, row, of?.items, defs, `${at}/${before.indexOf(was)}`) : [[`${at}/${position}`, undefined, row]];
  });
  const found = [...gone, ...rest];
  return found.length ? found : [[at, before, after]];
}
