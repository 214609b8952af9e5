import io
import json
import multiprocessing
import os
import shutil
from collections import namedtuple

import cv2
import numpy as np
import pytest

from helpers_dataset import draw, schematic_hand
from ossa.dataset import cache as module
from ossa.dataset.cache import GreyCache, grey8, read_grey
from ossa.errors import ImageError, OutputError
from ossa.radiograph.prepare import Preparation
from ossa.radiograph.radiograph import Radiograph
from ossa.safety import replacing

SMALL = Preparation(64)


@pytest.fixture
def pictures(tmp_path):
    paths = []
    for k in range(4):
        paths.append(tmp_path / "in" / f"p_{k}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        cv2.imwrite(str(paths[-1]), draw(schematic_hand(128, seed=k), 128, k))
    return paths


@pytest.fixture
def decoded(monkeypatch):
    """Which pictures were decoded since."""
    calls = []

    def counting(path, preparation):
        calls.append(path)
        return read_grey(path, preparation)

    monkeypatch.setattr(module, "read_grey", counting)
    return calls


def arrays(folder):
    return sorted(folder.rglob("*.npy"))


def test_a_picture_is_decoded_once(tmp_path, pictures, decoded):
    cache = GreyCache(tmp_path / "cache", SMALL)
    first, placement = cache.get(pictures[0])
    second, again = GreyCache(tmp_path / "cache", SMALL).get(pictures[0])
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, read_grey(pictures[0], SMALL)[0])
    assert placement == again
    assert decoded == [pictures[0]]
    assert pictures[0] in cache
    assert pictures[1] not in cache
    cache.get(pictures[0])
    GreyCache(tmp_path / "cache", Preparation(96)).get(pictures[0])
    assert len(decoded) == 2


def test_without_a_folder_nothing_is_kept(tmp_path, pictures, decoded):
    cache = GreyCache(None, SMALL)
    cache.get(pictures[0])
    cache.get(pictures[0])
    assert len(decoded) == 2
    assert cache.build(pictures) == ()
    assert pictures[0] not in cache
    assert len(list(tmp_path.iterdir())) == 1


def test_changed_pictures_are_decoded_again_and_touched_ones_are_not(tmp_path, pictures, decoded):
    cache = GreyCache(tmp_path / "cache", SMALL)
    cache.get(pictures[0])
    os.utime(pictures[0], ns=(1, 1))
    GreyCache(tmp_path / "cache", SMALL).get(pictures[0])
    assert len(decoded) == 1
    note = next((tmp_path / "cache").rglob("*.json"))
    assert json.loads(note.read_text())["mtime_ns"] == 1
    other = draw(schematic_hand(128, seed=9), 128)
    cv2.imwrite(str(pictures[0]), other)
    grey, _ = GreyCache(tmp_path / "cache", SMALL).get(pictures[0])
    assert len(decoded) == 2
    np.testing.assert_array_equal(grey, read_grey(pictures[0], SMALL)[0])


