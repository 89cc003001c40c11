// The files of a customer: sent to where only the shop reads them, then put to the profile. They are downloaded, and never
// shown: what is in them is somebody else's.
import { html, useRef, useState } from './lib.js';
import { call, get, may, post } from './api.js';
import { moment } from './format.js';
import { Card, Dialog, Do, Empty, Summary, Table, problemsOf, toast } from './ui.js';
import { Sending, bytes, upload } from './transfers.js';

// What the kinds that the API takes are called, and how their names end where the browser does not know the kind.
const KINDS = {
  'application/pdf': ['PDF', 'pdf'], 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': ['Excel', 'xlsx'],
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': ['Word', 'docx'], 'image/gif': ['GIF', 'gif'],
  'image/jpeg': ['JPEG', 'jpg jpeg'], 'image/png': ['PNG', 'png'], 'text/csv': ['CSV', 'csv'], 'text/plain': ['text', 'txt'],
};
const kind = (type) => KINDS[type]?.[0] || type || '';
const TITLES = { file: 'File', file_name: 'Name', mime_type: 'File', description: 'What it is' };
const titleOf = (pointer) => TITLES[pointer.split('/')[1]] || 'The file';

export function Uploads({ base, customer, defs, heard }) {
  const [dialog, show] = useState(null);
  const writes = may('customer_write');
  const { file_name: name, mime_type: type, description: about } = defs.AttachmentRequest.properties;
  const path = (one) => `${base}/attachments/${one.customer_profile_attachment_oid}`;
  // The address of a file opens it for some minutes only, so it is asked for when somebody wants it.
  const fetched = async (one) => { location.assign((await get(path(one))).url); };
  const named = (verb, one) => html`${verb}<span class="hidden"> ${one.file_name}</span>`;
  const done = (text) => { toast(text); show(null); heard(); };
  return html`
    ${writes && html`<${Add} base=${base} types=${type.enum} most=${type['x-ui'].maximum_bytes} fields=${{ file_name: name, description: about }} heard=${heard} />`}
    <${Card} title="Uploads"><${Table} label="Uploads" rows=${customer.attachments || []} empty=${html`<${Empty} title="There are no files">Certificates of resale and the like stand here.<//>`} columns=${[
      ['File', (one) => one.file_name], ['What it is', (one) => one.description || ''], ['Kind', (one) => kind(one.mime_type)],
      ['Size', (one) => bytes(one.file_size), 'num'], ['Put there', (one) => moment(one.upload_dts)],
      ['Do', (one) => html`<div class="row"><${Do} act=${() => fetched(one)}>${named('Download', one)}<//>${writes && html`<button onClick=${() => show({ one })}>${named('Change…', one)}</button><button onClick=${() => show({ one, gone: true })}>${named('Delete…', one)}</button>`}</div>`],
    ]} /><//>
    ${dialog?.gone && html`<${Dialog} title="Delete this file?" close=${() => show(null)}><p>${dialog.one.file_name} goes for good.</p>
      <div class="row"><${Do} kind="danger" act=${async () => { await call('DELETE', path(dialog.one)); done('Deleted.'); }}>Delete the file<//><button onClick=${(event) => event.target.closest('dialog').close()}>Keep it</button></div><//>`}
    ${dialog && !dialog.gone && html`<${Change} one=${dialog.one} path=${path(dialog.one)} fields=${{ file_name: name, description: about }} done=${() => done('Changed.')} close=${() => show(null)} />`}`;
}

const Said = ({ id, fields, value = {} }) => Object.entries(fields).map(([field, of]) => html`<div class="field">
  <label for=${`${id}-${field}`}>${TITLES[field]}${of.minLength ? ' (required)' : ''}</label><input id=${`${id}-${field}`} name=${field} class="wide" defaultValue=${value[field] || ''} required=${Boolean(of.minLength)} maxlength=${lengthOf(of)} autocomplete="off" /></div>`);
// A field that may be left out is described as the one or the other.
const lengthOf = (of) => of.maxLength || of.anyOf?.find((one) => one.maxLength)?.maxLength;
const saidIn = (form) => Object.fromEntries([...new FormData(form)].filter(([field, value]) => field !== 'file' && value));

function Add({ base, types, most, fields, heard }) {
  const form = useRef();
  // What was sent and not put to the profile yet, because something that was said of it must be mended.
  const waits = useRef({});
  const [problems, complain] = useState([]);
  const [sent, send] = useState(null);
  const kinds = types.map(kind).join(', ');
  const typeOf = (file) => types.find((type) => type === file.type) || types.find((type) => KINDS[type]?.[1].split(' ').includes(file.name.split('.').pop().toLowerCase()));
  const chosen = (event) => {
    const [file] = event.target.files;
    form.current.elements.file_name.value = file?.name || '';
    complain(!file || typeOf(file) ? [] : [{ pointer: '/file', message: `is of a kind that is not taken (${file.type || 'nobody knows which'}); taken are ${kinds}` }]);
  };
  const add = async () => {
    const [file] = form.current.elements.file.files;
    if (!form.current.reportValidity() || !typeOf(file)) return;
    complain([]);
    try {
      if (waits.current.file !== file) {
        const { customer_profile_attachment_oid: oid, upload: place } = (await post(`${base}/attachments`)).attachment_upload;
        await upload(place, file, send);
        waits.current = { file, oid };
      }
      await call('PUT', `${base}/attachments/${waits.current.oid}`, { ...saidIn(form.current), mime_type: typeOf(file) });
      waits.current = {};
      form.current.reset();
      toast('Uploaded.');
      heard();
    } catch (error) {
      complain(problemsOf(error));
    } finally {
      send(null);
    }
  };
  return html`<${Card} title="A new file">
    <${Summary} problems=${problems} title="It was not uploaded" titleOf=${titleOf} show=${(pointer) => document.getElementById(`upload-${pointer.slice(1).replace('mime_type', 'file')}`)?.focus()} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}><p class="help" id="upload-help">${kinds}; ${bytes(most)} at most.</p><div class="pair">
      <div class="field"><label for="upload-file">File (required)</label><input id="upload-file" name="file" class="wide" type="file" accept=${[...types, ...types.flatMap((type) => (KINDS[type]?.[1].split(' ') || []).map((end) => `.${end}`))].join(',')} required aria-describedby="upload-help" onChange=${chosen} /></div>
      <${Said} id="upload" fields=${fields} /></div></form>
    <div class="row"><${Do} kind="main" act=${add}>Upload<//><${Sending} sent=${sent} /></div><//>`;
}

function Change({ one, path, fields, done, close }) {
  const form = useRef();
  const [problems, complain] = useState([]);
  const save = async () => {
    if (!form.current.reportValidity()) return;
    try {
      await call('PUT', path, { ...saidIn(form.current), mime_type: one.mime_type });
      done();
    } catch (error) {
      complain(problemsOf(error));
    }
  };
  return html`<${Dialog} title="Change what is said of the file" close=${close}>
    <${Summary} problems=${problems} title="Nothing was changed" titleOf=${titleOf} show=${(pointer) => document.getElementById(`uploaded-${pointer.slice(1)}`)?.focus()} />
    <form ref=${form} onSubmit=${(event) => event.preventDefault()}><${Said} id="uploaded" fields=${fields} value=${one} /></form>
    <div class="row"><${Do} kind="main" act=${save}>Save<//><button onClick=${(event) => event.target.closest('dialog').close()}>Leave it</button></div><//>`;
}
