"""TotalSegmentator's own function on NIfTI files with a network planned for hands, for bench_programs.py.

    python benchmarks/_programs_totalseg.py FILMS OUTPUT

Its weights of 117 organs are not to be had without a network, and would not be of hands: everything else is its own
(resampling to a fixed spacing, nnU-Net over sliding windows without mirrored looks, label map, resampling back, a NIfTI
file for each class), with its own settings. It takes one picture at a time, and so a call for each.
"""

from __future__ import annotations

import sys
from pathlib import Path

BONES = 29

#: nnU-Net's set, and the spacing it was planned at (_programs_models.py).
SET, SPACING = 3, 4.0


def main(films: Path, output: Path) -> None:
    from totalsegmentator import nnunet
    from totalsegmentator.map_to_binary import class_map

    class_map["hand"] = {number: f"bone{number:02d}" for number in range(1, BONES + 1)}
    for film in sorted(films.glob("*.nii.gz")):
        nnunet.nnUNet_predict_image(
            film,
            output / film.name.removesuffix(".nii.gz"),
            SET,
            model="2d",
            folds=["all"],
            trainer="nnUNetTrainer",
            multilabel_image=False,
            resample=SPACING,
            task_name="hand",
            device="cpu",
            quiet=True,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
