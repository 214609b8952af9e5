"""Names of picture files: the one list of the package."""

from __future__ import annotations

#: Endings in lower case. A file in another format that has such an ending is refused when it is read; a DICOM file
#: often has none of them and is known by its content.
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom", ".ima"})

#: What ``ossa predict`` and ``ossa measure`` add to a name; such pictures are results, not radiographs.
OVERLAY_SUFFIX = "_overlay.png"
MEASURED_SUFFIX = "_measured.png"

#: What is added to a picture's name for the folder of its masks, one PNG per bone: these are labels, no radiographs.
MASKS_SUFFIX = "_masks"
