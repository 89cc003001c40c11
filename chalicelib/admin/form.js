// A form over a noun of the API: what was changed, what was there before, what is wrong, and what somebody else has saved
// meanwhile. Nothing is checked here but by the API.
import { html, useEffect, useMemo, useRef, useState } from './lib.js';
import { call } from './api.js';
import { count } from './format.js';
import { shown } from './fields.js';
import { differences, known, merged, same } from './merge.js';
import { guarded } from './router.js';
import { Do, problemsOf, toast } from './ui.js';

// `read`: { said, etag } as it was read from `path`; `name`: under which the answers hold it; `fields`: what may change;
// then the schema, by which entries of its lists are known again, and with it, where they are asked for: `shape`, what of
// an answer is edited; `sent`, the body for what has changed; `after`, what else is to be read anew.
export function useDraft(path, name, read, fields, { shape = (said) => said, sent: body = (said) => said, after = () => {}, ...schema } = {}) {
  useMemo(() => known(read.said), [read]);
  // What stands, by the last answer that was taken; what is said here; what somebody else has saved meanwhile.
  const [stands, take] = useState(read);
  const [said, say] = useState(read.said);
  const [theirs, meet] = useState(null);
  const [problems, complain] = useState([]);
  const changed = fields.filter((field) => !same(said[field], stands.said[field]));
  const dirty = useRef(false);
  dirty.current = changed.length > 0;
  useEffect(() => {
    guarded(() => dirty.current && 'You have unsaved changes. Leave them?');
    return () => guarded(null);
  }, []);
  // Read again (time was moved, say): what is not touched follows, and beside what is touched what no form changes.
  useEffect(() => {
    if (!dirty.current) { take(read); say(read.said); }
    else if (fields.every((field) => same(read.said[field], stands.said[field]))) {
      take(read);
      say((mine) => ({ ...read.said, ...Object.fromEntries(changed.map((field) => [field, mine[field]])) }));
    }
  }, [read]);
  const set = (field) => (value) => say((old) => {
    const next = { ...old };
    if (value === undefined) delete next[field]; else next[field] = value;
    return next;
  });
  const save = async () => {
    // What is taken back is said to be nothing: in a section null, in other nouns, where null counts as absent, no text.
    const nothing = (field) => (schema.properties || typeof stands.said[field] !== 'string' ? null : '');
    const sent = body(Object.fromEntries(changed.map((field) => [field, said[field] ?? nothing(field)])), stands.said);
    try {
      const { data, etag } = await call('PUT', path, sent, { 'if-match': theirs?.etag || stands.etag });
      const saved = known(shape(data[name]), said);
      take({ said: saved, etag });
      say(saved);
      meet(null);
      complain([]);
      toast('Saved.');
      after();
    } catch (error) {
      // What a rebill has moved meanwhile is refused as stale: the same as if somebody had saved it.
      if (error.status === 412 || error.problems?.some((p) => p.code === 'stale')) {
        const { data, etag } = await call('GET', path);
        meet({ said: known(shape(data[name])), etag });
        complain([]);
      } else if (error.status !== 401) complain(problemsOf(error));
    }
  };
  const other = (before, after) => differences(before, after, schema, schema.$defs).filter(([pointer]) => !pointer.startsWith('/last_modified'));
  const own = theirs ? other(stands.said, said) : [];
  const touches = (one, two) => `${one}/`.startsWith(`${two}/`) || `${two}/`.startsWith(`${one}/`);
  return {
    said, stands, theirs, problems, changed, set, save,
    // What they have changed, and whether I have too.
    moved: theirs ? other(stands.said, theirs.said).map((one) => [...one, own.some(([pointer]) => touches(pointer, one[0]))]) : [],
    discard: () => { say(stands.said); complain([]); meet(null); },
    takeTheirs: () => { take(theirs); say(theirs.said); meet(null); },
    // Their version is what mine is laid over: only what I have changed is sent.
    keepMine: () => { take(theirs); say(merged(stands.said, said, theirs.said, schema, schema.$defs)); meet(null); },
  };
}

export const Dock = ({ draft }) => draft.changed.length > 0 && html`<div class="dock" role="region" aria-label="Unsaved changes"><p role="status">${count(draft.changed.length, 'unsaved change')}</p>
  <button onClick=${draft.discard}>Discard</button><${Do} kind="main" act=${draft.save} disabled=${Boolean(draft.theirs)}>Save<//></div>`;

export function Theirs({ draft, titleOf }) {
  const { theirs, moved } = draft;
  if (!theirs) return null;
  return html`<div class="note" role="alert">
    <h2>Somebody else has saved this meanwhile</h2>
    <p>Nothing of yours is lost. ${moved.length ? 'They changed:' : ''}</p>
    <ul>${moved.map(([pointer, before, after, too]) => html`<li>${titleOf(pointer)}: ${entry(before, after, 'not there')} → <strong>${entry(after, before, 'gone')}</strong>${too && ' (you too)'}</li>`)}</ul>
    <div class="row"><button onClick=${draft.keepMine}>Lay mine over theirs</button><button onClick=${draft.takeTheirs}>Take theirs, drop mine</button></div>
  </div>`;
}
// A whole entry of a list is there or not; a field is blank.
const entry = (value, other, none) => (value === undefined && typeof other === 'object' ? none : shown(value));
