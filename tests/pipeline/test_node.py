"""A node without its network: what it takes, that nothing is lost or made twice, and what peers are sent."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest

from helpers_clinic import free_port
from helpers_node import archive, film_bytes, look, node_in, take
from ossa.errors import ConfigError, DeviceError, InputError, OutputError
from ossa.export.dicom.send import Archive
from ossa.export.dicom.stow import WebArchive
from ossa.pipeline import node as room
from ossa.pipeline.answer import Answer
from ossa.pipeline.node import DUPLICATE, MISMATCH, NO_ROOM, NOT_UNDERSTOOD, TAKEN, peers_of
from ossa.pipeline.node_queue import DEADLY, NodeQueue, pause, status_of, told

PACS = Archive("127.0.0.1", 104, "PACS", "OSSA")


def answers(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "answers").iterdir())


def test_a_picture_is_taken_answered_and_sent(tmp_path: Path) -> None:
    with archive() as peer:
        lines: list[str] = []
        to = Archive("127.0.0.1", peer.port, "PACS", "OSSA")
        node = node_in(tmp_path / "queue", to, lines=lines)
        data, sent = film_bytes(tmp_path)
        assert take(node, data, sent) == TAKEN
        assert (tmp_path / "queue" / "received" / f"{sent.SOPInstanceUID}.dcm").read_bytes() == data
        assert node.work()
        assert answers(tmp_path / "queue") == ["1_seg.dcm", "1_sr.dcm"]
        assert node.deliver(str(to)) is None
        assert not node.work()
    assert peer.kinds == ["SEG", "SR"]
    seg, report = peer.got
    assert {seg.StudyInstanceUID, report.StudyInstanceUID} == {sent.StudyInstanceUID}
    assert {str(seg.PatientName), str(report.PatientName)} == {str(sent.PatientName)}
    assert seg.SeriesInstanceUID != report.SeriesInstanceUID
    # Nothing of the patient stays, nor stood in a line of the log.
    assert not answers(tmp_path / "queue")
    assert not list((tmp_path / "queue" / "received").iterdir())
    assert "Hong" not in "".join(lines)
    assert "K-1" not in "".join(lines)
    assert status_of(tmp_path / "queue")["pictures"] == {"answered": 1}
    node.queue.close()


def test_the_same_picture_gets_the_same_identifiers_and_is_not_answered_twice(tmp_path: Path) -> None:
    data, sent = film_bytes(tmp_path)
    made = []
    for name in ("one", "two"):
        node = node_in(tmp_path / name, PACS)
        assert [take(node, data, sent), node.work(), take(node, data, sent), node.work()] == [0, True, 0, False]
        made.append([pydicom.dcmread(tmp_path / name / "answers" / one) for one in answers(tmp_path / name)])
        node.queue.close()
    assert [one.SOPInstanceUID for one in made[0]] == [one.SOPInstanceUID for one in made[1]]
    assert len({one.SOPInstanceUID for one in made[0]}) == 2
    other = node_in(tmp_path / "one", PACS)
    other.maker = "another model"
    assert [take(other, data, sent), other.work()] == [TAKEN, True]
    other.queue.close()


@pytest.mark.parametrize("after", ["received", "begun", "answered"])
def test_what_was_acknowledged_outlives_the_node(tmp_path: Path, after: str) -> None:
    """The queue is left as a killed node leaves it: nothing is closed in order."""
    data, sent = film_bytes(tmp_path)
    with archive() as peer:
        to = Archive("127.0.0.1", peer.port, "PACS", "OSSA")
        first = node_in(tmp_path / "queue", to)
        assert take(first, data, sent) == TAKEN
        if after == "begun":
            assert first.queue.next_picture() is not None
        if after == "answered":
            assert first.work()
        # A file that came whole, of which nobody was told: the sender has it still, and sends it again.
        (tmp_path / "queue" / "received" / "1.2.3.dcm").write_bytes(data)
        first.queue.close()  # the kernel does this for a killed process
        second = node_in(tmp_path / "queue", to)
        assert not (tmp_path / "queue" / "received" / "1.2.3.dcm").exists()
        assert second.work() == (after != "answered")
        assert second.deliver(str(to)) is None
        assert second.deliver(str(to)) is None
        second.queue.close()
    assert peer.kinds == ["SEG", "SR"]


def test_a_picture_that_ends_the_node_every_time_is_left_alone(tmp_path: Path) -> None:
    data, sent = film_bytes(tmp_path)
    node = node_in(tmp_path / "queue", PACS)
    assert take(node, data, sent) == TAKEN
    for _ in range(DEADLY):
        assert node.queue.next_picture() is not None
        node.queue.close()
        node = node_in(tmp_path / "queue", PACS)
    assert not node.work()
    node.queue.close()
    found = status_of(tmp_path / "queue")
    assert found["pictures"] == {"failed": 1}
    assert f"ended {DEADLY} times" in "\n".join(told(found))


def test_a_peer_that_is_down_is_tried_again_and_gets_everything_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    to = Archive("127.0.0.1", port, "PACS", "OSSA")
    lines: list[str] = []
    node = node_in(tmp_path / "queue", to, lines=lines)
    for _ in range(3):
        data, sent = film_bytes(tmp_path)
        assert take(node, data, sent) == TAKEN
        assert node.work()
    assert node.deliver(str(to)) == pause(1)
    assert "does not answer" in lines[-1]
    assert node.deliver(str(to)) is None  # not yet due
    [peer] = status_of(tmp_path / "queue")["peers"]
    assert (peer["waiting"], peer["sent"], peer["tries"]) == (6, 0, 1)
    assert "6 wait (tried 1 times, again in" in "\n".join(told(status_of(tmp_path / "queue")))
    later = time.time() + 100
    monkeypatch.setattr("ossa.pipeline.node_queue.time.time", lambda: later)
    assert node.deliver(str(to)) == pause(2)
    with archive(port) as up:
        monkeypatch.setattr("ossa.pipeline.node_queue.time.time", lambda: later + 100)
        up.status["SR"] = 0xA700
        assert node.deliver(str(to)) is None
        assert up.kinds == ["SEG"] * 3
        assert "A700" in told(status_of(tmp_path / "queue"))[-1]
        assert node.deliver(str(to)) is None  # a refusal is no reason to ask at once again
        assert up.kinds == ["SEG"] * 3
        del up.status["SR"]
        monkeypatch.setattr("ossa.pipeline.node_queue.time.time", lambda: later + 1e4)
        assert node.deliver(str(to)) is None
    assert sorted(up.kinds) == ["SEG"] * 3 + ["SR"] * 3
    assert len({str(one.SOPInstanceUID) for one in up.got}) == 6
    assert not node.queue.waiting_peers()
    node.queue.close()


def test_a_clock_that_is_set_back_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was put off for seconds by a clock a year ahead does not wait for a year."""
    port = free_port()
    to = Archive("127.0.0.1", port, "PACS", "OSSA")
    node = node_in(tmp_path / "queue", to)
    now = time.time()
    clock = {"now": now + 3e7}
    monkeypatch.setattr("ossa.pipeline.node_queue.time.time", lambda: clock["now"])
    for _ in range(2):
        data, sent = film_bytes(tmp_path)
        assert take(node, data, sent) == TAKEN
    assert node.work()
    assert node.deliver(str(to)) == pause(1)
    picture = node.queue.next_picture()
    assert picture is not None
    node.queue.postpone(picture, "no memory")
    assert not node.work()
    clock["now"] = now
    assert node.work()
    with archive(port) as up:
        assert node.deliver(str(to)) is None
    assert sorted(up.kinds) == ["SEG", "SEG", "SR", "SR"]
    node.queue.close()


