// The texts of one e-mail: change them, look at what they make, send one to the shop.
import { html, useEffect, useRef, useState } from './lib.js';
import { call, may, post, session } from './api.js';
import { moment } from './format.js';
import { guarded } from './router.js';
import { Card, Do, Loaded, Page, Summary, Table, Tag, problemsOf, toast, useLoad } from './ui.js';

const PARTS = [['subject', 'Subject'], ['text', 'Text'], ['html', 'HTML']];

export default function Notice({ params }) {
  const path = `/configuration/notice_templates/${params.template}`;
  const found = useLoad(async () => {
    const { data, etag } = await call('GET', path);
    return { ...data.notice_template, etag };
  }, [path]);
  const one = found.data;
  return html`<${Page} title=${one?.title || 'E-mail'} lead=${one?.description} actions=${one && (one.edited ? html`<${Tag}>Your own texts, ${moment(one.modified_dts)}<//>` : html`<${Tag} kind="plain">Default texts<//>`)}>
    <${Loaded} of=${found}>${(read) => html`<${Editor} key=${`${path} ${read.etag} ${read.modified_dts}`} path=${path} read=${read} reload=${found.reload} />`}<//>
  <//>`;
}

function Editor({ path, read, reload }) {
  const [said, say] = useState(Object.fromEntries(PARTS.map(([part]) => [part, read[part] ?? ''])));
  const [seen, show] = useState(null);
  const [problems, complain] = useState([]);
  const changed = PARTS.map(([part]) => part).filter((part) => said[part] !== (read[part] ?? ''));
  const dirty = useRef(false);
  dirty.current = changed.length > 0;
  useEffect(() => { guarded(() => dirty.current && 'You have unsaved changes. Leave them?'); return () => guarded(null); }, []);
  const attempt = (act) => async () => {
    try {
      await act();
      complain([]);
    } catch (error) {
      if (error.status !== 401) complain(problemsOf(error));
    }
  };
  const only = (parts) => Object.fromEntries(parts.map((part) => [part, said[part]]));
  const look = attempt(async () => {
    const sent = only(changed);
    show({ ...(await post(`${path}/preview`, sent)).preview, sent });
  });
  const save = attempt(async () => {
    await call('PUT', path, only(changed), read.etag ? { 'if-match': read.etag } : {});
    toast('Saved.');
    dirty.current = false;
    reload();
  });
  const restore = attempt(async () => { await call('DELETE', path); toast('The default texts are back.'); dirty.current = false; reload(); });
  const test = attempt(async () => { const { test_mail: mail } = await post(`${path}/test`); toast(`Sent to ${mail.email}.`); });
  const titleOf = (pointer) => PARTS.find(([part]) => part === pointer.split('/')[1])?.[1] || pointer;
  const writes = may('configuration_write');
  return html`
    <${Summary} problems=${problems} title="It cannot be laid out" titleOf=${titleOf} show=${(pointer) => document.getElementById(pointer.split('/')[1])?.focus()} />
    <div class="grid loose">
      <${Card} title="Texts">
        ${PARTS.map(([part, title]) => html`<div class="field"><label for=${part}>${title}</label>${part === 'subject'
          ? html`<input id=${part} class="wide" value=${said[part]} disabled=${!writes} onInput=${(event) => say({ ...said, [part]: event.target.value })} />`
          : html`<textarea id=${part} value=${said[part]} disabled=${!writes} spellcheck="false" onInput=${(event) => say({ ...said, [part]: event.target.value })}></textarea>`}</div>`)}
        <div class="row"><${Do} act=${look}>Preview<//>${writes && html`<${Do} kind="main" act=${save} disabled=${!changed.length}>Save<//>
          <${Do} act=${test}>Send a test to the shop<//>${read.edited && html`<${Do} act=${restore}>Back to the default<//>`}`}</div>
        <p class="help">A test is made of the saved texts, with invented people.</p>
      <//>
      <div>
        ${seen && html`<${Card} title="Preview"><dl><dt>Subject</dt><dd><strong>${seen.subject}</strong></dd></dl>
          <h3>Text</h3><pre tabindex="0" role="region" aria-label="Text of the preview">${seen.text}</pre>
          ${seen.html && html`<${AsReceived} template=${read.template} sent=${seen.sent} /><details><summary>HTML, as it is sent</summary><pre tabindex="0">${seen.html}</pre></details>`}<//>`}
        <${Card} title="What the texts can show"><${Table} label="Variables" rows=${read.variables || []} columns=${[
          ['Name', (row) => html`<code>${row.name}</code>`],
          ['As in', (row) => (typeof row.sample === 'object' ? html`<code class="small">${JSON.stringify(row.sample).slice(0, 120)}</code>` : String(row.sample ?? ''))],
          ['Always there', (row) => (row.optional ? 'no' : 'yes')],
        ]} /><//>
      </div>
    </div>`;
}

// The same texts, as a document of their own in a window of its own: this page lets no style and no picture in that is
// not its own, and what is in a mail is not.
const AsReceived = ({ template, sent }) => html`<form method="post" action=${`mails/${template}`} target="_blank" rel="noopener">
  ${Object.entries({ ...sent, csrf: session.value.csrf }).map(([name, value]) => html`<input type="hidden" name=${name} value=${value} />`)}
  <p><button>Look at it as it is received</button> <span class="soft small">In a window of its own. Scripts and links do nothing there.</span></p></form>`;
