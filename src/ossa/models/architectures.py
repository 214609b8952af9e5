"""Networks by name: ``build("unet", classes=29, encoder="efficientnet-b3")``.

Every network takes grey input (N, 1, H, W), H and W multiples of its ``multiple``, and gives logits
(N, classes, H / stride, W / stride): the head's own resolution, as full-size logits would dominate the
cost of a step and the decoder of ossa.segmentation.decode interpolates anyway.
A new architecture is one function with the decorator ``architecture("name")``; its keyword arguments
are its options in a run file.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from ossa.config import check_arguments, unknown_name
from ossa.errors import BundleError, ConfigError, MissingExtraError, OssaError
from ossa.models._sizes import check_size
from ossa.models._torchvision import ensure_torchvision, repair_torchvision
from ossa.models.adapters import TorchvisionBody, TransformersBody, UperNetBody, grey_first
from ossa.models.pooled_norm import one_value_norms
from ossa.models.probe import probe, side_of

#: What a builder gets: number of classes, input channels, whether to load ImageNet weights, then its options.
Builder = Callable[..., nn.Module]

#: Name -> builder.
ARCHITECTURES: dict[str, Builder] = {}


def architecture(*names: str) -> Callable[[Builder], Builder]:
    """Register a builder under ``names``; one that needs its own name takes a parameter ``name``."""

    def register(builder: Builder) -> Builder:
        ARCHITECTURES.update(dict.fromkeys(names, builder))
        return builder

    return register


class Network(nn.Module):
    """A network of any library with one contract.

    ``stride``: logits are 1/stride of the input. ``multiple``: H and W must be multiples of it.
    ``name`` and ``options`` build it again.
    """

    def __init__(
        self, body: nn.Module, name: str, options: Mapping[str, Any], multiple: int, rgb: bool = False
    ) -> None:
        super().__init__()
        self.body = body
        self.name = name
        self.options = dict(options)
        self.multiple = multiple
        self.rgb = rgb
        self.stride = 1
        self.side: int | None = None  # side of the picture with which the stride is measured

    def forward(self, image: Tensor) -> Tensor:
        """Grey (N, C, H, W) to logits; ConfigError says what to pad to."""
        check_size(image, self.multiple, self.name)
        out: Tensor = self.body(image.expand(-1, 3, -1, -1) if self.rgb else image)
        return out


def build(name: str, classes: int, *, channels: int = 1, imagenet: bool = False, **options: Any) -> nn.Module:
    """The network called ``name`` with random weights, or with an encoder trained on ImageNet.

    The result has the attributes ``stride`` and ``multiple``. Raises ConfigError for an unknown name or option,
    MissingExtraError when its library is not installed, BundleError when ImageNet weights cannot be had.
    """
    if name not in ARCHITECTURES:
        raise unknown_name("architecture", name, sorted(ARCHITECTURES))
    builder = ARCHITECTURES[name]
    parameters = inspect.signature(builder).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        own = [p for p in parameters if p not in ("classes", "channels", "imagenet", "name")]
        check_arguments("architecture", name, options, own)
    given = {"name": name} if "name" in parameters else {}
    try:
        network = builder(classes=classes, channels=channels, imagenet=imagenet, **given, **options)
    except OssaError:
        raise
    except ImportError as error:
        raise MissingExtraError.of(f"the network '{name}'", "networks", error) from error
    except (TypeError, ValueError, LookupError, AssertionError, RuntimeError) as error:
        what = f"'{name}' cannot be built from its options"
        raise ConfigError(what, found=f"{options}: {type(error).__name__}: {str(error).splitlines()[0]}") from error
    if isinstance(network, Network):
        # Weights made for RGB stay so: the network is built again with three input channels.
        network.options = {**options, "rgb": True} if network.rgb else dict(options)
        one_value_norms(network)
        network.stride = side_of(network) // int(probe(network, channels).shape[-1])
    return network


def no_imagenet(name: str, imagenet: bool) -> None:
    """Raise ConfigError when ImageNet weights are asked of a network that has none."""
    if imagenet:
        raise ConfigError(
            f"there are no ImageNet weights for '{name}'", remedy="Use model.weights=null or a weight file"
        )


def fetched(what: str, load: Callable[[], nn.Module]) -> nn.Module:
    """``load()``, whose failure to reach the network becomes one clear BundleError."""
    try:
        return load()
    except OssaError:
        raise
    except Exception as error:  # urllib, requests, httpx and the hub each raise their own
        raise BundleError(
            f"the ImageNet weights of '{what}' could not be had",
            found=(str(error).strip().splitlines() or [type(error).__name__])[0][:160],
            remedy="They are downloaded; go online, or set model.weights to a local file or null",
        ) from error


# --- ossa's own ----------------------------------------------------------------------------------


@architecture("compact")
def _compact(
    classes: int,
    channels: int,
    imagenet: bool,
    widths: Sequence[int] = (32, 48, 96, 160, 192),
    head: int = 48,
    depth: int = 4,
    inputs: int | None = None,
) -> nn.Module:
    from ossa.models.compact import CompactNet

    no_imagenet("compact", imagenet)
    if len(widths) != 5 or min(widths, default=0) < 1:
        raise ConfigError(
            "'compact' has five levels", found=f"widths={list(widths)}", expected="five numbers of channels, 1 or more"
        )
    return CompactNet(classes=classes, widths=tuple(widths), head=head, depth=depth, inputs=inputs or channels)


@architecture("context")
def _context(
    classes: int,
    channels: int,
    imagenet: bool,
    coarse: Mapping[str, Any] | None = None,
    fine: Mapping[str, Any] | None = None,
    scale: int = 4,
    features: int = 8,
) -> nn.Module:
    from ossa.models.context import ContextNet

    if channels != 1:
        raise ConfigError("'context' takes grey input", found=f"{channels} channels")
    parts = {"coarse": dict(coarse or {"architecture": "compact"}), "fine": dict(fine or {"architecture": "compact"})}
    whole = _part(parts["coarse"], classes, 1, imagenet and parts["coarse"].get("architecture") != "compact")
    near = _part(parts["fine"], classes, 1 + features, imagenet and parts["fine"].get("architecture") != "compact")
    return ContextNet(whole, near, classes, scale=scale, features=features)


def _part(values: dict[str, Any], classes: int, channels: int, imagenet: bool) -> nn.Module:
    options = {key: value for key, value in values.items() if key != "architecture"}
    return build(str(values.get("architecture", "compact")), classes, channels=channels, imagenet=imagenet, **options)


# --- segmentation-models-pytorch -----------------------------------------------------------------

#: Decoders of smp. Their heads' up-sampling is switched off, so that logits keep the decoder's stride.
SMP = (
    *("unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet"),
    *("deeplabv3", "deeplabv3plus", "pan", "upernet", "segformer", "dpt"),
)


@architecture(*SMP)
def _smp(
    name: str, classes: int, channels: int, imagenet: bool, encoder: str | None = None, **options: Any
) -> nn.Module:
    ensure_torchvision()
    import segmentation_models_pytorch as smp

    model = smp.MODEL_ARCHITECTURES_MAPPING[name]
    own = [p for p in inspect.signature(model.__init__).parameters if p not in _SMP_FIXED]
    check_arguments("architecture", name, options, ["encoder", *own])
    chosen = _smp_encoder(encoder or ("tu-vit_base_patch16_224.augreg_in21k" if name == "dpt" else "resnet34"))
    if "upsampling" in own and name != "dpt":
        options.setdefault("upsampling", 1)

    def make() -> nn.Module:
        weights = "imagenet" if imagenet else None
        made: nn.Module = model(
            encoder_name=chosen, encoder_weights=weights, in_channels=channels, classes=classes, **options
        )
        return made

    body: Any = fetched(chosen, make) if imagenet else make()
    multiple = max(32, int(getattr(getattr(body, "encoder", None), "output_stride", 32)))
    body.requires_divisible_input_shape = False  # ours is checked first, and traces cleanly
    network = Network(body, name, {}, multiple)
    # PAN pools three times below stride 16; a vision transformer's positions are made for one size.
    network.side = {"pan": 128, "dpt": 224}.get(name)
    return network


_SMP_FIXED = ("self", "encoder_name", "encoder_weights", "in_channels", "classes", "aux_params", "kwargs", "activation")


def _smp_encoder(name: str) -> str:
    """smp's own encoder of this name, or timm's with the prefix ``tu-``."""
    import timm
    from segmentation_models_pytorch.encoders import get_encoder_names

    own = list(get_encoder_names())
    if name in own:
        return name
    plain = name.removeprefix("tu-")
    if timm.is_model(plain.split(".")[0]):
        return "tu-" + plain
    near = get_close_matches(plain, [*own, *timm.list_models()], n=1)
    raise ConfigError(
        f"no encoder is called '{name}'",
        expected=f"perhaps '{near[0]}'" if near else "an encoder of segmentation-models-pytorch or timm",
    )


# --- torchvision ---------------------------------------------------------------------------------


@architecture("fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101")
def _torchvision(name: str, classes: int, channels: int, imagenet: bool) -> nn.Module:
    ensure_torchvision()
    from torchvision.models import get_model

    def make() -> nn.Module:
        backbone = "IMAGENET1K_V1" if imagenet else None
        made: nn.Module = get_model(name, weights=None, weights_backbone=backbone, num_classes=classes, aux_loss=False)
        return made

    model: Any = fetched(name, make) if imagenet else make()
    model.backbone.conv1 = grey_first(model.backbone.conv1, channels)
    return Network(TorchvisionBody(model), name, {}, 32)


# --- transformers --------------------------------------------------------------------------------

#: (hidden sizes, depths, decoder width) of MiT-B0 to B5: Xie et al., SegFormer, NeurIPS 2021, table 6.
SEGFORMER = {
    "segformer_b0": ([32, 64, 160, 256], [2, 2, 2, 2], 256),
    "segformer_b1": ([64, 128, 320, 512], [2, 2, 2, 2], 256),
    "segformer_b2": ([64, 128, 320, 512], [3, 4, 6, 3], 768),
    "segformer_b3": ([64, 128, 320, 512], [3, 4, 18, 3], 768),
    "segformer_b4": ([64, 128, 320, 512], [3, 8, 27, 3], 768),
    "segformer_b5": ([64, 128, 320, 512], [3, 6, 40, 3], 768),
}


@architecture(*SEGFORMER)
def _segformer(name: str, classes: int, channels: int, imagenet: bool, rgb: bool = False, **options: Any) -> nn.Module:
    repair_torchvision()
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    own = [p for p in vars(SegformerConfig()) if not p.startswith("_")]
    check_arguments("architecture", name, options, own)
    sizes, depths, width = SEGFORMER[name]
    values = {"hidden_sizes": sizes, "depths": depths, "decoder_hidden_size": width, **options}
    make_config: Any = SegformerConfig
    config = make_config(num_labels=classes, num_channels=3 if imagenet or rgb else channels, **values)
    if not imagenet:
        return Network(TransformersBody(SegformerForSemanticSegmentation(config)), name, {}, 32, rgb=rgb)
    hub = f"nvidia/mit-{name.removeprefix('segformer_')}"
    body = fetched(hub, lambda: SegformerForSemanticSegmentation.from_pretrained(hub, config=config))
    return Network(TransformersBody(body), name, {}, 32, rgb=True)


@architecture("upernet_convnext", "upernet_swin")
def _upernet(
    name: str,
    classes: int,
    channels: int,
    imagenet: bool,
    hidden_size: int = 256,
    backbone: Mapping[str, Any] | None = None,
    rgb: bool = False,
) -> nn.Module:
    repair_torchvision()
    from transformers import ConvNextConfig, SwinConfig, UperNetConfig, UperNetForSemanticSegmentation

    kind = ConvNextConfig if name == "upernet_convnext" else SwinConfig
    given = {
        "num_channels": 3 if imagenet or rgb else channels,
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    }
    inner = kind(**{**given, **dict(backbone or {})})
    for key, value in list(vars(inner).items()):
        if isinstance(value, tuple):  # UperNet cannot copy a configuration with tuples
            setattr(inner, key, list(value))
    make_config: Any = UperNetConfig
    config = make_config(
        backbone_config=inner,
        num_labels=classes,
        hidden_size=hidden_size,
        use_auxiliary_head=False,
        pool_scales=[1, 2, 3, 6],
    )
    model = UperNetForSemanticSegmentation(config)
    if imagenet:
        hub = "facebook/convnext-tiny-224" if name == "upernet_convnext" else "microsoft/swin-tiny-patch4-window7-224"
        model.backbone = fetched(hub, lambda: type(model.backbone).from_pretrained(hub, config=inner))
    # UperNet interpolates to the picture's size; its decode head gives stride 4.
    return Network(UperNetBody(model), name, {}, 32, rgb=imagenet or rgb)


# --- timm ----------------------------------------------------------------------------------------

#: Default backbone of each family; ``backbone`` takes any other of timm's that gives feature maps.
TIMM = {"hrnet": "hrnet_w18", "convnext": "convnext_tiny", "swin": "swin_tiny_patch4_window7_224", "timm": "resnet18"}


@architecture(*TIMM)
def _timm(
    name: str,
    classes: int,
    channels: int,
    imagenet: bool,
    backbone: str | None = None,
    width: int = 128,
    **options: Any,
) -> nn.Module:
    ensure_torchvision()
    import timm

    from ossa.models.light_head import PyramidNet

    chosen = backbone or TIMM[name]
    if not timm.is_model(chosen.split(".")[0]):
        near = get_close_matches(chosen, timm.list_models(), n=1)
        raise ConfigError(
            f"timm has no backbone '{chosen}'",
            expected=f"perhaps '{near[0]}'" if near else "a name of timm.list_models()",
        )
    if chosen.startswith("swin"):
        options.setdefault("strict_img_size", False)

    def make() -> nn.Module:
        made: nn.Module = timm.create_model(
            chosen, pretrained=imagenet, features_only=True, in_chans=channels, **options
        )
        return made

    body = fetched(chosen, make) if imagenet else make()
    return Network(PyramidNet(body, classes, width), name, {}, 32)
