// How values look. Instants come with the merchant's offset, so their digits are the shop's own wall clock: they are
// shown as they stand, never counted with.
import { signal } from './lib.js';

// The merchant section, once it is read.
export const shop = signal({});

const locale = navigator.language?.startsWith('en') ? navigator.language : 'en-US';
const DAY = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone: 'UTC' });
const WEEKDAY = new Intl.DateTimeFormat(locale, { weekday: 'short', month: 'short', day: 'numeric', timeZone: 'UTC' });
const TIME = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: 'UTC' });
const NUMBER = new Intl.NumberFormat(locale);

const wall = (text) => new Date(`${text.slice(0, 19)}${text.length > 10 ? '' : 'T00:00:00'}Z`);
const shown = (text, form) => {
  if (!text) return '';
  const date = wall(String(text));
  return Number.isNaN(date.getTime()) ? String(text) : form(date);
};

export const day = (text) => shown(text, (date) => DAY.format(date));
export const weekday = (text) => shown(text, (date) => WEEKDAY.format(date));
export const moment = (text) => shown(text, (date) => `${DAY.format(date)}, ${TIME.format(date)}`);
export const clock = (text) => shown(text, (date) => TIME.format(date));
export const number = (value) => (value === undefined || value === null ? '' : NUMBER.format(value));

// An amount: as the API wrote it, else a plain number in the shop's currency.
export function money(value) {
  if (value === undefined || value === null) return '';
  if (typeof value === 'object') return value.localized_formatted || String(value.value);
  const currency = shop.value.currency_code || 'USD';
  return new Intl.NumberFormat(locale, { style: 'currency', currency }).format(value);
}

export const name = (person) => [person?.first_name, person?.last_name].filter(Boolean).join(' ');
// 'credit_card_attempt' as words.
export const words = (text) => {
  const said = String(text || '').replaceAll('_', ' ');
  return said.charAt(0).toUpperCase() + said.slice(1);
};
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
