"""The widget: finds the bones of an image layer, and writes a layer of bones as a label.

magicgui makes the fields of the annotations, and resolves those in quotes itself: they are not all strings here.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import MissingExtraError

if TYPE_CHECKING:
    import napari.layers
    import napari.types
    from magicgui.widgets import Container


def find_bones(image: "napari.layers.Image", model: str = "", fast: bool = False) -> "napari.types.LayerDataTuple":
    """The bones of ``image`` as a new layer; ``model``: a bundle's folder or file, "" for the shipped one."""
    from ossa.pipeline.layers import found_in

    layer, notes = found_in(
        image.data,
        image.name,
        image.metadata,
        rgb=bool(image.rgb),
        scale=image.scale,
        model=model.strip() or None,
        fast=fast,
    )
    _say(notes)
    # napari puts data into a layer of the same name, where corrections may be waiting to be written.
    layer[1]["name"] = free_name(layer[1]["name"], _taken())
    return layer


def write_bones(bones: "napari.layers.Shapes", path: Path) -> None:
    """Write a layer of bones, corrected or not, as a label file (JSON) that every command of ossa reads."""
    from ossa.pipeline.layers import write_shapes

    count = write_shapes(path, bones.data, bones.shape_type, bones.features, bones.metadata)
    _say([f"{count} bones -> {path}"])


def bones_widget() -> "Container":
    """Both, one below the other."""
    try:
        from magicgui import magicgui
        from magicgui.widgets import Container
    except ImportError as error:
        raise MissingExtraError.of("the napari plugin", "napari", error) from error
    find = magicgui(
        find_bones,
        call_button="Find the bones",
        image={"label": "Image"},
        model={"label": "Model", "tooltip": "Folder of a bundle or a run, or a packed model; empty: the shipped one"},
        fast={"label": "Fast", "tooltip": "One look, none closer, and no judge"},
    )
    write = magicgui(
        write_bones,
        call_button="Write them",
        bones={"label": "Bones"},
        path={"label": "To", "mode": "w", "filter": "*.json"},
    )
    return Container(widgets=[find, write], labels=False, name="Bones of the hand")


def free_name(name: str, taken: Collection[str]) -> str:
    """``name``, or "name 2", "name 3", ... where that is taken.

    >>> free_name("bones", {"bones", "bones 2"})
    'bones 3'
    """
    number, out = 1, name
    while out in taken:
        number += 1
        out = f"{name} {number}"
    return out


def _taken() -> set[str]:
    """The names of the layers that are there."""
    import napari

    viewer = napari.current_viewer()
    return set() if viewer is None else {layer.name for layer in viewer.layers}


def _say(notes: list[str]) -> None:
    from napari.utils.notifications import show_info

    for note in notes:
        show_info(note)
