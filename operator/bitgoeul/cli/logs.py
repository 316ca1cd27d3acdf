"""Log lines for people and for machines."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bitgoeul.cli.output import is_unicode

QUIET_SECONDS = 1.0  # between two lines about the same trouble
REMEMBERED = 1000  # kinds of trouble
# What differs between two lines about the same trouble: numbers, names with digits, what is quoted, and paths.
VARYING = re.compile(r"""'[^']*'|"[^"]*"|/\S+|[\w.:-]*\d[\w.:-]*""")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=not is_unicode(getattr(sys.stderr, "encoding", None)))


class TextFormatter(logging.Formatter):
    """One line each; what tenants wrote must not start a new one."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.exc_info else text.replace("\n", "\\n").replace("\x1b", "\\x1b")


class OncePerSecond(logging.Filter):
    """
    Lets at most one line a second pass about the same trouble, from warnings on, and counts what is left out.

    The same trouble is the same logger and the same text, whatever names and numbers stand in it: what hangs, hangs for
    many tenants at a time. The next line that passes says how many were left out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}  # when one passed, and how many did not since

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        now, trouble = self._clock(), (record.name, template_of(record))
        at, left_out = self._passed.get(trouble, (now - QUIET_SECONDS, 0))
        if now < at + QUIET_SECONDS:
            self._passed[trouble] = (at, left_out + 1)
            return False
        if len(self._passed) >= REMEMBERED:
            self._passed = {key: old for key, old in self._passed.items() if now < old[0] + QUIET_SECONDS}
        self._passed[trouble] = (now, 0)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more like this were left out)", None
        return True


def template_of(record: logging.LogRecord) -> str:
    """
    Return what two lines about the same trouble have in common: the text without names and numbers.

    Our own lines name objects in their arguments, so their template and the error in it are compared. Others put all
    into one text, of which what looks like a name or a number is left out.
    """
    if not record.name.startswith("bitgoeul"):
        return VARYING.sub("…", record.getMessage())
    arguments = record.args if isinstance(record.args, tuple) else ()
    errors = [VARYING.sub("…", str(argument)) for argument in arguments if isinstance(argument, BaseException)]
    return " ".join([str(record.msg), *errors])


def set_up_logging(log_format: str, verbose: bool) -> None:
    """Log to standard error. kopf's own lines only from warnings on: they tell of every object it sees."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter()
        if log_format == "json"
        else TextFormatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S")
    )
    handler.addFilter(OncePerSecond())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("bitgoeul").setLevel(logging.DEBUG if verbose else logging.INFO)
