"""A real archive takes image, segmentation, report and capture, over C-STORE and over the web, and gives them back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

import ossa
from helpers_clinic import DICOMWEB, ORTHANC, Orthanc, bones, free_port, orthanc, radiograph
from ossa.cli import cli
from ossa.errors import ConfigError, OutputError
from ossa.export.dicom.hands import told_apart
from ossa.export.dicom.sc import capture_object
from ossa.export.dicom.seg import segmentation_object, write_object
from ossa.export.dicom.send import Archive, send
from ossa.export.dicom.source import source_of
from ossa.export.dicom.sr import Number, report_object

needs_orthanc = pytest.mark.skipif(ORTHANC is None, reason="Orthanc (Debian's orthanc) is not installed")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Image, segmentation, report and capture of one study."""
    folder = tmp_path_factory.mktemp("study")
    image = radiograph(folder / "hand.dcm")
    picture = ossa.read_radiograph(image)
    source = source_of(image, picture)
    hands = told_apart([bones()], picture.side)
    seg = segmentation_object(source, hands)
    write_object(folder / "hand_seg.dcm", seg)
    write_object(
        folder / "hand_sr.dcm", report_object(source, seg, hands, [[Number("length", "Length", 1.5, "mm", "Radius")]])
    )
    write_object(folder / "hand_sc.dcm", capture_object(source, picture, hands))
    return [image, *(folder / f"hand_{kind}.dcm" for kind in ("seg", "sr", "sc"))]


def check(server: Orthanc, files: list[Path]) -> None:
    for path in files:
        sent = pydicom.dcmread(path)
        back = pydicom.dcmread(io.BytesIO(server.file(str(sent.SOPInstanceUID))))
        assert back == sent, path.name
        if "PixelData" in sent:
            assert back.PixelData == sent.PixelData
            assert np.array_equal(back.pixel_array, sent.pixel_array)


def forget(server: Orthanc) -> None:
    import urllib.request

    for one in json.loads(server.get("/patients")):
        request = urllib.request.Request(f"http://127.0.0.1:{server.http}/patients/{one}", method="DELETE")
        urllib.request.urlopen(request, timeout=30).read()


@needs_orthanc
def test_an_archive_takes_all_by_c_store_and_gives_them_back(archive: Orthanc, files: list[Path]) -> None:
    sent = send(files, Archive("127.0.0.1", archive.dicom))
    assert sent.taken == tuple(files)
    assert sent.refused == ()
    check(archive, files)
    # Sent again, they are the same objects.
    again = CliRunner().invoke(cli, ["export", "send", *map(str, files), "--to", f"127.0.0.1:{archive.dicom}"])
    assert again.exit_code == 0, again.output
    assert len(archive.instances()) == len(files)
    forget(archive)


@needs_orthanc
@pytest.mark.skipif(DICOMWEB is None, reason="Orthanc's DICOMweb (Debian's orthanc-dicomweb) is not installed")
def test_an_archive_takes_all_over_the_web_and_gives_them_back(archive: Orthanc, files: list[Path]) -> None:
    archive.store_by_web(*files)
    check(archive, files)
    study = pydicom.dcmread(files[0]).StudyInstanceUID
    found = json.loads(archive.get(f"/dicom-web/studies/{study}/instances", "application/dicom+json"))
    assert len(found) == len(files)
    whole = archive.get(f"/dicom-web/studies/{study}", 'multipart/related; type="application/dicom"; transfer-syntax=*')
    assert whole.count(b"DICM") == len(files)
    forget(archive)


def test_an_archive_that_is_down_or_not_there_is_told_and_nothing_is_lost(files: list[Path]) -> None:
    before = [path.read_bytes() for path in files]
    with pytest.raises(OutputError, match=r"does not answer \(.*\); nothing was sent.*send them again"):
        send(files, Archive("127.0.0.1", free_port()))
    with pytest.raises(OutputError, match="no such host"):
        send(files, Archive("no-such-host.invalid", 104))
    assert [path.read_bytes() for path in files] == before


def test_an_archive_that_refuses_is_told(files: list[Path]) -> None:
    from pynetdicom import AE, evt

    def refuse(event: evt.Event) -> int:
        kind = event.request.AffectedSOPClassUID
        return 0xA700 if kind is not None and "Segmentation" in kind.name else 0

    entity = AE(ae_title="PICKY")
    entity.require_called_aet = True
    for path in files[:3]:
        data = pydicom.dcmread(path)
        entity.add_supported_context(data.SOPClassUID, [pydicom.uid.ExplicitVRLittleEndian])
    server = entity.start_server(("127.0.0.1", free_port()), block=False, evt_handlers=[(evt.EVT_C_STORE, refuse)])
    assert server is not None
    port = server.server_address[1]
    try:
        with pytest.raises(OutputError, match="refused the connection"):
            send(files, Archive("127.0.0.1", port, called="OTHER"))
        sent = send(files, Archive("127.0.0.1", port, called="PICKY"))
    finally:
        server.shutdown()
    assert sent.taken == (files[0], files[2])
    (first, why), (second, kind) = sent.refused
    assert (first, second) == (files[1], files[3])
    assert "A700" in why  # inflated for an archive that takes no deflated files, and refused there
    assert "does not take objects of this kind (Secondary Capture" in kind


@pytest.mark.parametrize("text", ["host", ":104", "host:0", "host:x", "host:99999"])
def test_an_address_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        Archive.parse(text)


def test_a_title_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match="1 to 16 ASCII"):
        Archive.parse("host:104", "a title of far more than sixteen letters")
