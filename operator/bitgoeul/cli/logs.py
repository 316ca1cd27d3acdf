"""Log lines for people and for machines."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from bitgoeul.cli.output import is_unicode

QUIET_SECONDS = 1.0  # between two lines about the same trouble
REMEMBERED = 1000  # kinds of trouble
CROWD = 10  # objects a second that are told of by the same text
# What differs between two lines about the same trouble: numbers, names with digits, what is quoted, and paths.
VARYING = re.compile(r"""'[^']*'|"[^"]*"|/\S+|[\w.:-]*\d[\w.:-]*""")


class Trouble(NamedTuple):
    """Tells what a line is about: who says it, the text without names, and of which object; empty: of many."""

    logger: str
    text: str
    about: str


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

    A line with an error tells of something that failed. What fails in an outage fails for a thousand tenants at a time,
    and is tried again for each: the same text with the same error is the same trouble, whatever names and numbers stand
    in it. A line without one tells of an object, often once only: it is the same trouble when it is about the same
    object and says the same. Of one such text ``CROWD`` objects a second are told, and all beyond them are one trouble.
    The next line that passes says how many were left out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed: dict[Trouble, tuple[float, int]] = {}  # when one passed, and how many did not since

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        now, trouble = self._clock(), trouble_of(record)
        crowd = trouble._replace(about="")
        if trouble not in self._passed and self._is_crowded(crowd, now):
            trouble = crowd
        at, left_out = self._passed.get(trouble, (now - QUIET_SECONDS, 0))
        if now < at + QUIET_SECONDS:
            self._passed[trouble] = (at, left_out + 1)
            return False
        if trouble != crowd and crowd in self._passed:
            at, others = self._passed[crowd]
            self._passed[crowd], left_out = (at, 0), left_out + others
        if len(self._passed) >= REMEMBERED:
            self._passed = {key: old for key, old in self._passed.items() if now < old[0] + QUIET_SECONDS}
        self._passed[trouble] = (now, 0)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more like this were left out)", None
        return True

    def _is_crowded(self, crowd: Trouble, now: float) -> bool:
        """Tell whether enough objects were told of within a second by one text."""
        told = (
            now < at + QUIET_SECONDS
            for one, (at, _) in self._passed.items()
            if one.about and one._replace(about="") == crowd
        )
        return sum(told) >= CROWD


def trouble_of(record: logging.LogRecord) -> Trouble:
    """
    Return what two lines about the same trouble have in common.

    Our own lines name objects in their arguments, so their template is compared, with the error in it or, where there
    is none, with all that they say. Others put all into one text, of which what looks like a name or a number is left
    out.
    """
    if not record.name.startswith("bitgoeul"):
        return Trouble(record.name, VARYING.sub("…", record.getMessage()), "")
    arguments = record.args if isinstance(record.args, tuple) else ()
    errors = [argument for argument in arguments if isinstance(argument, BaseException)]
    errors += [record.exc_info[1]] if record.exc_info and record.exc_info[1] else []
    text = " ".join([str(record.msg), *(VARYING.sub("…", str(error)) for error in errors)])
    return Trouble(record.name, text, "" if errors else record.getMessage())


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
