"""An S3 server (moto's) that counts requests and answers some of them with errors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

BODY = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>%s</Message></Error>"
CODES = {403: (b"AccessDenied", b"Access Denied"), 503: (b"SlowDown", b"Reduce your request rate")}


@dataclass
class S3:
    """A running server.

    faults  how many more requests for a path that contains the text are answered with a status
    """

    url: str
    client: Any
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: dict[str, tuple[int, int]] = field(default_factory=dict)

    def put(self, bucket: str, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=data)

    def bucket(self, name: str) -> str:
        self.client.create_bucket(Bucket=name)
        return f"s3://{name}"

    def gets(self, text: str) -> int:
        """Return how many objects whose paths contain the text were fetched so far."""
        return sum(method == "GET" and text in path for method, path in self.requests)


@contextmanager
def s3_server() -> Iterator[S3]:
    """Run a server on a free port of this machine."""
    import botocore.session
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = DomainDispatcherApplication(create_backend_app)
    server = S3("", None)

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        place = f"{path}?{environ.get('QUERY_STRING', '')}"
        server.requests.append((method, place))
        for text, (status, left) in server.faults.items():
            if text in place and left > 0:
                server.faults[text] = status, left - 1
                start(f"{status} Fault", [("Content-Type", "application/xml")])
                return [] if method == "HEAD" else [BODY % CODES[status]]
        answer: Iterable[bytes] = moto(environ, start)
        return answer

    running = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{running.server_port}"
    server.client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    try:
        yield server
    finally:
        running.shutdown()
        thread.join()
        running.server_close()
