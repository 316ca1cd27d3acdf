"""Several requests at the same time, none of which is left running when one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """
    Run all to their end, then give the results in order, or raise the first error.

    ``asyncio.gather`` raises while the others go on: a write of a pass that counts as over would then land in the
    middle of the next one, and single flight would be a word.
    """
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
