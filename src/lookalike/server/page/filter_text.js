// Converts filters between conditions, which the controls show, and the text of the filter language. Only a text that is
// an "and" of conditions on different fields can be converted to conditions.

const IDENTIFIER = /^[A-Za-z_][\w.]*$/;
const RESERVED = new Set(["and", "or", "not", "in", "like", "glob", "between", "is", "null"]);

const fieldText = (name) => (IDENTIFIER.test(name) && !RESERVED.has(name.toLowerCase()) ? name : `"${name.replaceAll('"', '""')}"`);
export const valueText = (value) => (typeof value === "number" ? String(value) : `'${String(value).replaceAll("'", "''")}'`);

/** Return a condition {field, low?, high?, values?, like?} as text; "" if it has no bounds or values. */
function conditionText({ field, low, high, values, like }) {
  const name = fieldText(field);
  if (values?.length === 1) return `${name} = ${valueText(values[0])}`;
  if (values?.length) return `${name} in (${values.map(valueText).join(", ")})`;
  if (like) return `${name} like ${valueText(`%${like}%`)}`;
  const isSet = (bound) => bound !== undefined && bound !== null && bound !== "";
  if (isSet(low) && isSet(high)) return `${name} between ${valueText(low)} and ${valueText(high)}`;
  if (isSet(low)) return `${name} >= ${valueText(low)}`;
  if (isSet(high)) return `${name} <= ${valueText(high)}`;
  return "";
}

/** Return the text of a filter. */
export const formatConditions = (conditions) => conditions.map(conditionText).filter(Boolean).join(" and ");

const TOKEN = /\s*(?:([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))|'((?:[^']|'')*)'|"((?:[^"]|"")+)"|([A-Za-z_][\w.]*)|(<=|>=|[=(),]))/y;

function tokenize(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    if (!text.slice(TOKEN.lastIndex).trim()) break;
    const match = TOKEN.exec(text);
    if (!match) return null;
    const [, number, quoted, field, word, operator] = match;
    if (number !== undefined) found.push({ value: Number(number) });
    else if (quoted !== undefined) found.push({ value: quoted.replaceAll("''", "'") });
    else if (field !== undefined) found.push({ field: field.replaceAll('""', '"') });
    else if (word !== undefined) found.push(RESERVED.has(word.toLowerCase()) ? { operator: word.toLowerCase() } : { field: word });
    else found.push({ operator });
  }
  return found;
}

/** Return the conditions of a filter, at most one for each field; null if controls cannot express it. */
export function parseConditions(text) {
  const rest = tokenize(text);
  if (rest === null) return null;
  const found = [];
  while (rest.length) {
    if (found.length && rest.shift()?.operator !== "and") return null;
    const condition = parseCondition(rest);
    if (!condition || found.some((other) => other.field === condition.field)) return null;
    found.push(condition);
  }
  return found;
}

function parseCondition(rest) {
  const field = rest.shift()?.field;
  const operator = rest.shift()?.operator;
  if (field === undefined || operator === undefined) return null;
  const value = () => rest.shift()?.value;
  if (operator === "in") {
    if (rest.shift()?.operator !== "(") return null;
    const values = [value()];
    while (rest[0]?.operator === ",") { rest.shift(); values.push(value()); }
    return rest.shift()?.operator === ")" && !values.includes(undefined) ? { field, values } : null;
  }
  if (operator === "between") {
    const low = value();
    const and = rest.shift()?.operator;
    const high = value();
    return and === "and" && low !== undefined && high !== undefined ? { field, low, high } : null;
  }
  const operand = value();
  if (operand === undefined) return null;
  if (operator === "=") return { field, values: [operand] };
  if (operator === ">=") return { field, low: operand };
  if (operator === "<=") return { field, high: operand };
  const inner = operator === "like" && typeof operand === "string" && /^%([^%_]+)%$/.exec(operand);
  return inner ? { field, like: inner[1] } : null;
}