def test_half_of_a_picture_goes_also_where_files_are_kept(tmp_path: Path) -> None:
    queue = NodeQueue(tmp_path, "OSSA", keep=True)
    queue.close()
    for folder in ("received", "answers"):
        (tmp_path / folder / ".1.dcm.ossa-part").write_text("half")
        (tmp_path / folder / "1.dcm").write_text("whole")
    NodeQueue(tmp_path, "OSSA", keep=True).close()
    assert [[p.name for p in (tmp_path / f).iterdir()] for f in ("received", "answers")] == [["1.dcm"]] * 2


def test_a_peer_that_is_not_named_any_more_is_told(tmp_path: Path) -> None:
    node = node_in(tmp_path / "queue", PACS)
    data, sent = film_bytes(tmp_path)
    take(node, data, sent)
    node.work()
    node.queue.close()
    node = node_in(tmp_path / "queue", WebArchive("http://127.0.0.1:1"))
    assert node.orphans() == {str(PACS): 2}
    node.queue.close()


def test_a_file_that_somebody_removed_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with archive() as peer:
        to = Archive("127.0.0.1", peer.port, "PACS", "OSSA")
        node = node_in(tmp_path / "queue", to)
        data, sent = film_bytes(tmp_path)
        take(node, data, sent)
        node.work()
        (tmp_path / "queue" / "answers" / "1_seg.dcm").unlink()
        assert node.deliver(str(to)) is None
        node.queue.close()
    assert peer.kinds == ["SR"]


