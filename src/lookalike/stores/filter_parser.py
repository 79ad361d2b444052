"""The text of a filter → an expression. A recursive descent over a handful of tokens.

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

Quotes inside quotes are doubled. Words of the grammar are written in any case.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NoReturn, cast

from lookalike.errors import UsageError
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
    shown,
)

MAX_LENGTH = 10_000
"""Characters of an expression: room for a list of a thousand names."""

MAX_DEPTH = 50
"""Of parentheses and `not` within each other; far below what Python can recurse."""

# Possessive: digits are never shared out anew, for which thousands of them would take seconds.
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?(?![\w.]))
      | '(?P<text>(?:[^']|'')*)'
      | "(?P<quoted>(?:[^"]|"")+)"
      | (?P<word>[^\W\d][\w.]*)
      | (?P<sign><=|>=|<>|!=|==|[=<>(),])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)

_WORDS = frozenset({"and", "or", "not", "in", "like", "glob", "between", "is", "null"})
_TRUTH = {"true": 1.0, "false": 0.0}
_SAME = {"==": "=", "<>": "!="}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def word(self) -> str:
        """The word of the grammar that this is, else ""."""
        lower = self.text.lower()
        return lower if self.kind == "word" and lower in _WORDS else ""


def parse(text: str) -> Expression:
    """The expression that a text means; `UsageError` of one line that points at the place."""
    if len(text) > MAX_LENGTH:
        raise UsageError(f"the filter has {len(text)} characters; at most {MAX_LENGTH} are read")
    return _Parser(text).whole()


class _Parser:
    """Where we are in the tokens."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._next = 0

    def whole(self) -> Expression:
        if self._here.kind == "end":
            raise UsageError("the filter is empty; write for example: kind = 'shoe' and price < 50")
        expression = self._expression(0)
        if self._here.kind != "end":
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
            return f"{character} is no quote here: write 'text' with straight ones"
        if character.isdigit() or character in "+-.":
            return "no number; a name that begins so is written in double quotes"
        return f"{character!r} means nothing here"

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _took(self, *words: str) -> bool:
        """Step over one of these words or signs, if it comes next."""
        token = self._here
        if token.word in words or (token.kind == "sign" and token.text in words):
            self._next += 1
            return True
        return False

    def _need(self, word: str) -> None:
        if not self._took(word):
            self._fail(word)

    def _expression(self, depth: int) -> Expression:
        parts = [self._conjunction(depth)]
        while self._took("or"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _conjunction(self, depth: int) -> Expression:
        parts = [self._negation(depth)]
        while self._took("and"):
            parts.append(self._negation(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _negation(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            self._fail_at(self._here.at, f"nested more than {MAX_DEPTH} deep")
        if self._took("not"):
            return Not(self._negation(depth + 1))
        if self._took("("):
            inner = self._expression(depth + 1)
            self._need(")")
            return inner
        return self._test()

    def _test(self) -> Expression:
        field = self._field()
        if self._took("is"):
            other = self._took("not")
            self._need("null")
            return Not(Missing(field)) if other else Missing(field)
        if self._took("not"):
            return _but_not(field, self._word_test(field))
        if self._here.kind == "sign" and self._here.text not in "(),":
            return self._comparison(field)
        return self._word_test(field)

    def _comparison(self, field: str) -> Expression:
        operator = _SAME.get(self._here.text, self._here.text)
        self._next += 1
        if self._here.word == "null":
            self._fail_at(self._here.at, f"write {shown(field)} is null, or is not null")
        value = self._value()
        if operator == "!=":
            return _but_not(field, Compare(field, "=", value))
        return Compare(field, cast(Operator, operator), value)

    def _word_test(self, field: str) -> Expression:
        if self._took("in"):
            self._need("(")
            values = [self._value()]
            while self._took(","):
                values.append(self._value())
            self._need(")")
            return In(field, tuple(values))
        if self._here.word in ("like", "glob"):
            glob = self._took("glob") or not self._took("like")
            if self._here.kind != "text":
                self._fail("a pattern in single quotes")
            return Like(field, self._text_here(), glob)
        if self._took("between"):
            low = self._value()
            self._need("and")
            at = self._here.at
            high = self._value()
            if isinstance(low, str) != isinstance(high, str):
                self._fail_at(at, "between needs two numbers or two texts")
            return Between(field, low, high)
        return self._fail("=, !=, <, <=, >, >=, in, like, glob, between or is")

    def _field(self) -> str:
        token = self._here
        if token.kind == "quoted" or (token.kind == "word" and not token.word):
            self._next += 1
            return token.text.replace('""', '"') if token.kind == "quoted" else token.text
        if token.kind == "text":
            self._fail_at(token.at, "a field comes first; odd names are written in double quotes")
        return self._fail("the name of a field")

    def _value(self) -> Value:
        token = self._here
        if token.kind == "text":
            return self._text_here()
        if token.kind == "number":
            number = float(token.text)
            if not math.isfinite(number):
                self._fail_at(token.at, "the number is too large")
            self._next += 1
            return number
        if token.kind == "word" and token.text.lower() in _TRUTH:
            self._next += 1
            return _TRUTH[token.text.lower()]
        if token.kind in ("word", "quoted"):
            self._fail_at(token.at, f"write the text in single quotes: '{token.text}'")
        return self._fail("a number or a text in single quotes")

    def _text_here(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1].text.replace("''", "'")

    def _fail(self, expected: str) -> NoReturn:
        found = "the filter ends" if self._here.kind == "end" else f"found {self._found()}"
        self._fail_at(self._here.at, f"{found}, expected {expected}")

    def _found(self) -> str:
        end = self._tokens[self._next + 1].at if self._next + 1 < len(self._tokens) else None
        return self._text[self._here.at : end].strip()[:40]

    def _fail_at(self, at: int, what: str) -> NoReturn:
        before = self._text[max(0, at - 30) : at]
        after = self._text[at : at + 30]
        raise UsageError(
            " ".join(f"the filter, at character {at + 1}: {what}: {before}⟪here⟫{after}".split())
        )


def _but_not(field: str, test: Expression) -> Expression:
    """The field has a value, and not one that satisfies the test."""
    return And((Not(Missing(field)), Not(test)))
