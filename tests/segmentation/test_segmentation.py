"""Regions and segmentations: planes, bit planes and boxes say the same, and what does not fit is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers_known import known
from ossa.errors import LabelError, SchemaError
from ossa.schema import Bone, BoneSchema, load_schema
from ossa.segmentation.segmentation import Region, Segmentation, bit_plane_count

SCHEMA = load_schema()


def schema_of(count: int) -> BoneSchema:
    bones = tuple(Bone(f"b{i}", f"bone {i}", "carpal", None, (i, 0, 0), None, f"b{i}") for i in range(count))
    return BoneSchema(f"made{count}", f"{count} bones", bones)


@given(
    hnp.arrays(
        st.sampled_from([np.bool_, np.uint8, np.uint32, np.float32]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9) | st.sampled_from([(3, 16), (5, 24)]),
        elements=st.integers(0, 1),
    ),
    st.integers(0, 4),
    st.integers(0, 4),
)
@settings(deadline=None, max_examples=150)
def test_the_tight_box_holds_the_same_pixels(mask: np.ndarray, top: int, left: int) -> None:
    region = Region.tight(mask, top, left)
    if region is None:
        assert not mask.any()
        return
    full = np.pad(mask != 0, ((top, 1), (left, 2)))
    np.testing.assert_array_equal(region.plane(full.shape), full)
    assert region.area == full.sum()
    assert region.mask.dtype == np.bool_
    assert region.mask[0].any()
    assert region.mask[-1].any()
    assert region.mask[:, 0].any()
    assert region.mask[:, -1].any()
    assert (region.bottom, region.right) == (region.top + region.mask.shape[0], region.left + region.mask.shape[1])


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, ">u2", np.int16, np.int64, np.float64])
@pytest.mark.parametrize("width", [1, 7, 8, 64, 65])
def test_a_region_of_any_kind_of_numbers(dtype: str, width: int) -> None:
    """Rows of whole words and others, values beyond 1, other orders of bytes and axes; a negative zero is no bone."""
    plane = np.zeros((9, width), dtype)
    if plane.dtype.kind == "f":
        plane[8] = -0.0
    assert Region.tight(plane) is None
    plane[2, width // 2] = plane[5, 0] = 64
    for array in (plane, np.asfortranarray(plane), np.pad(plane, 1)[1:-1, 1:-1]):
        region = known(Region.tight(array))
        np.testing.assert_array_equal(region.plane(plane.shape), plane != 0)
        assert (region.top, region.left, region.mask.shape) == (2, 0, (4, width // 2 + 1))
    assert Region.tight(np.zeros((0, 8), dtype)) is Region.tight(np.zeros((8, 0), dtype)) is None


@given(st.sampled_from([1, 3, 32, 33, 40, 64, 65]), st.data())
@settings(deadline=None, max_examples=60)
def test_planes_and_bit_planes_come_back(count: int, data: st.DataObject) -> None:
    schema = schema_of(count)
    planes = data.draw(hnp.arrays(bool, (count, 6, 5)))
    found = Segmentation.from_planes(planes, schema)
    np.testing.assert_array_equal(found.planes(), planes)
    bits = found.bits()
    assert bits.dtype == np.uint32
    assert bits.shape == (bit_plane_count(schema), 6, 5)
    for i in range(count):  # bone i in bit i % 32 of plane i // 32
        for y in range(6):
            for x in range(5):
                assert bool(int(bits[i // 32, y, x]) >> (i % 32) & 1) == planes[i, y, x]
    np.testing.assert_array_equal(Segmentation.from_bits(bits, schema).planes(), planes)
    if count <= 32:
        np.testing.assert_array_equal(Segmentation.from_bits(bits[0], schema).planes(), planes)


def test_regions_stand_in_schema_order_and_absent_ones_are_empty() -> None:
    one = Region(0, 0, np.ones((2, 2), bool))
    found = Segmentation(SCHEMA, (4, 4), {"Ulna": one, "finger-1": one})
    assert list(found.regions) == ["finger-1", "Ulna"]
    assert len(found) == 2
    assert [name for name, _ in found] == ["finger-1", "Ulna"]
    assert found.get("Radius") is None
    assert not found.plane("Radius").any()
    assert found.plane("Ulna").sum() == 4


def test_what_does_not_fit_is_refused() -> None:
    one = Region(3, 0, np.ones((2, 2), bool))
    with pytest.raises(LabelError, match=r"'Ulna' leaves.*rows 3\.\.5"):
        Segmentation(SCHEMA, (4, 4), {"Ulna": one})
    with pytest.raises(LabelError):
        Segmentation(SCHEMA, (4, 4), {"Ulna": Region(-1, 0, one.mask)})
    with pytest.raises(SchemaError, match="Ulna"):
        Segmentation(SCHEMA, (9, 9), {"Ulnar": one})
    with pytest.raises(SchemaError, match="Ulna"):
        Segmentation(SCHEMA, (9, 9), {}).plane("Ulnar")
    with pytest.raises(SchemaError, match="29"):
        Segmentation.from_planes(np.zeros((28, 4, 4)), SCHEMA)
    for shape in ((2, 4, 4), (4,)):
        with pytest.raises(SchemaError, match="bit planes"):
            Segmentation.from_bits(np.zeros(shape, np.uint32), SCHEMA)