def test_what_is_no_radiograph_is_refused_with_a_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = node_in(tmp_path / "queue", PACS)
    data, sent = film_bytes(tmp_path)
    kind, uid = str(sent.SOPClassUID), str(sent.SOPInstanceUID)

    def verdict(data: bytes, kind: str = kind, uid: str = uid) -> int:
        return node.take(data, kind, uid, "MODALITY").status

    assert verdict(data, uid="1.2.3") == MISMATCH
    assert verdict(data, kind="1.2.840.10008.5.1.4.1.1.1") == MISMATCH
    assert verdict(data[:200]) in (MISMATCH, NOT_UNDERSTOOD)
    assert verdict(b"no DICOM at all" * 20) == NOT_UNDERSTOOD
    assert verdict(data[: data.rindex(b"\xe0\x7f\x10\x00")]) == MISMATCH
    empty, told_of = film_bytes(tmp_path, Rows=0)
    assert take(node, empty, told_of) == MISMATCH
    lost, told_of = film_bytes(tmp_path, SeriesInstanceUID=None)
    assert take(node, lost, told_of) == NOT_UNDERSTOOD
    bad = uid[:-2] + ".."
    assert verdict(data.replace(uid.encode(), bad.encode()), uid=bad) == NOT_UNDERSTOOD
    for wicked in (("../" * 40)[: len(uid)], uid[:-1] + "\n"):
        assert verdict(data.replace(uid.encode(), wicked.encode()), uid=wicked) in (MISMATCH, NOT_UNDERSTOOD)
    monkeypatch.setattr(room, "ROOM", 1 << 62)
    assert verdict(data) == NO_ROOM
    monkeypatch.setattr(room, "MAX_IMAGE_BYTES", 10)
    assert verdict(data) == NO_ROOM
    monkeypatch.undo()
    assert verdict(data) == TAKEN
    again, _ = film_bytes(tmp_path, SOPInstanceUID=uid)
    assert verdict(again) == DUPLICATE
    assert status_of(tmp_path / "queue")["pictures"] == {"waiting": 1}
    node.queue.close()


def test_pictures_without_an_answer_are_recorded_and_the_others_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine what is tried again was due before the test was done.
    monkeypatch.setattr("ossa.pipeline.node_queue.pause", lambda _: 3600.0)

    def looks(path: Path) -> Answer:
        if path.stem.endswith(".7"):
            raise RuntimeError("nobody foresaw this")
        if path.stem.endswith(".8"):
            raise DeviceError("not enough memory")
        return look(path)

    node = node_in(tmp_path / "queue", PACS, look=looks)
    for k in (7, 8, 9):
        data, sent = film_bytes(tmp_path, SOPInstanceUID=f"1.2.3.{k}")
        assert take(node, data, sent) == TAKEN
    dark, dark_sent = film_bytes(tmp_path, pixels=np.zeros((40, 30), np.uint8), SOPInstanceUID="1.2.3.10")
    assert take(node, dark, dark_sent) == TAKEN
    cut, sent = film_bytes(tmp_path, SOPInstanceUID="1.2.3.11")
    assert take(node, cut[:-200], sent) == TAKEN
    while node.work():
        pass
    # What failed may be whole when it is sent again; what has no hand, has none.
    assert take(node, cut, sent) == TAKEN
    assert node.work()
    assert take(node, dark, dark_sent) == TAKEN
    assert not node.work()
    node.queue.close()
    found = status_of(tmp_path / "queue")
    assert found["pictures"] == {"answered": 2, "failed": 2, "no hand": 1, "waiting": 1}
    reasons = {one["uid"]: one["reason"] for one in found["last"]}
    assert "nobody foresaw this" in reasons["1.2.3.7"]
    assert reasons["1.2.3.8"] == "not enough memory"
    assert reasons["1.2.3.10"].startswith("no hand found")
    assert "truncated" in reasons["1.2.3.11"]
    assert str(tmp_path) not in "".join(told(found))
    with sqlite3.connect(tmp_path / "queue" / "node.sqlite") as base:
        rows = base.execute("SELECT * FROM pictures").fetchall()
    base.close()
    assert "Hong" not in str(rows)


