"""Feature vectors of images by Permafrost: a worker in a process of its own, feature sets, and Spark, Ray and Daft around them.

`permafrost.spark`, `permafrost.ray` and `permafrost.daft` are imported by name, where those are installed.
"""

from ._command import find_command
from .description import Description
from .errors import FeatureSetError, NotInstalledError, PermafrostError, WorkerError
from .feature_set import FeatureSet, read_set
from .worker import Worker, describe
from .writing import WrittenSet, write_set

__all__ = [
    "Description",
    "FeatureSet",
    "FeatureSetError",
    "NotInstalledError",
    "PermafrostError",
    "Worker",
    "WorkerError",
    "WrittenSet",
    "describe",
    "find_command",
    "read_set",
    "write_set",
]
