"""What the commands work on: a few small films, a network that takes brightness for bone, a data set of boxes."""

from __future__ import annotations

from pathlib import Path

#: How many films, and the sides of one in px.
FILMS, SHAPE = 3, (120, 100)

#: Pictures of the data set, two of each of its subjects, and their sides in px.
PICTURES, SIZE = 4, 96

#: A training of a fold that takes seconds.
RUN = """\
data: {size: 64, workers: 0, datasets: [{path: SET}]}
folds: {count: 2, run: [0], bundle: false}
model: {architecture: compact, widths: [16, 16, 16, 16, 16], head: 16, depth: 1}
train: {epochs: 2, batch: 2, samples: 4, device: cpu, threads: 1}
logging: {every: 1}
"""


def make(folder: str) -> None:
    """All of it, into ``folder``."""
    root = Path(folder)
    films(root / "films")
    model(root / "model")
    dataset(root / "set")
    dicom(root / "dicom")


def films(folder: Path) -> None:
    """Dark pictures with a bright block, each of its own."""
    import cv2
    import numpy as np

    folder.mkdir(parents=True)
    height, width = SHAPE
    for k in range(FILMS):
        pixels = np.full(SHAPE, 20, np.uint8)
        pixels[height // 4 : height // 4 + height // 2 + k, width // 4 : width // 4 + width // 5] = 220
        (folder / f"{k}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def dataset(folder: Path) -> None:
    """Pictures of 29 boxes, each a bone, in the competition's layout."""
    import numpy as np

    from ossa.labels.competition import write_case
    from ossa.schema import load_schema
    from ossa.segmentation.segmentation import Segmentation

    schema = load_schema()
    for k in range(PICTURES):
        rng = np.random.default_rng(k)
        pixels = rng.integers(0, 60, (SIZE, SIZE)).astype(np.uint8)
        bits = np.zeros((SIZE, SIZE), np.uint32)
        for bone in range(len(schema)):
            top, left = 4 + 15 * (bone // 5) + k, 4 + 18 * (bone % 5)
            bits[top : top + 10, left : left + 13] |= np.uint32(1 << bone)
        pixels[bits > 0] += 120
        write_case(
            folder, f"ID{k // 2 + 1:03d}", f"{k}_{'LR'[k % 2]}.png", pixels, Segmentation.from_bits(bits, schema)
        )


def model(folder: Path) -> None:
    """A bundle whose network finds every bone where a picture is bright."""
    import torch

    from ossa.bundle.bundle import save_bundle
    from ossa.bundle.card import Architecture, Card
    from ossa.radiograph.prepare import Preparation
    from ossa.schema import load_schema

    schema = load_schema()

    class Bright(torch.nn.Module):
        """A threshold on brightness."""

        stride = 2

        def __init__(self) -> None:
            super().__init__()
            self.mix = torch.nn.Conv2d(1, len(schema), 1)
            torch.nn.init.constant_(self.mix.weight, 4.0)
            torch.nn.init.constant_(self.mix.bias, -6.0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """(N, 1, h, w) -> (N, C, h / 2, w / 2)."""
            answer: torch.Tensor = self.mix(torch.nn.functional.avg_pool2d(x, 2))
            return answer

    card = Card("bright", schema, Architecture("bright"), stride=2, preparation=Preparation(64))
    save_bundle(folder, Bright(), card)


def dicom(folder: Path) -> None:
    """The films as DX images, each of a study of its own."""
    import cv2
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    folder.mkdir()
    kind = "1.2.840.10008.5.1.4.1.1.1.1"
    for k, path in enumerate(sorted((folder.parent / "films").iterdir())):
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        data = Dataset()
        data.SOPClassUID, data.SOPInstanceUID = kind, f"1.2.826.0.1.3680043.8.498.{k + 1}.3"
        data.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.{k + 1}.1"
        data.SeriesInstanceUID = f"1.2.826.0.1.3680043.8.498.{k + 1}.2"
        data.PatientID, data.PatientName, data.PatientBirthDate, data.PatientSex = f"P{k}", "Test", "", ""
        data.StudyDate, data.StudyTime, data.StudyID, data.AccessionNumber = "20260102", "101112", "1", ""
        data.ReferringPhysicianName, data.SeriesNumber, data.InstanceNumber = "", 1, 1
        data.Modality, data.ImageLaterality, data.PatientOrientation = "DX", "L", ["L", "F"]
        data.PixelSpacing, data.BurnedInAnnotation = [0.15, 0.15], "NO"
        data.Rows, data.Columns = pixels.shape
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
        data.PixelData = pixels.tobytes()
        data["PixelData"].VR = "OB"
        data.file_meta = FileMetaDataset()
        data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = kind, data.SOPInstanceUID
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.save_as(folder / f"{k}.dcm", enforce_file_format=True)


def cache(root: str, folder: str, workers: str) -> None:
    """Decode the data set's pictures into a cache: what a training does before it begins."""
    from ossa.dataset.cache import GreyCache
    from ossa.dataset.dataset import open_dataset
    from ossa.radiograph.prepare import Preparation
    from ossa.schema import load_schema

    pictures = [case.image for case in open_dataset(Path(root) / "set", load_schema())]
    if problems := GreyCache(Path(folder), Preparation(64, 32)).build(pictures, int(workers)):
        raise SystemExit(str(problems))