def test_the_same_picture_under_two_names_is_kept_once(tmp_path, pictures):
    shutil.copy(pictures[0], tmp_path / "in" / "copy.png")
    cache = GreyCache(tmp_path / "cache", SMALL)
    cache.get(pictures[0])
    cache.get(tmp_path / "in" / "copy.png")
    assert len(arrays(tmp_path / "cache")) == 1


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"garbage" * 100, None])
def test_damaged_arrays_and_notes_are_made_again(tmp_path, pictures, decoded, damage):
    cache = GreyCache(tmp_path / "cache", SMALL)
    good, _ = cache.get(pictures[0])
    (array,), (note,) = arrays(tmp_path / "cache"), list((tmp_path / "cache").rglob("*.json"))
    whole = array.read_bytes()
    for path, content in ((array, damage), (note, damage), (array, whole[: len(whole) // 2]), (note, b"{}")):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        cache = GreyCache(tmp_path / "cache", SMALL)
        np.testing.assert_array_equal(cache.get(pictures[0])[0], good)
    assert len(decoded) == 5
    np.testing.assert_array_equal(cache.get(pictures[0])[0], good)
    np.save(array, good[:3])
    np.testing.assert_array_equal(cache.get(pictures[0])[0], good)


def header_with(array, **changes):
    """A .npy file of the same bytes whose header says something else."""
    with array.open("rb") as stream:
        np.lib.format.read_magic(stream)
        shape, _, _ = np.lib.format.read_array_header_1_0(stream)
        body = stream.read()
    buffer = io.BytesIO()
    said = {"descr": "|u1", "fortran_order": False, "shape": shape, **changes}
    np.lib.format.write_array_header_1_0(buffer, said)
    return buffer.getvalue() + body


def test_a_file_damaged_anywhere_is_made_again(tmp_path, pictures, decoded):
    """Bytes that parse as another header, as Python that is none, as a giant array; pixels that changed."""
    good, _ = GreyCache(tmp_path / "cache", SMALL).get(pictures[0])
    (array,) = arrays(tmp_path / "cache")
    whole = array.read_bytes()
    damaged = [
        whole.replace(b"shape': (", b"shape'\0\0\0\0"),
        whole.replace(b"False", b"Fal e"),
        whole.replace(b"(64", b"((("),
        header_with(array, shape=(1 << 40, 1 << 20)),
        header_with(array, descr="|O"),
        header_with(array, fortran_order=True),
        whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        whole + b"x",
    ]
    assert all(content != whole for content in damaged)
    for content in damaged:
        array.write_bytes(content)
        np.testing.assert_array_equal(GreyCache(tmp_path / "cache", SMALL).get(pictures[0])[0], good)
        assert array.read_bytes() == whole
    assert len(decoded) == 1 + len(damaged)


@pytest.mark.parametrize(
    "placement",
    [
        "12345678", [], [1] * 9, [1, 2, 3], [1e999, 1, 1, 1, 1, 1, 1.0, 1.0], [float("nan")] * 8, [None] * 8, {"a": 1},
        [128, 128, 64, 64, 0, 0, 0.5, 0.5], [128, 128, 64, 64, 64, 65, 0.5, 0.5], [128, 128, 64, 64, 64, 64, 0.0, 0.5],
        [10**20, 10**20, 10**20, 10**20, 10**20, 10**20, 1.0, 1.0], [128, 128, 64, 64, -64, -64, 0.5, 0.5],
    ],
)  # fmt: skip
def test_a_note_that_places_nothing_is_made_again(tmp_path, pictures, decoded, placement):
    _, right = GreyCache(tmp_path / "cache", SMALL).get(pictures[0])
    (note,) = (tmp_path / "cache").rglob("*.json")
    note.write_text(json.dumps({**json.loads(note.read_text()), "placement": placement}))
    assert GreyCache(tmp_path / "cache", SMALL).get(pictures[0])[1] == right
    assert len(decoded) == 2


def test_what_killed_processes_left_is_cleared_and_never_read(tmp_path, pictures):
    home = tmp_path / "cache" / "64"
    home.mkdir(parents=True)
    # A process died a moment ago, or the clock was set back since; one of a version before 0.2; and one that lives.
    dead, old = home / ".x.npy.ossa-part", home / ".x.npy.abcdefgh.part"
    for part in (dead, old):
        part.write_bytes(b"half")
    with replacing(home / "y.npy") as living:
        assert GreyCache(tmp_path / "cache", SMALL).build(pictures, workers=1) == ()
        assert not dead.exists()
        assert not old.exists()
        assert living.exists()
    assert len(arrays(home)) == 5


def _kill_in_the_middle(folder, paths):
    def die(*_):
        os._exit(9)

    setattr(module, "write_json", die)  # noqa: B010
    GreyCache(folder, SMALL).build(paths, workers=1)


def test_a_build_killed_between_array_and_note_is_taken_up_again(tmp_path, pictures, decoded):
    process = multiprocessing.get_context("fork").Process(target=_kill_in_the_middle, args=(tmp_path / "c", pictures))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert len(arrays(tmp_path / "c")) == 1
    cache = GreyCache(tmp_path / "c", SMALL)
    assert pictures[0] not in cache
    assert cache.build(pictures, workers=1) == ()
    assert all(p in cache for p in pictures)


def _build(folder, paths, queue):
    queue.put(GreyCache(folder, SMALL).build(paths, workers=1))


def test_two_processes_build_the_same_cache_at_once(tmp_path, pictures, decoded):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    builders = [context.Process(target=_build, args=(tmp_path / "c", pictures, queue)) for _ in range(2)]
    for builder in builders:
        builder.start()
    assert [queue.get(timeout=60) for _ in builders] == [(), ()]
    for builder in builders:
        builder.join()
    cache = GreyCache(tmp_path / "c", SMALL)
    for path in pictures:
        np.testing.assert_array_equal(cache.get(path)[0], read_grey(path, SMALL)[0])
    assert decoded == []
    assert len(arrays(tmp_path / "c")) == 4
    assert not list((tmp_path / "c").rglob("*.part"))


def test_parallel_processes_build_and_report_what_cannot_be_read(tmp_path, pictures, decoded):
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    seen = []

    def track(items, total, what):
        for item in items:
            seen.append((total, what))
            yield item

    cache = GreyCache(tmp_path / "cache", SMALL)
    (problem,) = cache.build([*pictures, tmp_path / "in" / "bad.png", pictures[0]], workers=2, track=track)
    assert "bad.png" in str(problem)
    assert seen == [(5, "caching pictures")] * 5
    assert all(p in cache for p in pictures)
    with pytest.raises(ImageError):
        cache.get(tmp_path / "in" / "bad.png")
    assert decoded == [tmp_path / "in" / "bad.png"]


def test_too_little_space_is_said_before_anything_is_decoded(tmp_path, pictures, monkeypatch, decoded):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 5000))
    cache = GreyCache(tmp_path / "cache", SMALL)
    with pytest.raises(OutputError, match="too little space") as caught:
        cache.build(pictures)
    for word in ("MB free", "4 pictures at 64 px", "turn the cache off"):
        assert word in str(caught.value)
    assert decoded == []
    assert cache.get(pictures[0])[0].shape == (64, 64)


def test_a_cache_that_cannot_be_written_decodes_each_time_and_says_so_once(tmp_path, pictures, caplog, decoded):
    (tmp_path / "file").write_text("")
    cache = GreyCache(tmp_path / "file", SMALL)
    with pytest.raises(OutputError, match="cannot be made"):
        cache.build(pictures)
    for _ in range(3):
        assert cache.get(pictures[0])[0].shape == (64, 64)
    assert len(decoded) == 3
    assert cache.problem is not None
    assert len(caplog.records) == 1


def test_a_disk_that_fills_up_on_the_way(tmp_path, pictures, monkeypatch):
    def full(path, data):
        raise OutputError("cannot be written", path=path, found="No space left on device")

    monkeypatch.setattr(module, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        GreyCache(tmp_path / "c", SMALL).build(pictures, workers=1)
    cache = GreyCache(tmp_path / "c", SMALL)
    assert cache.get(pictures[0])[0].shape == (64, 64)
    assert "No space" in (cache.problem or "")


def test_sixteen_bits_are_spread_over_eight():
    pixels = np.linspace(900, 3100, 5000).astype(np.uint16).reshape(50, 100)
    grey = grey8(Radiograph(pixels))
    assert grey.dtype == np.uint8
    assert (grey.min(), grey.max()) == (0, 255)
    assert (np.diff(grey.astype(int).ravel()) >= 0).all()
    assert grey8(Radiograph(np.full((4, 4), 7, np.uint16))).max() == 0
