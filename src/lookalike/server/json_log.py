"""Log records as JSON, a line each, for programs that collect logs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from lookalike.server.security.middleware import REQUEST_ID

FIELDS = ("client", "method", "path", "route", "status", "milliseconds", "plan")


class JSONFormatter(logging.Formatter):
    """Formats a record as one JSON object: `time` (ISO 8601, UTC), `level`, `logger`, `message`, `request`
    (the id of the request, if one is being answered), and of requests `client`, `method`, `path`, `route`,
    `status` and `milliseconds`; of slow searches `milliseconds` and `plan`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        found = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if id := REQUEST_ID.get():
            found["request"] = id
        found |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found)
