// What the sections of settings are for, and every setting of theirs, to be found by its title or its help: read once,
// when somebody looks for one.
import { get, may } from './api.js';
import { named } from './fields.js';
import { words } from './format.js';
import { sections } from './sections.js';

// What each section is for.
export const ABOUT = {
  auto_order_processing: 'How auto orders are billed, retried, shipped and announced.',
  merchant: 'Its name, zone, sender and the pages that may call it.',
  shipping_methods: 'How orders go out, where to and at what cost.',
  taxes: 'Sales tax by country, state and postal code.',
  rotating_transaction_gateways: 'Which payment account takes a charge, and which one after a decline.',
  loyalty_program: 'What customers earn by their orders, and what it is redeemed for.',
  pricing_tiers: 'Terms by which dealers, friends and staff buy.',
  customer_profiles: 'Who has a profile, what it keeps, how dealers sign up.',
};

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
