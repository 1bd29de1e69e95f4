"""A file of the inbox is only ever moved, and at each moment lies in just one place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.errors import SettingsError, SourceError, SourceUnavailable
from sync_pipelines.flows.progress.inbox import Inbox
from sync_pipelines_tests.flows.progress.conftest import drop, lies_in

names = st.sampled_from(["a.json", "b.json", "noon", "a-1.json"])
folders = st.sampled_from(["", "anna/", "bruno/"])


@given(st.lists(st.tuples(folders, names, st.sampled_from(["archive", "set aside", "nothing"])), max_size=12))
def test_whatever_is_dropped_lies_there_as_often_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, dropped: list[tuple[str, str, str]]
) -> None:
    inbox = Inbox(tmp_path_factory.mktemp("inbox"))
    bodies: list[bytes] = []
    for number, (folder, name, fate) in enumerate(dropped):
        bodies.append(str(number).encode())
        drop(inbox, folder + name, bodies[-1])
        (waiting,) = inbox.waiting()
        assert waiting.folder == (folder.rstrip("/") or None)
        claimed = inbox.claim(waiting)
        assert claimed is not None
        assert inbox.claim(waiting) is None, "it is somebody's already"
        if fate == "archive":
            inbox.archive(claimed)
        elif fate == "set aside":
            inbox.set_aside(claimed, "a reason")
    there = lies_in(inbox)
    assert sorted(body for name, body in there.items() if not name.endswith(".reason.txt")) == sorted(bodies)
    fates = [fate for _, _, fate in dropped]
    assert inbox.set_aside_count() == fates.count("set aside")
    assert len(list(inbox.claimed())) == fates.count("nothing")
    assert len(list(inbox.archived())) == fates.count("archive")
    for file in (*inbox.claimed(), *inbox.archived()):
        assert file.folder in (None, "anna", "bruno")
    assert list(inbox.waiting()) == []


def test_what_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    for name in (".hidden.json", "a.json.part", "b.tmp", "anna/c.json~", "_mine/d.json", "anna/deeper/e.json"):
        drop(inbox, name, b"{}")
    (tmp_path / "link.json").symlink_to(tmp_path / "b.tmp")
    before = lies_in(inbox)
    assert list(inbox.waiting()) == []
    assert lies_in(inbox) == before


def test_an_inbox_that_is_not_there_is_empty_and_one_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    assert list(Inbox(tmp_path / "none").waiting()) == []
    (tmp_path / "a file").write_text("")
    with pytest.raises(SettingsError, match="cannot be made"):
        Inbox(tmp_path / "a file" / "inbox").make()


def test_a_disk_that_fails_is_said_and_may_be_tried_again(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    drop(inbox, "a.json", b"{}")
    (tmp_path / "_claimed").write_text("a file where a folder should be")
    (waiting,) = inbox.waiting()
    with pytest.raises(SourceUnavailable, match="cannot be moved") as raised:
        inbox.claim(waiting)
    assert raised.value.transient
    assert waiting.path.read_bytes() == b"{}"


@contextmanager
def as_nobody() -> Generator[None, None, None]:
    """Root may move everything, and is nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_is_not_ours_to_move_is_its_own_trouble() -> None:
    with tempfile.TemporaryDirectory() as folder:
        inbox = Inbox(Path(folder))
        for name in ("anna/a.json", "bruno/b.json"):
            drop(inbox, name, b"{}")
        for path in (inbox.folder, inbox.folder / "anna"):
            path.chmod(0o777)
        (inbox.folder / "bruno").chmod(0o555)
        ours, theirs = inbox.waiting()
        with as_nobody():
            assert inbox.claim(ours) is not None
            with pytest.raises(SourceError, match="not ours to move") as raised:
                inbox.claim(theirs)
        assert not raised.value.ends_run
        assert theirs.path.read_bytes() == b"{}"
        (inbox.folder / "bruno").chmod(0o755)
