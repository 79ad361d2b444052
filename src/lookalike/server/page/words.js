// @ts-check
// Texts of the page in the language of the person. Each language is one file in strings/.

export const LANGUAGES = { en: "English", de: "Deutsch" };

/** @type {Record<string, string | string[]>} */
let strings = {};
/** Returns a sentence of the server in the language of the page, once `loadServerSentences` has loaded them. */
export let fromServer = (/** @type {string} */ text) => text;
export let language = "en";
let plural = new Intl.PluralRules("en");
let integers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Load the texts of a language, English where it is not known; a test makes sure that no language lacks any. */
export async function loadLanguage(/** @type {string} */ name) {
  language = name in LANGUAGES ? name : "en";
  strings = (await import(`./strings/${language}.js`)).default;
  fromServer = (text) => text;
  plural = new Intl.PluralRules(language);
  integers = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  formats.clear();
  document.documentElement.lang = language;
}

/** Load the sentences of the server, which the first screen does not need. */
export async function loadServerSentences() {
  if (language !== "en") fromServer = (await import(`./strings/server_${language}.js`)).translated;
}

/** Format a whole number: 12,340. */
export const count = (/** @type {number} */ n) => integers.format(n);

/** @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/** Format a number with the options of Intl.NumberFormat. */
export function number(/** @type {number} */ n, /** @type {Intl.NumberFormatOptions} */ options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(language, options));   // making one takes 50 µs
  return /** @type {Intl.NumberFormat} */ (formats.get(key)).format(n);
}

/**
 * Return a text. `{name}` in it is replaced by a value; of a pair [one, other], the form that suits the number `n`.
 *
 * @param {string} key
 * @param {Record<string, any>} [values]  numbers are formatted
 */
export function t(key, values = {}) {
  const text = strings[key] ?? key;
  const form = Array.isArray(text) ? text[plural.select(values.n) === "one" ? 0 : 1] : text;
  return form.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? count(value) : String(value);
  });
}
