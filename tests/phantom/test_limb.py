"""A second body part through nothing but a schema and a mesh folder: the foot, from meshes made here and real ones."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ossa.errors import AnatomyError, SchemaError
from ossa.phantom import limb
from ossa.phantom.injury import broken
from ossa.phantom.mesh import Mesh, ellipsoid
from ossa.phantom.meshes import meshes
from ossa.phantom.options import FLAT, WIDE, PhantomOptions
from ossa.phantom.part import Part, part_of
from ossa.phantom.pose import Pose, place
from ossa.phantom.scene import generate, render
from ossa.phantom.skeleton import Anatomy
from ossa.phantom.ways import settled
from ossa.pipeline.phantom import make_phantoms
from ossa.schema import BoneSchema, load_schema

CALM = PhantomOptions(oblique_views=0, wrist_only=0, turned=0, clutter=0, fill=(0.7, 0.75), aspect=(0.95, 1.0), young=0)
REAL = Path(os.environ.get("OSSA_FOOT", Path(__file__).parents[3] / "shared" / "anatomy" / "bodyparts3d" / "right"))

#: Middle and half axes in mm of every bone of a schematic right foot, in the axes of its meshes: x to digit 1's side, y
#: up, z to the toes.
SHORT = {
    "talus": ((0, 0, 0), (16, 14, 24)), "calcaneus": ((-6, -26, -18), (15, 15, 34)),
    "navicular": ((8, -6, 30), (15, 10, 7)), "cuboid": ((-16, -20, 34), (11, 10, 16)),
    "medial-cuneiform": ((18, -14, 48), (8, 12, 11)), "intermediate-cuneiform": ((6, -10, 45), (7, 9, 8)),
    "lateral-cuneiform": ((-5, -12, 47), (7, 9, 10)), "tibia": ((2, 118, -8), (16, 105, 16)),
    "fibula": ((-26, 105, -12), (8, 105, 8)),
}  # fmt: skip


def part() -> Part:
    return part_of(load_schema("foot28"))


def foot(schema: BoneSchema) -> dict[str, Mesh]:
    """Ellipsoids where a foot has its bones."""
    out = {}
    for name, (middle, half) in SHORT.items():
        mesh = ellipsoid((float(half[0]), float(half[1]), float(half[2])), 14)
        out[name] = Mesh(mesh.vertices + np.array(middle, float), mesh.faces)
    for digit, names in part_of(schema).digits.items():
        at, x, wide = 58.0, 20.0 - 11.0 * (digit - 1), 8.5 if digit == 1 else 5.5
        for name, length in zip(names, (66.0, 26.0, 12.0, 10.0) if digit > 1 else (60.0, 32.0, 24.0), strict=True):
            mesh = ellipsoid((wide, wide, length / 2), 14)
            out[name] = Mesh(mesh.vertices + np.array([x, -20.0, at + length / 2]), mesh.faces)
            at += length + 1.5
    return out


def write_stl(path: Path, mesh: Mesh) -> None:
    record = np.zeros(len(mesh.faces), [("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("attribute", "<u2")])
    record["corner"] = mesh.vertices[mesh.faces]
    path.write_bytes(bytes(80) + len(mesh.faces).to_bytes(4, "little") + record.tobytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    schema = load_schema("foot28")
    out = tmp_path_factory.mktemp("foot")
    for name, mesh in foot(schema).items():
        code = schema.bone(name).fma_right
        write_stl(out / (f"{name}.stl" if name != "talus" else f"X1_FMA{code}_Right_talus.stl"), mesh)
    return out


def test_a_mesh_folder_gives_every_bone_a_joint_and_a_place(folder: Path) -> None:
    anatomy = limb.load_limbs([folder], part())
    assert {b.bone for b in anatomy.bodies} == set(part().schema.names)
    frames = place(anatomy, Pose())
    middles = {b.bone: frames[b.bone][0] @ b.mesh.vertices.mean(axis=0) + frames[b.bone][1] for b in anatomy.bodies}
    talus = middles["talus"]
    for name, mesh in foot(part().schema).items():
        if name not in part().shafts:  # x stays, the toes point to -y, up is z
            x, y, z = mesh.vertices.mean(axis=0) - SHORT["talus"][0]
            np.testing.assert_allclose(middles[name] - talus, (x, -z, y), atol=0.6)
    # The leg leans back: the knee lies behind the heel, the ankle where it was.
    tibia = next(b for b in anatomy.bodies if b.bone == "tibia").mesh.vertices
    assert tibia[:, 1].max() > 100
    assert np.linalg.norm(middles["tibia"] - talus) < 130


def test_a_bent_joint_moves_what_hangs_on_it_and_nothing_else(folder: Path) -> None:
    anatomy = limb.load_limbs([folder], part())
    rest, bent = place(anatomy, Pose()), place(anatomy, Pose({"metatarsal-2:x": 0.3}))
    moved = {b for b in rest if not np.allclose(rest[b][0], bent[b][0])}
    assert moved == {"metatarsal-2", "toe-2-proximal", "toe-2-middle", "toe-2-distal"}


def test_phantoms_of_a_foot_show_all_its_bones_and_are_the_same_again(folder: Path) -> None:
    anatomy = meshes([folder], 256, part())
    for seed in range(3):
        radiograph, truth = generate(seed, 256, CALM, anatomy)
        assert truth.schema.name == "foot28"
        assert set(truth.regions) == set(part().schema.names)
        again, _ = generate(seed, 256, CALM, anatomy)
        np.testing.assert_array_equal(radiograph.pixels, again.pixels)
        bone = truth.bits()[0] > 0
        assert radiograph.pixels[bone].mean() > radiograph.pixels[~bone].mean() + 20


def test_a_left_foot_is_a_mirrored_right_one(folder: Path) -> None:
    anatomy = meshes([folder], 160, part())
    great: dict[str | None, set[bool]] = {}
    for seed in range(10):
        radiograph, truth = generate(seed, 160, CALM, anatomy)
        first, last = truth.get("metatarsal-1"), truth.get("metatarsal-5")
        assert first is not None
        assert last is not None
        great.setdefault(radiograph.side, set()).add(first.left > last.left)
    assert great == {"L": {True}, "R": {False}}  # seen from above, a right foot's great toe lies on the left


@pytest.mark.parametrize("seed", range(4))
def test_films_of_a_wide_world_come_out_whole(folder: Path, seed: int) -> None:
    picture, scene = render(seed, 120 + 20 * seed, WIDE, meshes([folder], 120, part()))
    assert picture.shape == scene.bits.shape
    assert scene.drawn.part.schema.name == "foot28"
    assert set(scene.drawn.bones) <= set(part().schema.names)
    for layer in (scene.cortex, scene.spongy, scene.soft, scene.metal):
        assert np.isfinite(layer).all()
        assert layer.min() >= 0


def test_what_nothing_is_known_of_is_left_out_and_told(folder: Path, tmp_path: Path) -> None:
    assert settled(FLAT, part()) == replace(FLAT, bent_wrists=0.0, thumb_across=0.0)
    assert settled(WIDE, part_of(load_schema())) is WIDE
    assert settled(WIDE, part()).variants == 0.0
    made = make_phantoms(tmp_path / "f", 2, size=128, anatomies=[folder], schema=load_schema("foot28"), processes=1)
    assert set(made.without) == {"bent_wrists", "thumb_across"}
    record = json.loads((tmp_path / "f" / "phantoms.json").read_text())
    assert record["schema"] == "foot28"
    assert record["options"]["bent_wrists"] == 0
    assert "variants" not in record["options"]  # so that folders go on that were begun before there were any
    again = make_phantoms(tmp_path / "f", 2, size=128, anatomies=[folder], schema=load_schema("foot28"), processes=1)
    assert (again.made, again.kept) == (0, 2)


def test_faulty_folders_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match="no bone meshes"):
        limb.load_limbs([tmp_path], part())
    for path in folder.iterdir():
        if path.stem != "cuboid":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(AnatomyError, match="no mesh for cuboid"):
        limb.load_limbs([tmp_path], part())
    (tmp_path / "cuboid.stl").write_bytes((folder / "tibia.stl").read_bytes())
    (tmp_path / "FMA24528.stl").write_bytes((folder / "tibia.stl").read_bytes())
    with pytest.raises(AnatomyError, match="cuboid has several meshes"):
        limb.load_limbs([tmp_path], part())
    with pytest.raises(AnatomyError, match="not blended"):
        limb.load_limbs([folder, folder], part())
    with pytest.raises(AnatomyError, match="no built-in bones"):
        meshes([], 256, part())


def changed(**keys: object) -> BoneSchema:
    schema = load_schema("foot28")
    return replace(schema, phantom={**schema.phantom, **keys})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"parents": {**load_schema("foot28").phantom["parents"], "talus": "tibia"}}, "do not hang all bones on one"),
        ({"parents": {"tibia": "talus"}}, "do not hang all bones on one"),
        ({"parents": {"shin": "talus"}}, "no bone of schema 'foot28' is called 'shin'"),
        ({"axes": "x z y"}, "no right-handed axes"),
        ({"axes": "x"}, "no right-handed axes"),
        ({"middle_digit": 6}, "middle_digit"),
        ({"extent": -1}, r"phantom\.extent"),
        ({"colour": "red"}, r"phantom\.colour"),
        ({"own": "os.path"}, r"phantom\.own"),
    ],
)
def test_a_section_with_a_mistake_is_told(folder: Path, keys: dict[str, object], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        limb.load_limbs([folder], part_of(changed(**keys)))


@pytest.mark.parametrize("room", ["labels", "elsewhere", "phantom"])
def test_a_room_that_makes_no_phantoms_is_told(room: str) -> None:
    with pytest.raises(SchemaError, match=rf"phantom\.own names no room.*{room}"):
        settled(FLAT, part_of(changed(own=room)))


def test_a_schema_that_says_nothing_of_phantoms_is_told() -> None:
    with pytest.raises(SchemaError, match=r"\[phantom\]"):
        part_of(replace(load_schema("foot28"), phantom={}))


def test_feet_among_the_finders_sprites_are_no_hands(folder: Path) -> None:
    from ossa.hand.phantom.feet import foot_sprite, load_foot
    from ossa.hand.phantom.sprites import SIDE

    foot = load_foot(folder)
    drawn = [foot_sprite(np.random.default_rng(seed), foot) for seed in range(8)]
    for sprite in drawn:
        assert sprite.mu.shape == (SIDE, SIDE)
        assert np.isfinite(sprite.mu).all()
        assert not sprite.is_hand
        assert 0.02 < (sprite.mu > 0.2).mean() < 0.98
    assert len({round(float(sprite.mu.mean()), 6) for sprite in drawn}) == len(drawn)
    again = foot_sprite(np.random.default_rng(3), foot)
    assert (again.mu == drawn[3].mu).all()


def test_thick_bone_is_thinned_and_thin_bone_is_not() -> None:
    thin, thick = np.full((1, 1), 0.5, np.float32), np.full((1, 1), 200.0, np.float32)
    cortex, spongy = limb.saturated(thin, thin, 35.0)
    assert float(cortex[0, 0] + spongy[0, 0]) == pytest.approx(1.0, abs=0.02)
    cortex, spongy = limb.saturated(thick, thick, 35.0)
    assert float(cortex[0, 0] + spongy[0, 0]) == pytest.approx(35.0, abs=0.01)


def test_flesh_surrounds_bone_and_runs_on_where_bone_leaves_the_picture() -> None:
    bone = np.zeros((120, 100), bool)
    bone[40:, 40:60] = True
    flesh = limb.flesh(bone, (6.0, 6.0), 1.0, np.random.default_rng(0))
    assert flesh.shape == bone.shape
    assert flesh[bone].min() > 5
    assert flesh[:25].max() < 0.5
    assert flesh[-1, 50] == pytest.approx(flesh[80, 50], rel=0.25)


@pytest.mark.skipif(not REAL.is_dir(), reason="no meshes of a foot")
def test_the_meshes_of_bodyparts3d_give_28_closed_bones() -> None:
    anatomy: Anatomy = limb.load_limbs([REAL], part())
    volumes = {b.bone: b.mesh.volume() for b in anatomy.bodies}
    assert len(volumes) == 28
    assert min(volumes.values()) > 80
    assert volumes["calcaneus"] > volumes["talus"] > volumes["navicular"] > volumes["intermediate-cuneiform"]
    _, truth = generate(1, 256, CALM, anatomy.lightened(1.2))
    assert len(truth) == 28


def test_a_foot_among_phantoms_of_hands_shows_nothing_to_be_found(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from ossa.config import PhantomKeys
    from ossa.training.phantoms import phantom_sets, stored_phantoms

    hand = load_schema("hand29")
    keys = PhantomKeys.model_validate({"others": {"anatomy": folder, "share": 0.5}, "options": {"clutter": 0}})
    plain = keys.model_copy(update={"others": None})
    kind = phantom_sets(keys, 64)[0]
    mixed = stored_phantoms(keys, kind, hand, tmp_path, 0, 12)
    alone = stored_phantoms(plain, kind, hand, tmp_path, 0, 12)
    assert mixed.folder != alone.folder
    feet = 0
    for k in range(12):
        one = mixed.of_seed(k)
        assert one.bits is not None
        assert one.annotated == frozenset(hand.names), "absent bones are known to be absent"
        if one.bits.any():
            np.testing.assert_array_equal(one.image, alone.of_seed(k).image)
            continue
        feet += 1
        np.testing.assert_array_equal(one.image, generate(k, 64, kind.options, meshes([folder], 64, part()))[0].pixels)
        np.testing.assert_array_equal(one.image, mixed.of_seed(k).image)  # from its file
    assert 2 <= feet <= 10


def test_a_break_where_a_coarse_mesh_has_no_corner_leaves_every_bone_where_it_can_be(folder: Path) -> None:
    anatomy = meshes([folder], 256, part())
    assert anatomy is not None
    for seed in range(40):
        rng = np.random.default_rng(seed)
        hurt, pose = broken(anatomy, Pose(), "tibia", rng)
        assert all(np.isfinite(body.mesh.vertices).all() for body in hurt.bodies)
        assert np.isfinite(list(pose.turn.values())).all()
