"""Reading a file once, and only if it stays the same file."""

import os
import socket
import threading
from pathlib import Path

import pytest

from config.errors import EmptyFile, FileVanished, MediaError, TooLarge
from indexer.media.files import FileIdentity, read_file
from indexer.media.limits import Limits

LIMITS = Limits(max_pixels=1_000_000, max_bytes=1_000_000)


def identity(path: Path) -> FileIdentity:
    status = path.stat()
    return FileIdentity(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


def test_the_expected_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"not-utf8-\xff.jpg")
    path.write_bytes(b"x" * 300_000)
    assert read_file(str(path), identity(path), LIMITS) == b"x" * 300_000
    assert read_file(str(path), None, LIMITS) == b"x" * 300_000


def test_a_file_that_was_replaced_is_looked_at_afresh(tmp_path: Path) -> None:
    path, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    path.write_bytes(b"old")
    expected = identity(path)
    other.write_bytes(b"new")
    os.utime(other, ns=(expected.mtime_ns, expected.mtime_ns))
    other.replace(path)
    with pytest.raises(FileVanished, match="replaced"):
        read_file(str(path), expected, LIMITS)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as stream:
            while not stop.is_set():
                stream.write(b"y" * 50)
                if stream.tell() > 500_000:
                    stream.truncate(1)

    writer = threading.Thread(target=grow)
    writer.start()
    refused = 0
    try:
        for _ in range(100_000):
            size = path.stat().st_size
            try:
                data = read_file(str(path), None, LIMITS)
            except FileVanished:
                refused += 1
                break
            assert len(data) >= 1, size
    finally:
        stop.set()
        writer.join()
    assert refused == 1


@pytest.mark.parametrize("path", ["gone.jpg", "file.jpg/below.jpg", "dangling.jpg"])
def test_a_file_that_is_gone_has_vanished(tmp_path: Path, path: str) -> None:
    (tmp_path / "file.jpg").write_bytes(b"x")
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    with pytest.raises(FileVanished):
        read_file(str(tmp_path / path), None, LIMITS)


def test_empty_and_huge_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.touch()
    with pytest.raises(EmptyFile, match="zero bytes"):
        read_file(str(path), None, LIMITS)
    os.truncate(path, LIMITS.max_bytes + 1)
    with pytest.raises(TooLarge, match="1,000,001 bytes"):
        read_file(str(path), None, LIMITS)


def test_pipes_folders_sockets_and_loops_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.jpg"))
        for name in ("pipe.jpg", "folder.jpg", "socket.jpg", "loop.jpg"):
            with pytest.raises(MediaError) as caught:
                read_file(str(tmp_path / name), None, LIMITS)
            assert type(caught.value) is MediaError
            assert caught.value.title
            assert caught.value.remedy
    with pytest.raises(MediaError, match="not a regular file"):
        read_file("/dev/null", None, LIMITS)
