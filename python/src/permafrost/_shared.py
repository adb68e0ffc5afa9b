"""Workers that stay from one task to the next in a process of an engine."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from typing import Any

from .worker import Worker

_workers: dict[str, Worker] = {}


def shared_worker(base: str, settings: Mapping[str, Any]) -> Worker:
    """Return the worker of this process for a base and its settings; it ends with the process."""
    name = repr((base, sorted(settings.items(), key=lambda item: item[0])))
    if name not in _workers:
        if not _workers:
            atexit.register(_end)
        _workers[name] = Worker(base, **settings)
    return _workers[name]


def _end() -> None:
    for worker in _workers.values():
        worker.kill()
    _workers.clear()
