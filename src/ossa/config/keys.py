"""Every key of a run file, with its type, default, range and one sentence of documentation.

These classes are the only place where a key is written down: reading, checking, overriding and
``ossa config --explain`` all follow from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ossa.config.sections import Count, Fraction, Home, Named, Positive, Section
from ossa.config.steering import DeepSupervision, Distil, Sam, Search, WeightMean


class DatasetKeys(Section):
    """One data set folder."""

    path: Home = Field(description="Data set folder; its format is recognised from its layout")
    format: str | None = Field(default=None, description="Label format by name, when it is not to be recognised")
    split: str | None = Field(default=None, description="Only this published split ('train', ...)")
    names: Home | None = Field(default=None, description="File that maps the labels' names to bones (as --map)")
    scale_labels: bool = Field(
        default=False, description="Scale labels drawn at another size than their pictures, instead of refusing them"
    )
    images: str | None = Field(default=None, description="As data.images, for this data set")
    weight: Annotated[float, Field(ge=0.0)] = Field(
        default=1.0, description="Share of the samples drawn, relative to the others"
    )


class CloseUps(Section):
    """Phantoms of some bones, enlarged as a closer look enlarges them, in batches of their own."""

    share: Fraction = Field(default=0.4, description="Share of the phantoms that are such close-ups")
    size: Annotated[int, Field(ge=32, le=8192)] | None = Field(
        default=None, description="Longest side of such a picture, px; data.size when empty"
    )


class OtherPart(Section):
    """Phantoms of another part of the body, of which nothing is to be found."""

    anatomy: Home = Field(description="Folder of its bone meshes")
    bones: str = Field(default="foot28", description="Its bone schema")
    share: Fraction = Field(default=0.1, description="Share of the phantoms that show it")


class PhantomKeys(Section):
    """Synthetic radiographs made from seeds."""

    count: Count = Field(default=200, description="How many different phantoms to train on")
    seed: Annotated[int, Field(ge=0)] = Field(default=1, description="First seed; phantom i has seed + i")
    held_out: Annotated[int, Field(ge=0)] = Field(
        default=40, description="Further phantoms, of other seeds, to validate on when there is no data set"
    )
    weight: Annotated[float, Field(ge=0.0)] = Field(
        default=1.0, description="Share of the samples drawn, relative to the others"
    )
    pool: Home | None = Field(default=None, description="Folder that keeps made phantoms; inside output when empty")
    anatomy: tuple[Home, ...] = Field(
        default=(), description="Folder of bone meshes, or several, blended; the built-in bones when empty"
    )
    world: str = Field(
        default="flat", description="Films: flat (tidy, filling the frame) or wide (as a hospital has them)"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the generator that differ from the world's (docs/phantom.md)"
    )
    wrists: CloseUps | None = Field(
        default=None, description="Wrists (of a foot: ankles) alone besides, for a closer look"
    )
    digits: CloseUps | None = Field(
        default=None,
        description="Digits alone, or a thumb with the roots of the others, besides, for closer looks at them",
    )
    others: OtherPart | None = Field(default=None, description="Phantoms on which nothing is to be found, besides")
    drawings: Fraction = Field(default=0.0, description="Share that is drawn as books draw bones: no hand to be found")
    renew: Fraction = Field(
        default=0.0, description="Share of the phantoms that new ones replace each epoch; 0: the same ones throughout"
    )
    writers: Annotated[int, Field(ge=0)] = Field(
        default=1, description="Processes that draw the next epochs' new phantoms meanwhile; 0: the batches do"
    )

    @field_validator("anatomy", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return () if value is None else (value,) if isinstance(value, (str, Path)) else value


class Window(Section):
    """Training on windows of a large grid."""

    size: Annotated[int, Field(ge=64, multiple_of=32)] = Field(
        default=768, description="Side of a training window, grid px"
    )
    per_image: Count = Field(default=2, description="Windows cut from each sample")


class Data(Section):
    """What is trained on, and how it is brought to the network."""

    datasets: tuple[DatasetKeys, ...] = Field(default=(), description="Data set folders, mixed by weight")
    images: str | None = Field(
        default=None, description="Folder of other pictures with the same labels, such as train_resolx2"
    )
    phantoms: PhantomKeys | None = Field(default=None, description="Synthetic radiographs, mixed in by weight")
    size: Annotated[int, Field(ge=32, le=8192)] = Field(
        default=512, description="Longest side of a picture on the grid, px"
    )
    window: Window | None = Field(
        default=None, description="Train on windows of the grid (needs architecture 'context')"
    )
    cache: Home | None = Field(default=None, description="Folder of the image cache; inside output when empty")
    workers: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Processes that prepare samples; 0: the loop does"
    )
    augment: dict[str, Any] = Field(
        default_factory=dict, description="Augmentation settings that differ (ossa config --augment)"
    )


class Folds(Section):
    """Cross-validation by subject."""

    count: Annotated[int, Field(ge=2)] = Field(default=5, description="Number of folds; a subject is in exactly one")
    seed: Annotated[int, Field(ge=0)] = Field(
        default=1, description="Seed of the assignment, apart from the run's seed"
    )
    run: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="Folds to train (from 0); all when empty"
    )
    file: Home | None = Field(default=None, description="A folds file written before, instead of making one")
    store: bool = Field(default=True, description="Write out-of-fold predictions for calibration")
    bundle: bool = Field(default=True, description="Write each fold's model as a bundle (safetensors and ONNX)")

    @model_validator(mode="after")
    def _within(self) -> Folds:
        if any(i >= self.count for i in self.run):
            raise ValueError(f"folds.run names a fold that does not exist; there are {self.count}, numbered from 0")
        return self


class Model(Named):
    """The network; all further keys are options of the architecture."""

    architecture: str = Field(
        default="compact", description="Name in ossa.models.architectures; other keys here go to it"
    )
    weights: str | None = Field(default=None, description="null, a weight file, or 'imagenet' (downloads the encoder)")
    prior: bool = Field(
        default=True, description="A new head starts at the share of the training pictures that each bone fills"
    )


class Optimiser(Named):
    """Any class of torch.optim; all further keys are its arguments."""

    name: str = Field(default="AdamW", description="Class of torch.optim; other keys here are its arguments")
    lr: Positive = Field(default=1e-3, description="Learning rate (the largest one, with OneCycleLR)")


class Scheduler(Named):
    """Any class of torch.optim.lr_scheduler; all further keys are its arguments."""

    name: str | None = Field(
        default="OneCycleLR",
        description="Class of torch.optim.lr_scheduler, or null; total_steps and the like fill themselves",
    )
    interval: Literal["auto", "step", "epoch"] = Field(
        default="auto", description="When it steps; auto knows each class"
    )
    warmup: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Steps of linear warm-up before the schedule acts"
    )


class EarlyStop(Section):
    """Stopping when validation no longer improves."""

    patience: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Validations without gain before stopping; 0: never"
    )
    min_delta: Annotated[float, Field(ge=0.0)] = Field(
        default=0.0, description="Smallest gain in the monitored figure that counts"
    )


class Train(Section):
    """The loop."""

    epochs: Count = Field(default=20, description="How often validation, and a checkpoint, come")
    minutes: Positive | None = Field(
        default=None, description="Minutes for the whole run: no epoch is begun that would end later"
    )
    samples: Count | None = Field(default=None, description="Samples drawn per epoch; as many as there are when empty")
    batch: Count = Field(default=8, description="Samples per step and device")
    accumulate: Count = Field(default=1, description="Batches whose gradients are summed before a step")
    clip: Annotated[float, Field(ge=0.0)] = Field(default=1.0, description="Largest gradient norm; 0 does not clip")
    precision: Literal["auto", "32", "bf16", "16"] = Field(
        default="auto",
        description="Arithmetic: 32, bf16 or 16 bit (mixed); auto: bf16 where it is quick, else 32",
    )
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        default=0.0, description="Decay of the averaged weights; 0 keeps none"
    )
    swa: WeightMean | None = Field(default=None, description="Mean of the last epochs' weights (SWA)")
    sam: Sam | None = Field(default=None, description="Sharpness-aware steps (SAM); twice the time")
    monitor: str = Field(
        default="val/dice",
        description="Logged figure that says which epoch is best: val/dice, val/dice/Pisiform, val/loss",
    )
    monitor_mode: Literal["auto", "max", "min"] = Field(
        default="auto", description="Whether more or less of it is better; auto: less of a loss, more of all else"
    )
    validation_loss: bool = Field(default=False, description="Log val/loss, the loss of whole held-out pictures")
    threshold: float | dict[str, float] = Field(
        default=0.5, description="Probability from which validation counts a pixel as bone; or {Pisiform: .4, '*': .5}"
    )
    bone_weights: dict[str, Annotated[float, Field(ge=0.0)]] = Field(
        default={}, description="Weights of bones, or of whole rows, in the loss: {carpal: 2, Pisiform: 3}; others 1"
    )
    hard_share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=1.0, description="Share of a batch's bones, those with the lowest Dice, that count in the loss"
    )
    loss_stride: Literal[1, 2, 4, 8, 16] | None = Field(
        default=None, description="Stride of the grid on which the loss is taken; the head's own when empty"
    )
    deep_supervision: DeepSupervision | None = Field(default=None, description="Losses at coarser levels too")
    checkpoint_gradients: bool = Field(
        default=False, description="Compute parts of the network twice instead of keeping them in memory"
    )
    early_stop: EarlyStop = Field(default=EarlyStop(), description="Early stopping")
    validate_every: Count = Field(default=1, description="Epochs between validations")
    device: Literal["auto", "cpu", "gpu", "mps"] = Field(default="auto", description="Where to train")
    devices: Count = Field(default=1, description="Devices per node; more than one trains by DDP")
    nodes: Count = Field(default=1, description="Nodes, started by the cluster's launcher (SLURM, torchrun)")
    threads: Annotated[int, Field(ge=0)] = Field(default=0, description="CPU threads of torch; 0 leaves its choice")
    deterministic: bool = Field(default=False, description="Refuse operations that cannot repeat exactly (GPU)")
    compile: bool = Field(default=False, description="Compile the network and the loss (torch.compile)")
    channels_last: bool = Field(default=True, description="Memory order that convolutions like; a CPU needs wide ones")
    save_every: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Keep a checkpoint every so many epochs; 0: none"
    )

    @model_validator(mode="after")
    def _validates(self) -> Train:
        if self.validate_every > self.epochs:
            raise ValueError(f"validate_every={self.validate_every} is never reached in {self.epochs} epochs")
        return self

    @model_validator(mode="after")
    def _go_together(self) -> Train:
        if self.sam is not None and self.accumulate > 1:
            raise ValueError("sam takes every step twice on one batch; it needs accumulate=1")
        if self.sam is not None and self.precision == "16":
            raise ValueError("sam cannot measure the scaled gradients of precision=16; use bf16")
        if self.compile and (self.deep_supervision is not None or self.checkpoint_gradients):
            raise ValueError("deep_supervision and checkpoint_gradients look into the network; they need compile=false")
        if self.monitor == "val/loss" and not self.validation_loss:
            raise ValueError("monitor=val/loss is only logged with validation_loss=true")
        return self

    @field_validator("precision", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value  # YAML reads 32 as a number


class FineTune(Section):
    """Starting from a trained model."""

    model: str | None = Field(
        default=None, description="Bundle folder, weight file, or 'default' for the shipped model"
    )
    freeze: tuple[str, ...] = Field(default=(), description="Parameter name prefixes that keep their values")
    matching_only: bool = Field(
        default=False, description="Take only the tensors whose names and shapes fit (another schema)"
    )


class Pseudo(Section):
    """Training on unlabelled pictures with a model's own answers."""

    images: tuple[Home, ...] = Field(default=(), description="Pictures or folders without labels")
    models: tuple[str, ...] = Field(
        default=(), description="Bundles that label them, averaged; the shipped model when empty"
    )
    weights: tuple[Positive, ...] = Field(default=(), description="Weight of each model; equal when empty")
    floor: Fraction = Field(default=0.9, description="Smallest mean probability at which a bone's answer is kept")
    min_bones: Annotated[int, Field(ge=1)] = Field(
        default=20, description="Pictures with fewer kept bones are left out"
    )
    weight: Annotated[float, Field(ge=0.0)] = Field(
        default=0.5, description="Share of the samples drawn, relative to the others"
    )