def test_a_picture_outlives_a_queue_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ossa.apps import node as face

    monkeypatch.setattr(face, "_TROUBLE", 0.01)
    lines: list[str] = []
    node = node_in(tmp_path / "queue", PACS, lines=lines)
    data, sent = film_bytes(tmp_path)
    take(node, data, sent)

    def full(*_: object, **__: object) -> float:
        raise OutputError("the database cannot be written", found="database or disk is full")

    with monkeypatch.context() as disk:
        disk.setattr(node.queue, "answered", full)
        disk.setattr(node.queue, "postpone", full)
        assert not face._worked(node, threading.Event())
    assert "disk is full" in lines[-1]
    assert face._worked(node, threading.Event())
    node.queue.close()
    assert status_of(tmp_path / "queue")["pictures"] == {"answered": 1}


def test_nothing_that_arrives_ends_the_node(tmp_path: Path) -> None:
    """Mutated files: each is taken or refused with a status."""
    node = node_in(tmp_path / "queue", PACS)
    data, sent = film_bytes(tmp_path)
    rng = np.random.default_rng(0)
    head = len(data) - 90 * 60
    for _ in range(200):
        bytes_ = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(132, head, 6)
        bytes_[places] = rng.integers(0, 256, 6)
        assert take(node, bytes_.tobytes(), sent) in (TAKEN, MISMATCH, NOT_UNDERSTOOD, DUPLICATE)
    node.queue.close()


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    queue = NodeQueue(tmp_path / "queue", "OSSA")
    with pytest.raises(OutputError, match="another run is writing"):
        NodeQueue(tmp_path / "queue", "OSSA")
    queue.close()
    with pytest.raises(
        OutputError, match="belongs to another node queue; found AE title OSSA; expected AE title OTHER"
    ):
        NodeQueue(tmp_path / "queue", "OTHER")
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "hand.png").touch()
    with pytest.raises(OutputError, match=r"holds other things than a node queue; found hand\.png"):
        NodeQueue(tmp_path / "films", "OSSA")
    with pytest.raises(InputError, match="is no node queue"):
        status_of(tmp_path / "films")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "node.sqlite").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(OutputError, match="the database cannot be used"):
        NodeQueue(tmp_path / "broken", "OSSA")
    with pytest.raises(InputError, match="damaged"):
        status_of(tmp_path / "broken")
    with pytest.raises(OutputError, match="cannot be used as a folder"):
        NodeQueue(tmp_path / "films" / "hand.png", "OSSA")


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    NodeQueue(tmp_path / "queue", "OSSA").close()
    assert (tmp_path / "queue").stat().st_mode & 0o077 == 0


def test_peers_are_read_and_misspelt_ones_told() -> None:
    peers = peers_of(["PACS@pacs.example:104", "PACS@pacs.example:104"], ["https://pacs.example/dicom-web/"], "ME", "t")
    assert list(map(str, peers)) == ["PACS at pacs.example:104", "https://pacs.example/dicom-web"]
    assert "'t'" not in repr(peers)
    with pytest.raises(ConfigError, match="nobody would get the answers"):
        peers_of([], [], "ME", None)
    for to in ("pacs.example:104", "PACS@pacs.example", "@pacs.example:104"):
        with pytest.raises(ConfigError, match=r"expected (AE@HOST:PORT|HOST:PORT|1 to 16)"):
            peers_of([to], [], "ME", None)
    for url in ("pacs.example", "ftp://pacs.example", "https://", "http://pacs.example:99999/"):
        with pytest.raises(ConfigError, match="DICOMweb address is not understood"):
            peers_of([], [url], "ME", None)
    with pytest.raises(ConfigError, match="unencrypted"):
        peers_of([], ["http://pacs.example/dicom-web"], "ME", "secret")
    with pytest.raises(ConfigError, match="no name and no password"):
        peers_of([], ["https://me:secret@pacs.example/"], "ME", None)


def test_the_pauses_grow_and_end() -> None:
    assert [pause(n) for n in (0, 1, 2, 50)] == [2.0, 2.0, 4.0, 60.0]
