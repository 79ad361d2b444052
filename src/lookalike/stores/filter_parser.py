"""Parse the text of a filter into an expression: a recursive descent parser.

    expression  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = "not" negation | "(" expression ")" | test
    test        = field ( ("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") value
                        | ["not"] "in" "(" value { "," value } ")"
                        | ["not"] ("like" | "glob") text
                        | ["not"] "between" value "and" value
                        | "is" ["not"] "null" )
    field       = name | '"' any name '"'
    value       = number | "'" text "'" | "true" | "false"

Quotes inside quotes are doubled. Keywords are case-insensitive.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NoReturn, cast

from lookalike.errors import UsageError
from lookalike.files import compose
from lookalike.stores.filter_semantics import comparable, has_zone
from lookalike.stores.filters import (
    And,
    Between,
    Compare,
    Expression,
    In,
    Like,
    Missing,
    Not,
    Operator,
    Or,
    Value,
    exact_number,
    quote_field,
)

MAX_LENGTH = 10_000
"""Characters of an expression: room for a list of a thousand names."""

MAX_DEPTH = 50
"""Nesting of parentheses and `not`; far below the recursion limit of Python."""

# Possessive quantifiers: backtracking over thousands of digits would take seconds.
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?(?![\w.]))
      | '(?P<text>(?:[^']|'')*)'
      | "(?P<quoted>(?:[^"]|"")*)"
      | (?P<word>[^\W\d][\w.]*)
      | (?P<sign><=|>=|<>|!=|==|[=<>(),])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)

_KEYWORDS = frozenset({"and", "or", "not", "in", "like", "glob", "between", "is", "null"})
_BOOLEANS = {"true": 1.0, "false": 0.0}
_SYNONYMS = {"==": "=", "<>": "!="}


# A date without quotes would be numbers with signs.
_UNQUOTED_DATE = re.compile(
    r"\d{4}[-/:]\d{1,2}(?:[-/:]\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2})?)?)?(?![\w.])"
)


@dataclass(frozen=True, slots=True)
class _Token:
    """A token: its kind (a group of `_TOKEN`), its text, and the position of the text in the filter."""

    kind: str
    text: str
    at: int

    @property
    def keyword(self) -> str:
        """The keyword that this token is, in lower case; "" for any other token."""
        lower = self.text.lower()
        return lower if self.kind == "word" and lower in _KEYWORDS else ""


def parse(text: str, *, max_length: int = MAX_LENGTH) -> Expression:
    """Return the expression that a text means; `UsageError` of one line that points at the mistake."""
    if len(text) > max_length:
        raise UsageError(f"the filter has {len(text)} characters; at most {max_length} are read")
    return _Parser(compose(text)).parse()


class _Parser:
    """The tokens of a filter, and the position of the next one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._position = 0

    def parse(self) -> Expression:
        """Return the expression that all tokens mean."""
        if self._next_token.kind == "end":
            raise UsageError("the filter is empty; write for example: kind = 'shoe' and price < 50")
        expression = self._expression(0)
        if self._next_token.kind != "end":
            self._fail("and, or or the end")
        return expression

    def _split(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while not tokens or tokens[-1].kind != "end":
            match = _TOKEN.match(self._text, at)
            if match is None:
                at += len(self._text[at:]) - len(self._text[at:].lstrip())
                self._fail_at(at, self._unreadable(at))
            kind = cast(str, match.lastgroup)
            start = match.start(kind) - (kind in ("text", "quoted"))
            tokens.append(_Token(kind, match[kind], start))
            at = match.end()
        return tokens

    def _unreadable(self, at: int) -> str:
        character = self._text[at]
        if character in "'\"":
            return "a quote opens here and is not closed (write it twice inside quotes)"
        if character in "‘’“”`´":
            return f"{character} is not a quote: write 'text' with straight ones"
        if character.isdigit() or character in "+-.":
            return "not a number; a name that begins like this is written in double quotes"
        return f"{character!r} is not allowed here"

    @property
    def _next_token(self) -> _Token:
        return self._tokens[self._position]

    def _accept(self, *words: str) -> bool:
        """Skip the next token if it is one of these keywords or signs; return whether it was."""
        token = self._next_token
        if token.keyword in words or (token.kind == "sign" and token.text in words):
            self._position += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            self._fail(word)

    def _expression(self, depth: int) -> Expression:
        parts = [self._conjunction(depth)]
        while self._accept("or"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _conjunction(self, depth: int) -> Expression:
        parts = [self._negation(depth)]
        while self._accept("and"):
            parts.append(self._negation(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _negation(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            self._fail_at(self._next_token.at, f"nested more than {MAX_DEPTH} deep")
        if self._accept("not"):
            return Not(self._negation(depth + 1))
        if self._accept("("):
            inner = self._expression(depth + 1)
            self._expect(")")
            return inner
        return self._test()

    def _test(self) -> Expression:
        field = self._field()
        if self._accept("is"):
            other = self._accept("not")
            self._expect("null")
            return Not(Missing(field)) if other else Missing(field)
        if self._accept("not"):
            return _other_than(field, self._keyword_test(field))
        if self._next_token.kind == "sign" and self._next_token.text not in "(),":
            return self._comparison(field)
        return self._keyword_test(field)

    def _comparison(self, field: str) -> Expression:
        operator = _SYNONYMS.get(self._next_token.text, self._next_token.text)
        self._position += 1
        if self._next_token.keyword == "null":
            self._fail_at(
                self._next_token.at, f"write {quote_field(field)} is null, or is not null"
            )
        at = self._next_token.at
        value = self._value()
        if operator in ("<", "<=", ">", ">="):
            self._refuse_zone(value, at)
        if operator == "!=":
            return _other_than(field, Compare(field, "=", value))
        return Compare(field, cast(Operator, operator), value)

    def _keyword_test(self, field: str) -> Expression:
        if self._accept("in"):
            self._expect("(")
            values = [self._value()]
            while self._accept(","):
                values.append(self._value())
            self._expect(")")
            return In(field, tuple(values))
        if self._next_token.keyword in ("like", "glob"):
            glob = self._accept("glob") or not self._accept("like")
            if self._next_token.kind != "text":
                self._fail("a pattern in single quotes")
            return Like(field, self._text_here(), glob)
        if self._accept("between"):
            at = self._next_token.at
            low = self._value()
            self._refuse_zone(low, at)
            self._expect("and")
            at = self._next_token.at
            high = self._value()
            self._refuse_zone(high, at)
            if isinstance(low, str) != isinstance(high, str):
                self._fail_at(at, "between needs two numbers or two texts")
            return Between(field, low, high)
        return self._fail("=, !=, <, <=, >, >=, in, like, glob, between or is")

    def _field(self) -> str:
        token = self._next_token
        if token.kind == "quoted" or (token.kind == "word" and not token.keyword):
            self._position += 1
            return token.text.replace('""', '"') if token.kind == "quoted" else token.text
        if token.kind == "text":
            self._fail_at(token.at, "a field comes first; odd names are written in double quotes")
        return self._fail("the name of a field")

    def _value(self) -> Value:
        token = self._next_token
        if token.kind == "text":
            return comparable(self._text_here())
        if token.kind == "number":
            if date := _UNQUOTED_DATE.match(self._text, token.at):
                self._fail_at(token.at, f"write the date in single quotes: '{date[0]}'")
            if not math.isfinite(float(token.text)):
                self._fail_at(token.at, "the number is too large")
            self._position += 1
            whole = token.text.lstrip("+-").isdecimal()
            return exact_number(int(token.text) if whole else float(token.text))
        if token.kind == "word" and token.text.lower() in _BOOLEANS:
            self._position += 1
            return _BOOLEANS[token.text.lower()]
        if token.kind in ("word", "quoted"):
            self._fail_at(token.at, f"write the text in single quotes: '{token.text}'")
        return self._fail("a number or a text in single quotes")

    def _refuse_zone(self, value: Value, at: int) -> None:
        """Refuse a time of another zone: dates are ordered as they are written, in local time."""
        if isinstance(value, str) and has_zone(value):
            self._fail_at(at, "times are compared in local time: leave out the time zone")

    def _text_here(self) -> str:
        self._position += 1
        return self._tokens[self._position - 1].text.replace("''", "'")

    def _fail(self, expected: str) -> NoReturn:
        found = "the filter ends" if self._next_token.kind == "end" else f"found {self._found()}"
        self._fail_at(self._next_token.at, f"{found}, expected {expected}")

    def _found(self) -> str:
        end = (
            self._tokens[self._position + 1].at if self._position + 1 < len(self._tokens) else None
        )
        return self._text[self._next_token.at : end].strip()[:40]

    def _fail_at(self, at: int, what: str) -> NoReturn:
        before = self._text[max(0, at - 30) : at]
        after = self._text[at : at + 30]
        raise UsageError(
            " ".join(f"the filter, at character {at + 1}: {what}: {before}⟪here⟫{after}".split())
        )


def _other_than(field: str, test: Expression) -> Expression:
    """Return the expression that the field has values, none of which satisfies the test."""
    return And((Not(Missing(field)), Not(test)))