class Logging(Section):
    """Where figures go; CSV, TensorBoard and a log file are always written."""

    every: Count = Field(default=10, description="Steps between logged training figures")
    wandb: Literal["off", "offline", "online"] = Field(default="off", description="Weights & Biases")
    project: str = Field(default="ossa", description="Project name at Weights & Biases")

    @field_validator("wandb", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML 1.1 reads off as false


class CloserLook(Section):
    """Bones that a prediction looks at again, cut out and enlarged; the network should have seen them so."""

    bones: list[str] = Field(default=[], description="Which bones; the short ones (carpals, tarsals) when empty")
    size: Annotated[int, Field(ge=64, le=4096)] = Field(default=384, description="Longer side of the closer grid, px")
    margin: Annotated[float, Field(ge=0.0, le=4.0)] = Field(
        default=0.6, description="What is seen around the bones, as a share of their own extent"
    )


class RunConfig(Section):
    """A training run."""

    name: str = Field(default="run", description="Name of the run; its folder is OUTPUT/NAME-001, -002, ...")
    output: Home = Field(default=Path("runs"), description="Folder of the run folders")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default=1, description="Everything random follows from this number"
    )
    bones: str = Field(default="hand29", description="Bone schema by name, or a .toml file")
    data: Data = Field(default=Data(), description="Training data")
    folds: Folds = Field(default=Folds(), description="Cross-validation")
    model: Model = Field(default=Model(), description="The network")
    loss: dict[str, float | dict[str, float | str]] = Field(
        default={"bce": 0.5, "dice": 0.5},
        description="Weighted sum of losses: {bce: 0.5, dice: 0.5}, or {focal: {weight: 1, gamma: 2}}",
    )
    optimiser: Optimiser = Field(default=Optimiser(), description="Optimiser")
    scheduler: Scheduler = Field(default=Scheduler(), description="Learning-rate schedule")
    train: Train = Field(default=Train(), description="The training loop")
    finetune: FineTune = Field(default=FineTune(), description="Fine-tuning")
    pseudo: Pseudo | None = Field(default=None, description="Pseudo-labels")
    distil: Distil | None = Field(default=None, description="Learning from trained models' answers too")
    search: Search | None = Field(default=None, description="Search for good values of keys (Optuna)")
    closer: tuple[CloserLook, ...] = Field(
        default=(),
        description="Closer looks of the finished model, one or a list; train with data.phantoms.wrists or digits too",
    )
    shafts: bool = Field(default=False, description="The model follows radius and ulna to the film's end, as labels do")
    licence: str = Field(default="unknown", description="Licence of the finished models, told in their cards")
    logging: Logging = Field(default=Logging(), description="Figures and where they go")
    stages: tuple[dict[str, Any], ...] = Field(
        default=(),
        description="Runs one after the other, each from the last one's weights; each lists the keys that differ",
    )

    @field_validator("closer", mode="before")
    @classmethod
    def _one_or_several_looks(cls, value: Any) -> Any:
        return () if value is None else (value,) if isinstance(value, dict) else value

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not value or any(c in value for c in "/\\\0") or value.startswith("."):
            raise ValueError("name must be a plain folder name")
        return value

    @field_validator("loss")
    @classmethod
    def _some_loss(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not value:
            raise ValueError("loss needs at least one term, such as {bce: 0.5, dice: 0.5}")
        return value

    @model_validator(mode="after")
    def _has_data(self) -> RunConfig:
        if self.pseudo is not None and len(self.pseudo.weights) not in (0, max(1, len(self.pseudo.models))):
            raise ValueError("pseudo.weights needs one number per model of pseudo.models")
        if self.data.window is not None and self.model.architecture != "context":
            raise ValueError("data.window needs model.architecture 'context' (windows that see the whole picture)")
        if self.search is not None and (self.stages or self.train.devices * self.train.nodes > 1):
            raise ValueError("search goes with neither stages nor several devices; search the settings of one stage")
        whole = {
            "train.hard_share": self.train.hard_share < 1,
            "train.loss_stride": self.train.loss_stride is not None,
            "train.deep_supervision": self.train.deep_supervision is not None,
            "distil": self.distil is not None,
        }
        if self.data.window is not None and any(whole.values()):
            found = ", ".join(key for key, asked in whole.items() if asked)
            raise ValueError(f"data.window trains on windows; {found} need whole pictures")
        if self.data.window is not None and self.data.window.size > self.data.size:
            raise ValueError(
                f"data.window.size={self.data.window.size} is larger than the grid, data.size={self.data.size}"
            )
        return self
