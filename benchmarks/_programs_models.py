"""What bench_programs.py has made before it measures: pictures for each program, networks on the disk, their sizes.

    python benchmarks/_programs_models.py WORK COUNTS...

In a process of its own, since the one that measures is to hold none of the libraries that it charges others for.
The networks are untrained, and their last layer says "no bone" everywhere: a mask full of noise would take their
programs longer to write than one of bones, an empty one takes no time.

WORK/png-N, nnunet-N, nifti-N    N pictures as files of that program
WORK/nnunet/                     nnU-Net's folders, with the sets of FULL, GRID and NIFTI
WORK/smp.pt, monai.pt            weights for _programs_scripts.py
WORK/made.json                   written last: millions of weights, and sizes of tiles
"""

from __future__ import annotations

import copy
import json
import math
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from _programs_scripts import monai_network, smp_network
from _rivals_nnunet import PROCESSES, have_folders, planned, write_raw

#: Longest side of a picture, and of what ossa's network sees of it, px.
SIZE, SIDE = 2048, 512

#: Of so many pictures nnU-Net plans from.
PLANNED = 4

#: nnU-Net's sets: as it plans them, planned on SIDE px, and the latter read from NIfTI.
FULL, GRID, NIFTI = "Dataset001_Full", "Dataset002_Grid", "Dataset003_Nifti"

#: nnU-Net's own configuration, and the same with about as many weights as ossa.
OWN, SLIM = "2d", "2d_slim"


def prepared(data: Path, step: int) -> Iterator[tuple[Any, Any]]:
    """The first phantoms with their planes, every ``step``-th pixel."""
    from ossa.dataset.dataset import open_dataset
    from ossa.radiograph.read import read_radiograph

    dataset = open_dataset(data)
    for case in dataset.labelled[:PLANNED]:
        image = read_radiograph(case.image).pixels
        planes = case.segmentation(dataset.schema, (image.shape[0], image.shape[1])).planes().astype(np.uint8)
        small = cv2.resize(image, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
        yield small, planes[:, : small.shape[0] * step : step, : small.shape[1] * step : step]


def lay_out(paths: list[Path], work: Path, count: int) -> None:
    """The first ``count`` of ``paths`` for ossa and scripts, for nnU-Net, and as NIfTI with a pixel of 1 mm."""
    import nibabel

    folders = [work / f"{kind}-{count}" for kind in ("png", "nnunet", "nifti")]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    for i, path in enumerate(paths[:count]):
        shutil.copy(path, folders[0] / f"hand{i:03d}.png")
        shutil.copy(path, folders[1] / f"hand{i:03d}_0000.png")
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        # One slice, as thick as the resampled pixels are wide: TotalSegmentator resamples to cubes.
        volume = nibabel.Nifti1Image(grey.T[:, :, None].astype(np.int16), np.diag([1.0, 1.0, SIZE / SIDE, 1.0]))
        nibabel.save(volume, folders[2] / f"hand{i:03d}.nii.gz")


def weights_of(network: Any) -> float:
    """Millions of numbers that were learnt, or would be."""
    return float(sum(p.numel() for p in network.parameters())) / 1e6


def silent(layer: Any) -> None:
    """Make a last layer say "no bone" whatever comes in."""
    import torch

    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(-10.0)


def ossa_weights() -> float:
    """Millions of weights of the shipped model and its finder."""
    import onnx

    import ossa

    folder = Path(ossa.__file__).parent / "models" / "default"
    graphs = [onnx.load(folder / name).graph for name in ("model.onnx", "finder.onnx")]
    return sum(math.prod(tensor.dims) for graph in graphs for tensor in graph.initializer) / 1e6


def trained(plans: dict[str, Any], told: dict[str, Any], configuration: str) -> float:
    """A checkpoint as its trainer would write one, and beside it what its predictor reads; millions of weights."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    trainer = nnUNetTrainer({**plans, "continue_training": False}, configuration, "all", told, torch.device("cpu"))
    trainer.initialize()
    trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()  # says which mirrored looks are allowed
    for layer in trainer.network.decoder.seg_layers:
        silent(layer)
    trainer.save_checkpoint(str(Path(trainer.output_folder, "checkpoint_final.pth")))
    for name, content in (("plans.json", plans), ("dataset.json", told)):
        Path(trainer.output_folder_base, name).write_text(json.dumps(content))
    return weights_of(trainer.network)


def slimmer(plans: dict[str, Any], wanted: float, own: float) -> dict[str, Any]:
    """``plans`` with SLIM: fewer features in every stage, so that of ``own`` million weights ``wanted`` remain."""
    plans = copy.deepcopy(plans)
    slim = copy.deepcopy(plans["configurations"][OWN])
    arguments = slim["architecture"]["arch_kwargs"]
    arguments["features_per_stage"] = [round(n * math.sqrt(wanted / own)) for n in arguments["features_per_stage"]]
    plans["configurations"][SLIM] = slim
    return plans


def nnunet(data: Path, work: Path) -> dict[str, Any]:
    """The three sets with their checkpoints."""
    root = work / "nnunet"
    shutil.rmtree(root, ignore_errors=True)
    have_folders(root)
    os.environ[PROCESSES] = "1"
    made: dict[str, Any] = {}
    plans, told = {}, {}
    for name, step in ((FULL, 1), (GRID, SIZE // SIDE)):
        write_raw(prepared(data, step), bone_names(), root / "raw" / name)
        plans[name] = json.loads(planned(root, name).read_text())
        told[name] = json.loads((root / "raw" / name / "dataset.json").read_text())
        made[f"{name} tile"] = plans[name]["configurations"][OWN]["patch_size"]
    made[FULL] = trained(plans[FULL], told[FULL], OWN)
    grid = plans[GRID]
    # Planned on small pictures, it is told that a pixel of these is SIZE / SIDE wide: it resamples what it is given.
    grid["configurations"][OWN]["spacing"] = [SIZE / SIDE, SIZE / SIDE]
    made[GRID] = trained(grid, told[GRID], OWN)
    made[f"{GRID} slim"] = trained(slimmer(grid, ossa_weights(), made[GRID]), told[GRID], SLIM)
    shutil.copytree(root / "preprocessed" / GRID, root / "preprocessed" / NIFTI)
    of_nifti = {**grid, "dataset_name": NIFTI, "image_reader_writer": "NibabelIO"}
    trained(of_nifti, {**told[GRID], "file_ending": ".nii.gz"}, OWN)
    return made


def bone_names() -> tuple[str, ...]:
    from ossa.schema import load_schema

    return load_schema().names


def main(work: Path, counts: list[int]) -> None:
    import torch

    from ossa.pipeline.phantom import make_phantoms

    warnings.simplefilter("ignore")
    data = work / "phantoms"
    make_phantoms(data, max(*counts, PLANNED), seed=29, size=SIZE, processes=1)
    paths = sorted((data / "train" / "DCM").rglob("*.png"))
    for count in counts:
        lay_out(paths, work, count)
    made = {"ossa": ossa_weights(), **nnunet(data, work)}
    for name, network in (("smp", smp_network()), ("monai", monai_network())):
        silent([layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)][-1])
        torch.save(network.state_dict(), work / f"{name}.pt")
        made[name] = weights_of(network)
    (work / "made.json").write_text(json.dumps({**made, "counts": counts}, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(text) for text in sys.argv[2:]])
