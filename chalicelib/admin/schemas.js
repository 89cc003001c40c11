// The nouns of the API as its own document describes them, read once.
import { get } from './api.js';

let asked = null;
export function schemas() {
  asked ||= get('/openapi.json').then((document) => document.components.schemas).catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}
