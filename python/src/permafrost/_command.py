"""Where the command line of Permafrost is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import NotInstalledError

Command = str | os.PathLike[str] | Sequence[str]


def find_command(given: Command | None = None) -> list[str]:
    """Find the program and its first arguments.

    In this order: `given`; the environment variable `PERMAFROST`; `node_modules` of the working folder and of those above it;
    `permafrost` on `PATH`. A file that ends in `.js` is run with `node`.

    Raises:
        NotInstalledError: where there is none, or `node` is not on `PATH`.
    """
    if given is not None and not isinstance(given, (str, os.PathLike)):
        return [os.fspath(part) for part in given]
    named = given if given is not None else os.environ.get("PERMAFROST") or None
    if named is not None:
        return _program(Path(named))
    here = Path.cwd()
    for folder in (here, *here.parents):
        script = folder / "node_modules" / "permafrost" / "dist" / "pipeline" / "cli.js"
        if script.is_file():
            return _program(script)
    found = shutil.which("permafrost")
    if found is None:
        raise NotInstalledError(
            "the command permafrost was not found: install it with `npm install permafrost` in this folder or "
            "`npm install --global permafrost` (Node 20 or later), or name it in the environment variable PERMAFROST"
        )
    return [found]


def _program(path: Path) -> list[str]:
    if not path.is_file() and shutil.which(str(path)) is None:
        raise NotInstalledError(f"{path} is not there: PERMAFROST, or `command`, must name the command permafrost or its cli.js")
    if path.suffix != ".js":
        return [str(path)]
    node = shutil.which("node")
    if node is None:
        raise NotInstalledError("node was not found on PATH: install Node 20 or later (https://nodejs.org)")
    return [node, str(path)]


def flags(options: Mapping[str, object]) -> list[str]:
    """Write options as the command line takes them: `input_size=(200, 200)` is `--input-size=200x200`."""
    given: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is None or value is False:
            continue
        if value is True:
            given.append(flag)
        elif isinstance(value, (tuple, list)):
            given.append(f"{flag}={'x'.join(str(part) for part in value)}")
        else:
            given.append(f"{flag}={os.fspath(value) if isinstance(value, os.PathLike) else value}")
    return given


def default_cache() -> str:
    """Return where bases are kept, `$XDG_CACHE_HOME/permafrost` or `~/.cache/permafrost`: not the folder a cluster works in."""
    return str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "permafrost")
