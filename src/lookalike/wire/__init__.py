"""The JSON documents, each defined once: the server, the client and `--format json` use them.

codec      JSON from dataclasses, and back
documents  where a document differs from its dataclass, and what exists over HTTP only
schema     OpenAPI schemas of the documents
"""

# `documents` is imported with the package, because it registers the documents that differ.
from lookalike.wire import documents as documents
from lookalike.wire.codec import decode as decode
from lookalike.wire.codec import encode as encode
