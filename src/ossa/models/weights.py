"""Reading weight files without running code in them, and fitting them to a network."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ossa.errors import BundleError, InputError

#: Prefixes that training frameworks put before a network's own parameter names.
_PREFIXES = ("module.", "network.", "model.", "_orig_mod.", "body.")


#: Largest header of a .safetensors file, in bytes. The names and shapes of 10,000 tensors take about one MB.
_MAX_HEADER = 20_000_000


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a .safetensors file or a .pth/.pt/.ckpt file (weights only).

    Half-precision values become float32. Raises BundleError naming the file.
    """
    where = Path(path)
    if not where.is_file():
        raise BundleError("there is no such weight file", path=where, expected="a .safetensors or .pth file")
    found = read_tensors(where, ("state_dict", "model_state_dict", "model"))
    return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}


def read_tensors(path: Path, wrappers: Sequence[str]) -> dict[str, Tensor]:
    """Names and tensors of a .safetensors or .pth file as they are, on the CPU; no code in it is ever run.

    Of ``wrappers`` each key that holds a dict is taken off in turn. Raises BundleError naming the file.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            _check_header(path)
            found: Any = load_file(path)
        else:
            _check_archive(path)
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BundleError("cannot be read", path=path, found=error.strerror or str(error)) from error
    except BundleError:
        raise
    except Exception as error:  # the readers raise pickle, zip, safetensors and runtime errors
        raise BundleError(
            "is not a plain weight file that can be read safely",
            path=path,
            found=(str(error).strip().splitlines() or [type(error).__name__])[0][:200],
            expected="a .safetensors file, or a .pth file that holds tensors only",
            remedy="Download it again, or save it as safetensors where it was made; no Python objects are opened",
        ) from error
    for key in wrappers:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    tensors = {str(k): v for k, v in found.items() if isinstance(v, Tensor)} if isinstance(found, dict) else {}
    if not tensors:
        raise BundleError("holds no weights", path=path, found=type(found).__name__, expected="names and tensors")
    for name, tensor in tensors.items():
        # One number that is said to be a billion would be a billion in memory at the first step.
        if tensor.layout != torch.strided or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            found = f"'{name:.40}' of shape {tuple(tensor.shape)}"
            raise BundleError("a tensor is larger than what is stored of it", path=path, found=found)
    return tensors


def _check_header(path: Path) -> None:
    """BundleError where the header of a .safetensors file (8 bytes of length, then JSON) cannot be one."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    size = path.stat().st_size
    # A file too short for a header is no such file at all, which its reader says.
    if size >= 8 and length > min(_MAX_HEADER, size - 8):
        raise BundleError(
            "the header of the weight file is too long",
            path=path,
            found=f"{length:,} of {size:,} bytes",
            expected=f"at most {_MAX_HEADER:,}, inside the file",
        )


def _check_archive(path: Path) -> None:
    """BundleError where a .pth file is a packed archive: torch stores tensors as they are, a bomb does not."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        packed = [entry for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        largest = max(packed, key=lambda entry: entry.file_size)
        raise BundleError(
            "the weight file is packed",
            path=path,
            found=f"'{largest.filename}' would unpack to {largest.file_size:,} bytes",
            expected="an archive as torch.save writes it",
        )


def load_weights(network: nn.Module, path: str | os.PathLike[str]) -> int:
    """Put a file's tensors into ``network``; every tensor must fit. Returns how many were set.

    A file that holds only an encoder is put into the network's encoder. Raises BundleError when names or shapes
    differ, saying which.
    """
    given = read_weights(path)
    for target in _targets(network):
        own = target.state_dict()
        fitted = _renamed(given, own)
        if set(fitted) == set(own):
            wrong = [k for k in own if own[k].shape != fitted[k].shape]
            if wrong:
                raise _misfit(path, own, fitted, wrong)
            target.load_state_dict(fitted)
            return len(fitted)
    own = network.state_dict()
    fitted = _renamed(given, own)
    raise BundleError(
        "the weights are of another architecture",
        path=path,
        found=f"{len(set(fitted) & set(own))} of {len(own)} names in common, such as '{next(iter(given))}'",
        expected=f"names such as '{next(iter(own))}'",
        remedy="Build the network these weights were made for, or set finetune.matching_only=true",
    )


def load_matching(network: nn.Module, path: str | os.PathLike[str]) -> tuple[int, int]:
    """Put the tensors whose name and shape fit into ``network``; (set, all). Raises BundleError when none fits."""
    own = network.state_dict()
    fitted = {k: v for k, v in _renamed(read_weights(path), own).items() if k in own and own[k].shape == v.shape}
    if not fitted:
        raise BundleError("no tensor of the file fits the network", path=path, expected=f"such as '{next(iter(own))}'")
    network.load_state_dict(fitted, strict=False)
    return len(fitted), len(own)


def _targets(network: nn.Module) -> list[nn.Module]:
    body = getattr(network, "body", None)
    found = [network, body, getattr(body, "encoder", None), getattr(body, "backbone", None)]
    return [module for module in found if isinstance(module, nn.Module)]


def _renamed(given: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """``given`` under the prefix that makes most names those of ``own``."""
    candidates = [given]
    for prefix in _PREFIXES:
        if sum(name.startswith(prefix) for name in given) * 2 > len(given):
            cut = {n.removeprefix(prefix): v for n, v in given.items() if n.startswith(prefix)}
            candidates += [cut, *({inner + n: v for n, v in cut.items()} for inner in ("body.",))]
        candidates.append({prefix + name: value for name, value in given.items()})
    return max(candidates, key=lambda names: len(set(names) & set(own)))


def _misfit(
    path: str | os.PathLike[str], own: dict[str, Tensor], given: dict[str, Tensor], wrong: list[str]
) -> InputError:
    first = wrong[0]
    return BundleError(
        "the weights are of another bone schema or another size of network",
        path=path,
        found=f"'{first}' of shape {tuple(given[first].shape)}"
        + (f" (and {len(wrong) - 1} more)" if wrong[1:] else ""),
        expected=f"{tuple(own[first].shape)}",
        remedy="Set finetune.matching_only=true to take only the tensors that fit",
    )
