"""Files of a set, on this machine or in an object store."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.fs

Folder = str | os.PathLike[str]

_OBJECT_STORES = ("s3", "gcs", "abfs")


class Storage:
    """A folder in which every file appears under its name only whole."""

    def __init__(self, folder: Folder, filesystem: pyarrow.fs.FileSystem | None) -> None:
        """Name it: an address such as `s3://bucket/set` brings its file system along."""
        self.name = os.fspath(folder)
        if filesystem is not None:
            self.filesystem, self.path = filesystem, self.name.rstrip("/")
        elif "://" in self.name:
            self.filesystem, self.path = pyarrow.fs.FileSystem.from_uri(self.name.rstrip("/"))
        else:
            self.filesystem, self.path = pyarrow.fs.LocalFileSystem(), str(Path(self.name).absolute())

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, pyarrow.fs.LocalFileSystem)

    def names(self) -> list[str]:
        """The names of its files, sorted; none where it is not there."""
        selector = pyarrow.fs.FileSelector(self.path, allow_not_found=True)
        return sorted(one.base_name for one in self.filesystem.get_file_info(selector) if one.is_file)

    def open(self, name: str) -> pa.NativeFile:
        return self.filesystem.open_input_file(f"{self.path}/{name}")

    def read(self, name: str) -> bytes | None:
        """A whole file; None where there is none."""
        try:
            with self.open(name) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def put(self, name: str, data: bytes | pa.Buffer) -> None:
        """Write a file: by rename, complete and synced, or as one object."""
        if not self.is_local:
            # In an object store a folder would be an object that no other copy of the set has.
            if self.filesystem.type_name not in _OBJECT_STORES:
                self.filesystem.create_dir(self.path, recursive=True)
            with self.filesystem.open_output_stream(f"{self.path}/{name}", metadata={}) as file:
                file.write(data)
            return
        folder = Path(self.path)
        folder.mkdir(parents=True, exist_ok=True)
        host = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in socket.gethostname())
        temporary = folder / f"_tmp-{host}-{os.getpid()}-{secrets.token_hex(6)}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(folder / name)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        if os.name == "posix":
            handle = os.open(folder, os.O_RDONLY)
            try:
                with contextlib.suppress(OSError):
                    os.fsync(handle)
            finally:
                os.close(handle)
