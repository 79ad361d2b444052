"""The URL of a library in PostgreSQL: postgresql://user@host/database?schema=name&vectors=milvus://host."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from lookalike.errors import UsageError

SCHEMES = ("postgresql://", "postgres://")
DEFAULT_SCHEMA = "lookalike"

MILVUS_SCHEMES = {"milvus": "http", "milvus+tls": "https"}
MILVUS_PORT = 19530

MAX_SCHEMA = 63
"""Bytes of the longest name in PostgreSQL."""

_SECRET = ("password", "sslpassword")


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """Where a library is kept.

    conninfo  URL for libpq, with the password if one was given: never to be shown
    schema    of the tables
    shown     the URL without passwords, with which libpq finds the same library (`~/.pgpass`, `PGPASSWORD`)
    vectors   URL of a Milvus server that keeps the vectors; "": what the library says
    """

    conninfo: str
    schema: str
    shown: str
    vectors: str = ""


def is_url(location: object) -> bool:
    """Return whether a library's location is the URL of a PostgreSQL database."""
    return isinstance(location, str) and location.startswith(SCHEMES)


def parse_url(text: str) -> DatabaseURL:
    """Return the parts of a URL; `UsageError`, without a password in it, for one that cannot be used."""
    address, _, query = text.partition("?")
    if "#" in text:
        raise UsageError(f"the URL {without_password(text)} has a #: write %23 instead")
    authority = address.partition("://")[2]
    if (
        authority.count("@") > 1
        or "/" in authority.rpartition("@")[0]
        or "@" in _outside_vectors(query)
    ):
        raise UsageError(
            f"the URL {without_password(text)} has @, / or ? in its user or password, or @ after the "
            "database: write %40, %2F or %3F instead"
        )
    options = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)
    schemas = [value for name, value in options if name == "schema"]
    vectors = [value for name, value in options if name == "vectors"]
    for one in vectors:
        milvus_address(one)
    rest = [(name, value) for name, value in options if name not in ("schema", "vectors")]
    schema = schemas[-1] if schemas else DEFAULT_SCHEMA
    if not re.fullmatch(r"[^\W\d][\w$]*", schema) or len(schema.encode()) > MAX_SCHEMA:
        raise UsageError(
            f"?schema={schema[:80]} is no name of a schema: use letters, digits and _, at most {MAX_SCHEMA}"
        )
    if schema.startswith("pg_") or schema in ("information_schema", "public"):
        raise UsageError(
            f"the schema {schema} is not for a library: name another one, ?schema=photos"
        )
    public = [(name, value) for name, value in rest if name not in _SECRET]
    named = [*public, ("schema", schema)] if schema != DEFAULT_SCHEMA else public
    named += [("vectors", one) for one in vectors[-1:]]
    return DatabaseURL(
        _with_query(address, rest),
        schema,
        _with_query(without_password(address), named),
        vectors[-1] if vectors else "",
    )


def milvus_address(url: str) -> tuple[str, str]:
    """Return the address of a Milvus server as pymilvus takes it, and the name of the database in it.

    `UsageError`, without a password in it, for a URL that cannot be used.
    """
    scheme, _, rest = url.partition("://")
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?(?:/(\w*))?", rest)
    if "@" in rest:
        raise UsageError(
            f"vectors={scheme}://… has a user or password: set MILVUS_TOKEN=USER:PASSWORD instead"
        )
    if scheme not in MILVUS_SCHEMES or found is None:
        raise UsageError(
            f"vectors={url[:80]} is no address of a Milvus server: write vectors=milvus://HOST:{MILVUS_PORT}"
        )
    host, port, database = found.groups()
    return f"{MILVUS_SCHEMES[scheme]}://{host}{port or f':{MILVUS_PORT}'}", database or ""


def without_password(url: str) -> str:
    """Return a URL, well-formed or not, without whatever may be a password in it."""
    address, mark, query = url.partition("?")
    if "@" in _outside_vectors(query) and "@" not in address:  # a ? in the password
        address, mark, query = url, "", ""
    shown = re.sub(r"^(\w+://[^:@]*):.*@", r"\1@", address, flags=re.DOTALL)
    query = re.sub(r"(?i)\b((?:ssl)?password=)[^&]*", r"\1…", query)
    query = re.sub(r"(?i)\b(vectors=[^&]*?(?:://|%3A%2F%2F))[^&]*(?:@|%40)", r"\1…@", query)
    return shown + mark + query


def _outside_vectors(query: str) -> str:
    """Return the options of a URL without the address of Milvus."""
    return re.sub(r"\bvectors=[^&]*", "", query)


def _with_query(address: str, options: list[tuple[str, str]]) -> str:
    return f"{address}?{urlencode(options, quote_via=quote, safe='/,:')}" if options else address
