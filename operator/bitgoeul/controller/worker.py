"""
Works keys off: one pass for each, and what becomes of a key whose pass did not succeed.

Several of these run at a time; the queue sees to it that no key is worked on twice at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from bitgoeul.cluster.client import ApiError, NoAnswerError, OlderDataError
from bitgoeul.cluster.writer import NotLeadingError
from bitgoeul.controller.routing import Task
from bitgoeul.controller.workqueue import LONGEST_PAUSE_SECONDS, WorkQueue
from bitgoeul.errors import ClusterError
from bitgoeul.metrics.instruments import Instruments

log = logging.getLogger(__name__)

OUTAGE_PAUSE_SECONDS = 4.0


async def work(
    queue: WorkQueue[Task], reconcile: Callable[[Task], Awaitable[float | None]], instruments: Instruments
) -> None:
    """
    Take one key after the other and have it reconciled, until cancelled.

    Args:
        reconcile: One pass; gives in how many seconds it wants another one without being asked.
    Raises:
        OlderDataError: The API server has older data than was seen: nothing may be done on it.
    """
    while True:
        task = await queue.take()
        started = time.perf_counter()
        result = "success"
        try:
            again = await reconcile(task)
        except OlderDataError:
            raise
        except (NotLeadingError, NoAnswerError) as error:
            # The API server is away: no reason to be slow when it is back.
            result = "retry"
            queue.failed(task, longest=OUTAGE_PAUSE_SECONDS)
            log.debug("%s: %s", task, error)
        except ClusterError as error:
            # That something changed or went away meanwhile is the ordinary way to learn that somebody was faster.
            expected = isinstance(error, ApiError) and (error.conflict or error.not_found)
            result = "retry" if expected else "error"
            passing = isinstance(error, ApiError) and error.transient
            pause = queue.failed(task, OUTAGE_PAUSE_SECONDS if passing else LONGEST_PAUSE_SECONDS)
            level = logging.DEBUG if expected else logging.WARNING
            log.log(level, "%s: %s; again in %.1f s", task, error, pause)
        except Exception:
            result = "error"
            queue.failed(task)
            log.exception("%s: defect", task)
        else:
            queue.done(task)
            if again is not None:
                queue.add_after(task, again)
        instruments.observe_reconcile(task.subject, result, time.perf_counter() - started)
