"""Models as one file, and a run's folds as one model: the same answers, and everything that is wrong refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from helpers_models import MakeBundle
from ossa.bundle.bundle import Bundle, weights_file
from ossa.bundle.packed import is_packed
from ossa.errors import BundleError, ConfigError, OutputError
from ossa.inference.engine import open_engine
from ossa.inference.networks import Networks
from ossa.pipeline.bundle import pack_models
from ossa.schema import BoneSchema


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Path:
    """A finished run of three folds."""
    folder = tmp_path_factory.mktemp("runs") / "run-001"
    for k in range(3):
        make_bundle(folder / f"bundle{k}", seed=k, name=f"run-fold{k}", thresholds={"Radius": 0.3} if k else {})
    (folder / "config.yaml").write_text("name: run\n")
    (folder / "summary.html").write_text("done")
    return folder


@pytest.fixture(scope="module")
def packed(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("packed") / "model.ossa"
    assert pack_models([run], target) == ["run-fold0", "run-fold1", "run-fold2"]
    return target


def test_a_run_is_its_folds_and_a_packed_run_the_same(run: Path, packed: Path) -> None:
    folders = [run / f"bundle{k}" for k in range(3)]
    x = np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32)

    def answer(model: Path | list[Path]) -> np.ndarray:
        networks = Networks.load(model, "cpu", threads=1)
        return sum(m.engine(x[None])[0] * m.weight[:, None, None] for m in networks.members)

    expected = answer(folders)
    np.testing.assert_array_equal(answer(run), expected)
    np.testing.assert_array_equal(answer(packed), expected)
    assert [b.card for b in Bundle.load_all(packed)] == [b.card for b in Bundle.load_all(run)]


def test_each_way_of_running_takes_a_packed_model(packed: Path) -> None:
    one = Bundle.load(packed / "bundle1")
    x = np.random.default_rng(1).normal(size=(1, 1, 32, 32)).astype(np.float32)
    expected = open_engine(one, "cpu", 1)(x)
    np.testing.assert_allclose(open_engine(one, "torch:cpu", 1)(x), expected, atol=2e-5)
    with weights_file(packed / "bundle1") as path:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == one.card.files["model.safetensors"]
    assert not path.exists()
    with weights_file("some.pth") as path:
        assert path == Path("some.pth")
    with pytest.raises(BundleError, match="not altered"):
        one.rewrite_card(one.card)


def test_the_folds_of_a_model_share_its_weight(run: Path, second_bundle: Bundle) -> None:
    networks = Networks.load([run, second_bundle.path], "cpu", weights=[3, 1], threads=1)
    assert [round(float(m.weight[0]), 4) for m in networks.members] == [0.25, 0.25, 0.25, 0.25]


def test_packing_twice_gives_the_same_file_which_is_known_by_what_it_holds(packed: Path, run: Path) -> None:
    again = packed.with_name("again.ossa")
    pack_models([packed], again)
    assert again.read_bytes() == packed.read_bytes()
    renamed = packed.with_name("model.zip")
    shutil.copy(packed, renamed)
    assert is_packed(renamed)
    assert len(Bundle.load_all(renamed)) == 3
    assert not is_packed(run / "bundle0" / "model.onnx")


def test_one_model_is_asked_for_and_several_are_there(run: Path, packed: Path) -> None:
    for path in (run, packed):
        with pytest.raises(BundleError, match=r"several models.*bundle0, bundle1, bundle2.*Give one of them"):
            Bundle.load(path)
    with pytest.raises(BundleError, match=r"no such bundle in it; expected bundle0, bundle1, bundle2"):
        Bundle.load(packed / "bundle7")


def test_a_run_that_is_not_whole(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "summary.html").unlink()
    with pytest.raises(BundleError, match=r"not finished; found 3 models so far.*--resume.*bundle0"):
        Bundle.load_all(copy)
    (copy / "summary.html").write_text("done")
    shutil.rmtree(copy / "bundle0")
    assert [b.path.name for b in Bundle.load_all(copy)] == ["bundle1", "bundle2"]
    for path in copy.glob("bundle*"):
        shutil.rmtree(path)
    with pytest.raises(BundleError, match="has no models"):
        Bundle.load_all(copy)


def test_the_last_stage_of_a_run_is_its_model(run: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("stages: [{train.epochs: 1}, {train.epochs: 2}]\n")
    shutil.copytree(run, tmp_path / "stage1")
    with pytest.raises(BundleError, match="not finished"):
        Bundle.load_all(tmp_path)
    shutil.copytree(run, tmp_path / "stage2")
    assert {b.path.parent.name for b in Bundle.load_all(tmp_path)} == {"stage2"}


def test_a_run_s_files_are_called_as_training_calls_them() -> None:
    from ossa.bundle import runs
    from ossa.pipeline import train

    assert train._LAST == runs.LAST


def test_what_is_refused_in_packing(run: Path, tmp_path: Path, make_bundle: MakeBundle, few: BoneSchema) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.ossa"):
        pack_models([run], tmp_path / "model.zip")
    other = make_bundle(tmp_path / "few", schema=few)
    with pytest.raises(BundleError, match="different bones"):
        pack_models([run, other.path], tmp_path / "model.ossa")
    copy = tmp_path / "copy.ossa"
    pack_models([run / "bundle0"], copy)
    with pytest.raises(OutputError):
        pack_models([copy], copy)
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".ossa"] == ["copy.ossa"]


def altered(packed: Path, target: Path, change: dict[str, bytes | None], kind: int = zipfile.ZIP_STORED) -> Path:
    """A copy with other, further or fewer files."""
    with zipfile.ZipFile(packed) as old:
        content: dict[str, bytes | None] = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(target, "w", kind) as new:
        for name, data in {**content, **change}.items():
            if data is not None:
                new.writestr(name, data)
    return target


INDEX = b'{"format": 1, "bundles": [{"name": "%s", "card": "0"}]}'


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bundle0/model.onnx": b"other"}, "not the one that was packed; found bundle0/model.onnx"),
        ({"bundle0/card.json": b"{}"}, "not the one that was packed; found bundle0/card.json"),
        ({"bundle0/model.onnx": None}, "missing; found no bundle0/model.onnx"),
        ({"../evil": b"x"}, r"the name '\.\./evil'"),
        ({"/etc/evil": b"x"}, "the name '/etc/evil'"),
        ({"bundle0/../../evil": b"x"}, "the name 'bundle0/"),
        ({"bundle9/model.onnx": b"x"}, "belongs to no bundle"),
        ({"ossa.json": None}, "no ossa.json"),
        ({"ossa.json": b"[]"}, "ossa.json that cannot be read"),
        ({"ossa.json": b'{"format": 9, "bundles": []}'}, "another version of ossa; found format 9"),
        ({"ossa.json": b'{"format": 1, "bundles": []}'}, "names 0 bundles"),
        ({"ossa.json": INDEX % b".."}, "names 1 bundles"),
    ],
)
def test_what_is_refused_in_reading(packed: Path, tmp_path: Path, change: dict[str, bytes | None], told: str) -> None:
    with pytest.raises(BundleError, match=told):
        Bundle.load_all(altered(packed, tmp_path / "bad.ossa", change))
    assert [p.name for p in tmp_path.iterdir()] == ["bad.ossa"]


def test_nothing_is_unpacked_to_more_than_it_is(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="compressed"):
        Bundle.load_all(altered(packed, tmp_path / "bomb.ossa", {}, zipfile.ZIP_DEFLATED))
    whole = packed.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 30):
        (tmp_path / "cut.ossa").write_bytes(whole[:length])
        with pytest.raises(BundleError, match=r"cut\.ossa"):
            Bundle.load_all(tmp_path / "cut.ossa")


def test_the_commands(packed: Path, run: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from ossa.cli import cli

    target = tmp_path / "run.ossa"
    done = CliRunner().invoke(cli, ["bundle", "pack", str(run), "-o", str(target)], prog_name="ossa")
    assert done.exit_code == 0, done.output
    assert target.read_bytes() == packed.read_bytes()
    told = CliRunner().invoke(cli, ["info", str(target)], prog_name="ossa").stdout
    assert "run-fold2" in told
    assert "answers are averaged" in told
    said = json.loads(CliRunner().invoke(cli, ["info", str(target / "bundle0"), "--json"], prog_name="ossa").stdout)
    assert said["card"]["name"] == "run-fold0"
