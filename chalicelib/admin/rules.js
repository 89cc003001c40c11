// Every setting of every section, to be found by its title or its help: read once, when somebody looks for one.
import { get, may } from './api.js';
import { named } from './fields.js';
import { words } from './format.js';
import { sections } from './sections.js';

let asked = null;
export function rules() {
  asked ||= Promise.all(sections.filter((section) => section.settings && may(section.needs)).map(async (section) => {
    const { schema } = await get(`/configuration/${section.settings}/schema`);
    return fields(schema, schema.$defs).map(({ field, title, help }) => ({
      title, help, section: section.title, about: `${title} ${help} ${field}`.toLowerCase(), kind: 'Setting', to: section.path, query: { field },
    }));
  })).then((found) => found.flat()).catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}

// The fields of a noun and of the nouns in it, those of a list by their place in its first entry.
function fields(noun, defs, at = '', of = '') {
  return Object.entries(noun.properties).filter(([, its]) => its.title && !its.readOnly).flatMap(([name, its]) => {
    const inner = named(its, defs) || named(its.items, defs);
    const field = at + name;
    const entry = words(its['x-ui']?.entry || its.title);
    return [{ field, title: of + its.title, help: its.description || '' }, ...(inner ? fields(inner, defs, its.items ? `${field}/0/` : `${field}/`, `${entry}: `) : [])];
  });
}
