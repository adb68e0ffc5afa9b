"""What stays from one task to the next in a process of an engine: workers, and the keys of the set that a job writes to."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping
from typing import Any

from .feature_set import FeatureSet, KnownVectors
from .worker import Worker

_workers: dict[str, Worker] = {}
_held: dict[str, KnownVectors] = {}


def shared_worker(base: str, settings: Mapping[str, Any]) -> Worker:
    """Return the worker of this process for a base and its settings; it ends with the process."""
    name = repr((base, sorted(settings.items(), key=lambda item: item[0])))
    if name not in _workers:
        if not _workers:
            atexit.register(_end)
        _workers[name] = Worker(base, **settings)
    return _workers[name]


def held_once(job: str) -> Callable[[FeatureSet], KnownVectors]:
    """Return what reads the keys of a set, once a process and job: what its other tasks write meanwhile is theirs alone."""

    def read(features: FeatureSet) -> KnownVectors:
        if job not in _held:
            _held.clear()
            _held[job] = KnownVectors(features)
        return _held[job]

    return read


def _end() -> None:
    for worker in _workers.values():
        worker.kill()
    _workers.clear()
