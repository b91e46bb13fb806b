"""Runs the slow work of a resource hook."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


async def in_thread(function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
    """Calls a function that blocks, in a thread of its own, because Pulumi's event loop must go on meanwhile.

    It isn't ``asyncio.to_thread``: that takes a thread of the pool in which Pulumi's SDK waits until the engine has
    registered resources. Each of them may wait for its own hook. With as many servers as the pool has threads, all
    would wait without an end.
    """
    context = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, lambda: context.run(function, *arguments))
