// What others made, under its version: the file may be kept for ever, so the version stands in its address.
export * from './vendor/preact-htm.js?11.2.0';
