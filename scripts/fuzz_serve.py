"""Feeds damaged uploads to ``ossa serve``: python scripts/fuzz_serve.py [--inputs 10000] [--seconds S] [--cases 0]

The uploads are those of scripts/fuzz (pictures of every kind that is read, mutated by their number), some of them in
forms that are damaged too; formats and headers change from one to the next. The predictor is a stub, so that what is
tried is HTTP, the readers and the answers; it runs in this process, so that a crash of a decoder ends the run. Every
answer must be an error of ossa's shape or a result, never a 500. With --cases, schemathesis then makes so many requests
for each route of the OpenAPI document. Exit 1 when anything went wrong; what did is kept in --keep.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

import corpus
from mutate import mutated

from helpers_serve import HERE, client_of, run_outside, service
from helpers_stub import StubPredictor

FORMATS = ("json", "rle", "overlay", "measurements", "bones-csv", "report", "dicom-seg", "json,rle,hands-csv", None)
TYPES = ("image/png", "image/jpeg", "application/dicom", "application/octet-stream", "image/tiff", "IMAGE/PNG; a=b")
ALLOWED = {200, 400, 406, 408, 413, 415, 422, 501}


def request(number: int, seeds: list[bytes]) -> tuple[str, bytes, dict[str, str]]:
    """URL, body and headers of input ``number``: the same every time."""
    rng = random.Random(number)
    data = rng.choice(seeds) if rng.random() < 0.05 else mutated(seeds, rng)
    # Answers that take long are asked for now and then only.
    form = rng.choice(FORMATS) if rng.random() < 0.3 else "json"
    query = f"?name={number}.png" + ("" if form is None else f"&format={form}")
    headers = {"Accept": rng.choice(("*/*", "text/csv", "image/*", "x", "application/json;q=x"))}
    if rng.random() < 0.4:
        mark = f"b{number}"
        name = rng.choice(("hand.png", "../x.dcm", "\u00e9.tif", "", "a\x00b", "x" * 400, '"', "con"))
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        body = head + data + f"\r\n--{mark}--\r\n".encode()
        if rng.random() < 0.5:
            body = mutated([body], rng)
        headers["Content-Type"] = f"multipart/form-data; boundary={mark}"
        return f"/v1/predict{query}", body, headers
    headers["Content-Type"] = rng.choice(TYPES)
    return f"/v1/predict{query}", data, headers


def fuzz(inputs: int, seconds: float, first: int, keep: Path) -> bool:
    """Whether anything went wrong."""
    seeds = [*corpus.png(), *corpus.jpeg(), *corpus.tiff(), *corpus.bmp(), *corpus.dicom_files()]
    counts: Counter[int] = Counter()
    wrong, slowest, end = 0, 0.0, time.monotonic() + seconds
    with client_of(service(StubPredictor)) as client:
        for number in range(first, first + inputs):
            if time.monotonic() > end:
                break
            url, body, headers = request(number, seeds)
            begin = time.monotonic()
            answer = client.post(url, content=body, headers=headers)
            slowest = max(slowest, time.monotonic() - begin)
            counts[answer.status_code] += 1
            good = answer.status_code in ALLOWED
            if good and answer.status_code != 200:
                told = answer.json()["error"]
                good = set(told) == {"code", "message", "found", "expected", "remedy"} and "/tmp" not in answer.text
            if not good:
                wrong += 1
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"serve-{number}").write_bytes(body)
                print(f"input {number}: {answer.status_code} {answer.text[:300]}", file=sys.stderr, flush=True)
        left = len(list(client.app.room.iterdir()))  # type: ignore[attr-defined]
    table = ", ".join(f"{count:,} x {status}" for status, count in sorted(counts.items()))
    print(f"{sum(counts.values()):,} uploads: {table}; {wrong} wrong; slowest {slowest:.2f} s; uploads left: {left}")
    return bool(wrong or left)


def keeps_to_it(cases: int) -> bool:
    """Whether schemathesis finds a request whose answer is not as the OpenAPI document says."""
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis.checks import positive_data_acceptance

    failed = False
    app = service(StubPredictor)

    schema = schemathesis.openapi.from_dict(app.openapi())
    with client_of(app):
        for found in schema.get_all_operations():
            operation = found.ok()
            count = 0

            @settings(max_examples=cases, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            @given(case=operation.as_strategy())
            def each(case) -> None:
                nonlocal count
                count += 1
                case.call_and_validate(app=run_outside(app), base_url=HERE, excluded_checks=[positive_data_acceptance])

            try:
                each()
            except Exception as error:
                failed = True
                print(f"{operation.label}: {error}", file=sys.stderr, flush=True)
            print(f"{operation.label}: {count} requests", flush=True)
    return failed


def main() -> None:
    """Run both, tell, exit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3600.0, help="at most so long")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--cases", type=int, default=0, help="requests of schemathesis for each route")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="folder for what went wrong")
    args = parser.parse_args()
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    failed = fuzz(args.inputs, args.seconds, args.first, args.keep)
    if args.cases:
        failed = keeps_to_it(args.cases) or failed
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
