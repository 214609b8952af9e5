"""The shipped model in the form that model hubs read: python scripts/upload_model.py [--repo OWNER/NAME]

    --write-card         renew docs/model_card.md from the bundle's card (tests/test_model_card.py asks for it)
    --to FOLDER          put what would be uploaded into a folder and look at it
    --repo OWNER/NAME    upload it; needs huggingface_hub and a token of its own (hf auth login)

The fields at the top of the card are those of the Hub's model card metadata (huggingface.co/docs/hub/model-cards).
Every figure comes from card.json, so that the card cannot tell another model's.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

import yaml

from ossa.bundle.bundle import Bundle
from ossa.bundle.card import Card
from ossa.safety import output_folder, sha256, write_text

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "model_card.md"

#: The figures of card.json that are told, in words and as the Hub's metric types (its own word where it has one).
FIGURES = {
    "mean Dice": ("dice", "Mean Dice over 29 bones"),
    "NSD at 2 px of 2048": ("nsd", "Normalised surface Dice at 2 px of 2048"),
    "finger tips, median mm": ("landmark_error", "Finger tips, median error in mm"),
    "carpals of 24 adolescents, mean best-match Dice": ("dice", "Carpals of 24 adolescents, mean best-match Dice"),
}

BODY = """
# {name}

Finds the 29 bones of the hand and wrist in a radiograph: 19 finger bones, 8 carpals, radius and ulna, each as a
region of its own, since bones overlap in every hand radiograph.

**For research. Not a medical device: not for diagnosis or treatment.**

## Use

```python
import ossa

prediction = ossa.Predictor.load().predict("samples/hand.png")
print(len(prediction), "bones")
```

`pip install ossa` brings these weights along. A folder of these files is read by `ossa.Predictor.load("FOLDER")`
and by `ossa predict IMAGE -o OUT --model FOLDER`; `model.onnx` runs in any ONNX runtime, but what is around it
matters: the whole picture at {size} px, {closer} closer looks at {closer_size} px, thresholds and clean-up, as
`card.json` tells.

| file | holds |
|---|---|
| `model.onnx`, `model.safetensors` | the network, {network}; logits of 29 bones at 1/{stride} of its grid |
| `model_int8.onnx` | the same in 8 bits, which ossa runs on CPUs |
| `finder.onnx` | the small network that looks for hands first |
| `refiner.onnx` | the small network that moves outlines to the edges that the picture shows |
| `consultant.onnx` | the network that is asked about parts of a hand, single digits and lateral views, in 8 bits |
| `card.json` | preparation, closer looks, bones, figures, SHA-256 of each file |

## Meant for

Measuring, sorting and labelling hand radiographs (seen from the front or the back) in research; a start for a model
of your own (`ossa train --help`). **Not meant for** decisions about a patient, lateral views, single fingers, other
body parts.

## Trained on

{data}. Bone geometry: {anatomy}. No real radiograph was trained on, so no patient's data are in the weights.

## Measured

{table}

Two traced hands are few, and they were looked at while the model was made: this is no untouched test set. The
tracings are uncertain by 1.5-2 px themselves, and by 3-8 px where a bone hides another. Weakest bones: {weakest}.

## Limits and risks

Closed fists, bent fingers, casts, amputations, severe arthritis and small children's epiphyses are often wrong.
Three people's bone shapes stand behind all of it: bipartite or fused carpals are unknown to it, and no figure
exists by sex, age, ancestry or maker of the machine. Where bones hide each other an outline is a guess. ossa tells
doubtful bones, but a confident mistake is possible: look at the overlay.
"""


class Hub(Protocol):
    """What is asked of huggingface_hub.HfApi."""

    def create_repo(self, repo_id: str, *, repo_type: str, private: bool, exist_ok: bool) -> Any: ...

    def upload_folder(self, *, repo_id: str, folder_path: str, repo_type: str, commit_message: str) -> Any: ...


def metadata(card: Card) -> dict[str, Any]:
    """The fields at the top of the card, in the Hub's names."""
    real = card.figures.get("real hands", {})
    metrics = [
        {"type": kind, "name": words, "value": real[name]} for name, (kind, words) in FIGURES.items() if name in real
    ]
    results = [
        {
            "task": {"type": "image-segmentation", "name": "Bones of the hand in radiographs"},
            "dataset": {
                "type": "real-hands",
                "name": f"{real.get('hands traced', 0)} traced hands (Digital Hand Atlas); carpals of 24 adolescents",
            },
            "metrics": metrics,
        }
    ]
    return {
        "license": card.licence.lower(),
        "library_name": "ossa",
        "pipeline_tag": "image-segmentation",
        "tags": ["medical", "radiograph", "x-ray", "hand", "wrist", "bone", "onnx", "safetensors", "synthetic-data"],
        "model-index": [{"name": card.name, "results": results}],
    }


