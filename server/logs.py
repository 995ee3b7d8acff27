"""One JSON object a line on standard error. No line holds text of a request or a response, and an
exception is told by its type and place: its message may quote any text."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `event`, and what the record carries besides."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.gmtime(record.created)
        told: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', seconds)}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage().strip().partition("\n")[0],
        }
        for name, value in record.__dict__.items():
            if name not in _STANDARD and value is not None:
                told[name] = value
        if record.exc_info and record.exc_info[1] is not None:
            told.update(error_place(record.exc_info[1]))
        return json.dumps(told, default=lambda value: type(value).__name__)


def error_place(error: BaseException) -> dict[str, str]:
    """The type of an error and the line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
    return {"error": type(error).__name__, "place": place}


def configure(level: str) -> None:
    """Have all loggers of the process write in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    # Starlette hands a failed start over as the text of its traceback; `app.py` says why in a word.
    handler.addFilter(lambda record: not str(record.msg).startswith("Traceback"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Their lines quote URLs, and headers at debug level.
    for name in ("aiohttp", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)
