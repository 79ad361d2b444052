// Filters as controls, and as the text of the filter language. A text that is a plain "and" of what the
// controls can say becomes controls again; any other stays a text.

const WORD = /^[A-Za-z_][\w.]*$/;
const RESERVED = new Set(["and", "or", "not", "in", "like", "glob", "between", "is", "null"]);

const fieldText = (name) => (WORD.test(name) && !RESERVED.has(name.toLowerCase()) ? name : `"${name.replaceAll('"', '""')}"`);
export const valueText = (value) => (typeof value === "number" ? String(value) : `'${String(value).replaceAll("'", "''")}'`);

/** One condition {field, low?, high?, values?, like?} as text; "" where it asks for nothing. */
function conditionText({ field, low, high, values, like }) {
  const name = fieldText(field);
  if (values?.length === 1) return `${name} = ${valueText(values[0])}`;
  if (values?.length) return `${name} in (${values.map(valueText).join(", ")})`;
  if (like) return `${name} like ${valueText(`%${like}%`)}`;
  const has = (bound) => bound !== undefined && bound !== null && bound !== "";
  if (has(low) && has(high)) return `${name} between ${valueText(low)} and ${valueText(high)}`;
  if (has(low)) return `${name} >= ${valueText(low)}`;
  if (has(high)) return `${name} <= ${valueText(high)}`;
  return "";
}

/** Conditions as the text of a filter. */
export const whereText = (conditions) => conditions.map(conditionText).filter(Boolean).join(" and ");

const TOKEN = /\s*(?:([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))|'((?:[^']|'')*)'|"((?:[^"]|"")+)"|([A-Za-z_][\w.]*)|(<=|>=|[=(),]))/y;

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    if (!text.slice(TOKEN.lastIndex).trim()) break;
    const match = TOKEN.exec(text);
    if (!match) return null;
    const [, number, quoted, field, word, sign] = match;
    if (number !== undefined) found.push({ value: Number(number) });
    else if (quoted !== undefined) found.push({ value: quoted.replaceAll("''", "'") });
    else if (field !== undefined) found.push({ field: field.replaceAll('""', '"') });
    else if (word !== undefined) found.push(RESERVED.has(word.toLowerCase()) ? { sign: word.toLowerCase() } : { field: word });
    else found.push({ sign });
  }
  return found;
}

/** Conditions that a text says, one a field; null where controls cannot say the same. */
export function conditions(text) {
  const rest = tokens(text);
  if (rest === null) return null;
  const found = [];
  while (rest.length) {
    if (found.length && rest.shift().sign !== "and") return null;
    const one = condition(rest);
    if (!one || found.some((other) => other.field === one.field)) return null;
    found.push(one);
  }
  return found;
}

function condition(rest) {
  const field = rest.shift()?.field;
  const sign = rest.shift()?.sign;
  if (field === undefined || sign === undefined) return null;
  const value = () => rest.shift()?.value;
  if (sign === "in") {
    if (rest.shift()?.sign !== "(") return null;
    const values = [value()];
    while (rest[0]?.sign === ",") { rest.shift(); values.push(value()); }
    return rest.shift()?.sign === ")" && !values.includes(undefined) ? { field, values } : null;
  }
  if (sign === "between") {
    const low = value();
    const and = rest.shift()?.sign;
    const high = value();
    return and === "and" && low !== undefined && high !== undefined ? { field, low, high } : null;
  }
  const given = value();
  if (given === undefined) return null;
  if (sign === "=") return { field, values: [given] };
  if (sign === ">=") return { field, low: given };
  if (sign === "<=") return { field, high: given };
  const inner = sign === "like" && typeof given === "string" && /^%([^%_]+)%$/.exec(given);
  return inner ? { field, like: inner[1] } : null;
}
