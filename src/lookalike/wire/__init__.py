"""The JSON documents, each defined once: the server, the client and `--format json` use them.

codec       JSON from dataclasses, and back; OpenAPI schemas
documents   where a document differs from its dataclass
http        what exists over HTTP only
evaluation  evaluations
"""

# These two are imported with the package, because they register the documents that differ.
from lookalike.wire import documents as documents
from lookalike.wire import http as http
from lookalike.wire.codec import decode as decode
from lookalike.wire.codec import encode as encode
