"""What goes wrong, each with one sentence that says what to do."""


class PermafrostError(Exception):
    """The base of all errors of this package."""


class NotInstalledError(PermafrostError):
    """Node or the npm package `permafrost` was not found."""


class WorkerError(PermafrostError):
    """A worker ended before it had answered all; its own sentence says why."""


class FeatureSetError(PermafrostError):
    """A feature set is absent, damaged, of another base, or cannot be written."""
