"""A small clinic for the tests: radiographs with patients, bones on them, and a real Orthanc where one is installed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import generate_uid

from helpers_dicom import DX, dataset, save
from ossa.labels import competition
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.segmentation import Region, Segmentation

#: Korean as DICOM PS3.5 I.2 has it.
KOREAN = "Hong^Gildong=洪^吉洞=홍^길동"

ORTHANC = shutil.which("Orthanc")
DCIODVFY = shutil.which("dciodvfy")
DICOMWEB = next(
    (p for p in map(Path, ("/usr/share/orthanc/plugins/libOrthancDicomWeb.so",)) if p.exists()),
    None,
)


def film(shape: tuple[int, int] = (90, 60), seed: int = 0) -> NDArray[np.uint8]:
    """Grey noise, brighter in the middle."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    noise = np.random.default_rng(seed).normal(0, 6, shape)
    grey: NDArray[np.uint8] = (160 * np.exp(-(x**2) - y**2) + noise).clip(0, 255).astype(np.uint8)
    return grey


def bones(
    shape: tuple[int, int] = (90, 60), schema: BoneSchema | None = None, only: int = 29, left: int = 2
) -> Segmentation:
    """Bones that overlap, in columns from ``left``; the first one has a hole."""
    schema = schema or load_schema()
    regions = {}
    for k, name in enumerate(schema.names[:only]):
        mask = np.ones((9, 7), bool)
        if k == 0:
            mask[3:5, 3:5] = False
        mask[0, : k % 5] = False
        top, start = 2 + 8 * (k // 5), left + 5 * (k % 5)
        region = Region.tight(mask[: shape[0] - top, : shape[1] - start], top, start)
        assert region is not None
        regions[name] = region
    return Segmentation(schema, shape, regions)


def radiograph(path: Path, pixels: NDArray[Any] | None = None, **elements: Any) -> Path:
    """A DX image of a Korean patient's left hand, in a study."""
    told: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": KOREAN,
        "PatientID": "K-1",
        "PatientBirthDate": "19800229",
        "PatientSex": "F",
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "SOPInstanceUID": generate_uid(),
        "StudyDate": "20260102",
        "StudyTime": "101112",
        "StudyID": "S1",
        "AccessionNumber": "A1",
        "ReferringPhysicianName": "Arzt^Anna",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "Modality": "DX",
        "ImageLaterality": "L",
        "PixelSpacing": [0.15, 0.15],
        "PatientOrientation": ["L", "F"],
        "BurnedInAnnotation": "NO",
    }
    data = dataset(film() if pixels is None else pixels, sop_class=DX, **(told | elements))
    for name, value in elements.items():
        if value is None:
            delattr(data, name)
    if "SOPInstanceUID" in data:
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    return save(path, data)


def clinic_of(folder: Path, films: Mapping[str, Any], results: Mapping[str, Segmentation]) -> Path:
    """``folder``/films and ``folder``/results: ``films`` by name, of the elements that they say (a .png says none);
    ``results`` by name, each the label of the film whose name its own begins with.
    """
    shown, found = folder / "films", folder / "results"
    shown.mkdir()
    found.mkdir()
    for name, said in films.items():
        elements = dict(said)
        pixels = elements.pop("pixels", film())
        if name.endswith(".png"):
            Image.fromarray(pixels).save(shown / name)
        else:
            radiograph(shown / name, pixels, **elements)
    for name, segmentation in results.items():
        image = next(shown / one for one in films if name.startswith(Path(one).stem))
        competition.write(found / f"{name}.json", segmentation, image, None)
    return folder


def complaints(path: Path, folder: Path) -> list[str]:
    """What dciodvfy says against a DICOM file (it does not inflate: it is given a plain copy)."""
    import pydicom

    plain = folder / f"{path.stem}_plain.dcm"
    data = pydicom.dcmread(path)
    if data.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1.99":
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.save_as(plain)
    assert DCIODVFY is not None
    told = subprocess.run([DCIODVFY, "-new", str(plain)], capture_output=True, text=True, timeout=60, check=False)
    return [line for line in (told.stdout + told.stderr).splitlines() if line.startswith(("Error", "Abort"))]


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc on this machine alone."""

    http: int
    dicom: int

    def get(self, path: str, accept: str = "*/*") -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=30) as answer:
            body: bytes = answer.read()
        return body

    def post(self, path: str, body: bytes, kind: str) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}{path}",
            data=body,
            headers={"Content-Type": kind, "Accept": "application/dicom+json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            told: bytes = answer.read()
        return told

    def instances(self) -> list[str]:
        return list(json.loads(self.get("/instances")))

    def file(self, sop_instance: str) -> bytes:
        """The stored file of an instance."""
        for one in self.instances():
            if json.loads(self.get(f"/instances/{one}/simplified-tags"))["SOPInstanceUID"] == sop_instance:
                return self.get(f"/instances/{one}/file")
        raise AssertionError(f"{sop_instance} is not in the archive")

    def store_by_web(self, *files: Path) -> None:
        """STOW-RS (PS3.18, 10.5)."""
        parts = b"".join(
            b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file.read_bytes() + b"\r\n" for file in files
        )
        self.post("/dicom-web/studies", parts + b"--b--\r\n", 'multipart/related; type="application/dicom"; boundary=b')


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def start_orthanc(
    folder: Path, ports: tuple[int, int] | None = None, patience: float = 60
) -> tuple[Orthanc, subprocess.Popen[bytes]]:
    """Start Orthanc in ``folder`` on loopback ports (HTTP, DICOM; None: free ones); end the process afterwards."""
    assert ORTHANC is not None
    server = Orthanc(*(ports or (free_port(), free_port())))
    settings: dict[str, Any] = {
        "Name": "ossa test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": server.http,
        "DicomPort": server.dicom,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "OverwriteInstances": True,
        "Plugins": [str(DICOMWEB)] if DICOMWEB is not None else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    config = folder / "orthanc.json"
    config.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([ORTHANC, str(config)], stdout=log, stderr=log)
    end = time.monotonic() + patience
    while True:
        try:
            server.get("/system")
            return server, process
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                process.wait()
                raise AssertionError((folder / "orthanc.log").read_text()[-2000:]) from None
            time.sleep(0.1)


@contextmanager
def orthanc(folder: Path, ports: tuple[int, int] | None = None) -> Iterator[Orthanc]:
    """``start_orthanc`` for as long as the block runs."""
    server, process = start_orthanc(folder, ports)
    try:
        yield server
    finally:
        process.terminate()
        process.wait(20)
