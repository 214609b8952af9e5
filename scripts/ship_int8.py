"""Put the 8-bit form of its network into a bundle, where it finds the same bones: scripts/ship_int8.py [BUNDLE]

Calibrated and compared on phantoms, as ``ossa bundle export --int8`` does; to be run again whenever the weights change.
``benchmarks/bench_real.py --device onnx:cpu`` and without tell what it costs on real hands.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from ossa.bundle.bundle import QUICK, Bundle, default_bundle, put_quick
from ossa.pipeline.bundle import QUICK_LIMIT, export_bundle


def main() -> None:
    """Export into a folder that is removed, and take the 8-bit file from there when it is good enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=default_bundle())
    path = parser.parse_args().bundle
    with tempfile.TemporaryDirectory(prefix="ossa-int8-") as folder:
        exported = export_bundle(path, Path(folder) / "out", eight_bit=True, tell=lambda text: print(text, flush=True))
        print(exported.to_text(), end="")
        (form,) = (form for form in exported.forms if form.form == "8-bit")
        if form.dice_mean < QUICK_LIMIT:
            sys.exit(f"not put into {path}: mean Dice {form.dice_mean:.4f}, asked {QUICK_LIMIT}")
        bundle = put_quick(Bundle.load(path), (exported.folder / form.file).read_bytes())
    print(f"{bundle.path / QUICK}: {(bundle.path / QUICK).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
