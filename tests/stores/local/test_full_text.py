"""Patterns for SQLite's full-text search."""

from __future__ import annotations

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.stores.local.full_text import match_pattern
from lookalike.stores.text_analysis import partial_phrases, query_phrases


@settings(max_examples=100, deadline=None)
@given(words=st.text(max_size=40))
def test_any_text_is_a_valid_fts5_pattern(words: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'ascii')")
    for phrases in (query_phrases(words), partial_phrases(words)):
        if phrases:
            pattern = match_pattern(phrases)
            connection.execute("SELECT * FROM words WHERE words MATCH ?", (pattern,)).fetchall()
    connection.close()