def model_card(card: Card) -> str:
    """README.md of the model: YAML between two lines of ---, then Markdown."""
    real = card.figures.get("real hands", {})
    rows = [f"| {words} | {real[name]:g} |" for name, (_, words) in FIGURES.items() if name in real]
    for name, value in real.get("mean Dice of groups", {}).items():
        rows.append(f"| Mean Dice: {name} | {value:g} |")
    bones = sorted(real.get("Dice per bone", {}).items(), key=lambda item: item[1])[:3]
    titles = {bone.name: bone.title for bone in card.schema.bones}
    body = BODY.format(
        name=card.name,
        size=card.preparation.size,
        closer=len(card.closer),
        closer_size="/".join(str(size) for size in sorted({look.size for look in card.closer})) or "no",
        network=f"architecture `{card.architecture.name}`",
        stride=card.stride,
        data=str(card.training.get("data", "unknown")).capitalize(),
        anatomy=card.training.get("anatomy", "unknown"),
        table="\n".join(["| figure | measured |", "|---|---|", *rows]),
        weakest=", ".join(f"{titles[name]} ({value:g})" for name, value in bones) or "not measured",
    )
    top = yaml.safe_dump(metadata(card), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{top}---\n{body}"


def put_together(bundle: Bundle, folder: Path) -> list[str]:
    """Everything that belongs into the model's repository, each file checked by its hash; the names, sorted."""
    for name in bundle.card.files:
        shutil.copyfile(bundle.path / name, folder / name)
        if sha256(folder / name) != bundle.card.files[name]:
            raise SystemExit(f"{bundle.path / name}: is not the file that card.json tells of; ship the model again")
    shutil.copyfile(bundle.path / "card.json", folder / "card.json")
    for name in ("LICENSE", "NOTICE"):
        shutil.copyfile(ROOT / name, folder / name)
    write_text(folder / "README.md", model_card(bundle.card))
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def upload(bundle: Bundle, repo: str, hub: Hub, *, private: bool = True) -> list[str]:
    """Upload the bundle as ``repo`` ("owner/name"), private unless told otherwise. Returns the names of the files."""
    with tempfile.TemporaryDirectory(prefix="ossa-upload-") as name:
        files = put_together(bundle, Path(name))
        hub.create_repo(repo, repo_type="model", private=private, exist_ok=True)
        hub.upload_folder(repo_id=repo, folder_path=name, repo_type="model", commit_message=f"ossa: {bundle.card.name}")
    return files


def main() -> None:
    """Write, put together or upload."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="another bundle's folder; the shipped one without it")
    parser.add_argument("--write-card", action="store_true")
    parser.add_argument("--to", type=Path)
    parser.add_argument("--repo")
    parser.add_argument("--public", action="store_true", help="a new repository is public; private without it")
    args = parser.parse_args()
    bundle = Bundle.load(args.model)
    if args.write_card:
        write_text(PAGE, model_card(bundle.card))
    if args.to:
        with output_folder(args.to, [bundle.path]) as folder:
            print("\n".join(put_together(bundle, folder)))
    if args.repo:
        try:
            from huggingface_hub import HfApi
        except ImportError:
            raise SystemExit("uploading needs huggingface_hub: pip install huggingface_hub") from None
        print("\n".join(upload(bundle, args.repo, HfApi(), private=not args.public)))


if __name__ == "__main__":
    main()
