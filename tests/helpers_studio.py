"""A stand-in for the studio's server: its interface (docs/studio.md) over made hands, in memory, for tests of the page.

It serves the built page with the real policy (CSP) and can be told to misbehave: ``full_disk``, ``slow``, a revision
that somebody else saved, a lost connection (``stop``).
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import cv2
import numpy as np

from helpers_dataset import SCHEMA, draw, schematic_hand

STATIC = Path(__file__).parents[1] / "src" / "ossa" / "apps" / "studio" / "static"
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
POLICY = "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; connect-src 'self'"
NOTICE = "For research. Not a medical device: not for diagnosis or treatment."
SOURCES = [
    {"id": "truth", "title": "Truth", "kind": "truth"},
    {"id": "model", "title": "ossa-phantom-4", "kind": "model"},
    {"id": "other", "title": "submission.csv", "kind": "csv"},
]
TILTED = {"en": "The hand lies tilted by 20 degrees.", "ko": "손이 20도 기울어져 있습니다."}
CUT = {"en": "The ulna ends outside of the picture.", "ko": "자뼈 끝이 영상 밖에 있습니다."}
KOREAN = {"Radius": "노뼈(요골)", "Ulna": "자뼈(척골)", "Lunate": "반달뼈(월상골)", "finger-3": "제1손허리뼈"}
FLAGS = {
    "odd_shape": {"en": "Unusual shape", "ko": "모양이 이상함"},
    "overlap": {"en": "Lies on another bone", "ko": "다른 뼈와 겹침"},
}


def group_of(bone: Any) -> str:
    return f"digit-{bone.digit}" if bone.digit else {"carpal": "carpals"}.get(bone.row, "forearm")


def error(code: str, message: str, **more: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}}


def rings(outlines: Any, shift: float = 0.0, dense: int = 1) -> dict[str, list[list[list[float]]]]:
    """Polygons as JSON has them; ``dense`` points on every side."""
    found = {}
    for name, parts in outlines.items():
        ring = np.asarray(parts[0].exterior) + shift
        if dense > 1:
            t = np.arange(dense)[None, :, None] / dense
            ring = (ring[:, None] * (1 - t) + np.roll(ring, -1, axis=0)[:, None] * t).reshape(-1, 2)
        found[name] = [np.round(ring, 2).tolist()]
    return found


class Studio:
    """``with Studio() as studio: studio.url``. Pictures beyond ``distinct`` look like earlier ones."""

    def __init__(
        self, pictures: int = 12, size: int = 512, distinct: int = 6, dense: int = 1, writable: bool = True
    ) -> None:
        self.size, self.dense, self.writable = size, dense, writable
        self.count, self.distinct = pictures, min(distinct, pictures)
        self.images: dict[int, bytes] = {}
        self.outlines: dict[int, Any] = {}
        self.saved: dict[str, list[dict[str, Any]]] = {}
        self.dropped: list[str] = []
        #: Number of a dropped hand -> (the first hand of its film, how many there are).
        self.films: dict[int, tuple[int, int]] = {}
        self.exports: list[dict[str, Any]] = []
        self.written_back = 0
        #: Whether a retraining needs two corrected pictures.
        self.strict = False
        self.jobs: list[dict[str, Any]] = []
        self.puts: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.full_disk = False
        self.slow = 0.0
        self.broken: set[str] = set()
        self.lock = threading.Lock()
        self.server: ThreadingHTTPServer | None = None
        self.port = 0

    def __enter__(self) -> Studio:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Begin to listen, on the former port after a stop."""
        handler = type("Bound", (Handler,), {"studio": self})
        ThreadingHTTPServer.daemon_threads = True
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    # ---- pictures ----------------------------------------------------------------------------------------------------
    def number(self, name: str) -> int:
        return int(name.removeprefix("p").removeprefix("drop")) % self.distinct

    def hand(self, k: int) -> Any:
        with self.lock:
            if k not in self.outlines:
                self.outlines[k] = schematic_hand(self.size, seed=k // 2, side="RL"[k % 2], wrist=4.0 * (k % 3))
            return self.outlines[k]

    def image(self, k: int, longest: int | None = None) -> bytes:
        hand = self.hand(k)
        with self.lock:
            if k not in self.images:
                self.images[k] = cv2.imencode(".png", draw(hand, self.size, k), [cv2.IMWRITE_PNG_COMPRESSION, 1])[
                    1
                ].tobytes()
        if longest is None:
            return self.images[k]
        grey = cv2.imdecode(np.frombuffer(self.images[k], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert grey is not None
        return cv2.imencode(".jpg", cv2.resize(grey, (longest, longest), interpolation=cv2.INTER_AREA))[1].tobytes()

    def row(self, name: str) -> dict[str, Any]:
        dropped = name.startswith("drop")
        k = int(name.removeprefix("p").removeprefix("drop"))
        score = round(0.8 + 0.19 * ((k * 37) % 100) / 100, 4)
        first, hands = self.films.get(k, (k, 1)) if dropped else (k, 1)
        film = {"ids": [f"drop{first + n}" for n in range(hands)], "number": k - first + 1, "of": hands}
        return {
            "id": name,
            "name": self.dropped[k] if dropped else f"image{1661130828152 + k}.png",
            "subject": None if dropped else f"ID{k // 2 + 1:03d}",
            "side": None if dropped else "RL"[k % 2],
            "fold": None if dropped else k // 2 % 5,
            "width": self.size,
            "height": self.size,
            "spacing_mm": 0.125,
            "score": None if dropped else score,
            "confidence": round(score - 0.05, 3),
            "flags": ["odd_shape"] if k % 3 == 0 else [],
            "corrected": bool(self.saved.get(name)),
            "pair": None if dropped or k ^ 1 >= self.count else f"p{k ^ 1}",
            "film": film if hands > 1 else None,
            "sources": ["model"] if dropped else [s["id"] for s in SOURCES],
        }

    def names(self) -> list[str]:
        return [f"p{k}" for k in range(self.count)] + [f"drop{k}" for k in range(len(self.dropped))]

    def bones(self, name: str, source: str, revision: int | None = None) -> dict[str, Any]:
        history = self.saved.get(name, [])
        latest = len(history)
        if source == "truth" and (latest if revision is None else revision) > 0:
            entry = history[(latest if revision is None else revision) - 1]
            bones = [{**bone, "confidence": None, "flags": []} for bone in entry["bones"]]
            author, saved = entry["author"], entry["saved"]
        else:
            shift = {"truth": 0.0, "model": 3.0, "other": -4.0}.get(source, 0.0) * self.size / 512
            polygons = rings(self.hand(self.number(name)), shift, self.dense)
            odd, over = ({"code": code, "text": text} for code, text in FLAGS.items())
            flags = {} if source == "truth" else {"Pisiform": [odd], "Hamate": [odd], "Lunate": [over]}
            bones = [
                {
                    "name": b,
                    "state": "found",
                    "polygons": polygons[b],
                    "confidence": None if source == "truth" else round(0.99 - 0.02 * i, 3),
                    "flags": flags.get(b, []),
                }
                for i, b in enumerate(SCHEMA.names)
            ]
            author = saved = None
        warnings = [] if source == "truth" else [{"code": "tilted", "count": 1, "text": TILTED}]
        return {
            "width": self.size,
            "height": self.size,
            "revision": latest,
            "author": author,
            "saved": saved,
            "bones": bones,
            "warnings": warnings,
        }

    def save(self, name: str, body: dict[str, Any]) -> None:
        """What a PUT does; tests use it as the other person."""
        entry = {**body, "saved": "2026-11-26T12:00:00Z"}
        self.saved.setdefault(name, []).append(entry)

    # ---- a training that takes a second ------------------------------------------------------------------------------
    def train(self, job: dict[str, Any]) -> None:
        for step in range(1, 11):
            time.sleep(0.08)
            if job["state"] == "cancelled":
                return
            job.update(state="running", progress=step / 10, message=f"epoch {step} of 10")
            job["said"].append(f"epoch {step}: loss {1 / step:.3f}\n")
            job["curves"]["loss"].append([step, 1 / step])
            job["curves"]["dice"].append([step, 0.9 + 0.005 * step])
        bones = {name: [0.9, round(0.9 + 0.004 * (i % 9) - 0.008, 4)] for i, name in enumerate(SCHEMA.names)}
        pictures = [
            {"id": "p0", "name": "train/p0.png", "trained_on": True, "corrected": True, "old": 0.93, "new": 0.99},
            {"id": "p2", "name": "train/p2.png", "trained_on": False, "corrected": True, "old": 0.9, "new": 0.912},
        ]
        comparison = {"old": 0.9, "new": 0.912, "held_out": 1, "bones": bones, "pictures": pictures}
        job.update(state="done", eta_seconds=None, result={"source": "other", "comparison": comparison})


class Handler(BaseHTTPRequestHandler):
    studio: Studio
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        self.wfile.write(body)

    def parse_request(self) -> bool:
        """A stopped server answers nothing on connections that are still open either."""
        if not super().parse_request() or self.studio.server is None:
            self.close_connection = True
            return False
        return True

    def json(self, value: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), "application/json")

    def do_GET(self) -> None:
        studio, parts = self.studio, urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = [unquote(p) for p in parts.path.strip("/").split("/")]
        studio.requests.append(self.path)
        if path[0] == "api":
            time.sleep(studio.slow)
            for broken in studio.broken:
                if broken in self.path:
                    self.json(
                        error(
                            "internal",
                            "The picture cannot be read.",
                            found="12 bytes",
                            expected="a PNG",
                            remedy="Copy the file again.",
                        ),
                        500,
                    )
                    return
            self.api(path[1:], asked)
            return
        file = STATIC.joinpath(*path[1:]) if path[0] == "static" else STATIC / "index.html"
        if file.is_file():
            self.answer(200, file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream"))
        else:
            self.json(error("not_found", f"There is no {parts.path}."), 404)

    def api(self, path: list[str], asked: dict[str, str]) -> None:
        studio = self.studio
        if path == ["session"]:
            self.json(self.session())
        elif path == ["pictures"]:
            self.json(self.pictures(asked))
        elif path == ["doubtful"]:
            names = sorted(studio.names(), key=lambda name: studio.row(name)["confidence"])
            at = names.index(asked["after"]) + 1 if asked.get("after") in names else 0
            self.json({"id": names[at] if at < len(names) else None})
        elif path == ["jobs"]:
            self.json([{key: v for key, v in job.items() if key != "said"} for job in reversed(studio.jobs)])
        elif path == ["jobs", "options"]:
            self.json(self.options())
        elif path[0] == "jobs" and path[-1] == "log":
            job = studio.jobs[int(path[1]) - 1]
            text, start = "".join(job["said"]), max(0, int(asked.get("from", 0)))
            ended = job["state"] not in ("queued", "running")
            self.json({"text": text[start:], "next": len(text), "more": False, "ended": ended})
        elif path == ["export"]:
            self.json(self.offered())
        elif path[0] == "export":
            self.answer(200, b"PK\x05\x06" + bytes(18), "application/zip")
        elif path[0] == "pictures" and path[1] not in studio.names():
            self.json(
                error(
                    "not_found",
                    f"There is no picture {path[1]}.",
                    expected="one of the pictures of the grid",
                    remedy="Go back to all pictures.",
                ),
                404,
            )
        elif path[0] == "pictures":
            self.picture(path[1], path[2:], asked)
        else:
            self.json(error("not_found", "There is no such route."), 404)

    def options(self) -> dict[str, Any]:
        """What a retraining would take."""
        n = len(self.studio.saved)
        few = {"message": "Too few people are corrected.", "found": f"{n} pictures", "remedy": "Correct another one."}
        return {
            "corrected": {"pictures": n, "people": n, "problem": few if self.studio.strict and n < 2 else None},
            "all": {"pictures": self.studio.count, "people": self.studio.count // 2, "problem": None},
        }

    def offered(self) -> dict[str, Any]:
        """The formats of an export."""
        n = len(self.studio.saved)
        return {
            "formats": [
                {"name": "labelme", "title": "labelme", "own": True, "loses": ""},
                {"name": "yolo", "title": "YOLO", "own": False, "loses": "Which bones nobody judged is lost."},
            ],
            "own": "labelme",
            "corrected": n,
            "labelled": self.studio.count,
            "write_back": {"able": True, "reason": None, "pictures": n},
        }

    def session(self) -> dict[str, Any]:
        studio = self.studio
        bones = [
            {
                "name": b.name,
                "group": group_of(b),
                "row": b.row,
                "colour": "#{:02x}{:02x}{:02x}".format(*b.colour),
                "title": {"en": b.title, "ko": KOREAN.get(b.name, b.title)},
            }
            for b in SCHEMA.bones
        ]
        return {
            "version": "test",
            "notice": NOTICE,
            "model": {"name": "ossa-phantom-4", "hash": "0"},
            "root": "hands",
            "writable": studio.writable,
            "languages": ["en", "ko"],
            "csrf": "secret",
            "bones": bones,
            "sources": SOURCES,
            "folds": [0, 1, 2, 3, 4],
            "sides": ["L", "R"],
            "flags": list(FLAGS),
        }

    def pictures(self, asked: dict[str, str]) -> dict[str, Any]:
        rows = [self.studio.row(name) for name in self.studio.names()]
        for key in ("side", "subject", "fold"):
            if asked.get(key):
                rows = [row for row in rows if str(row[key]) == asked[key]]
        if asked.get("flag"):
            rows = [row for row in rows if asked["flag"] in row["flags"]]
        if asked.get("corrected"):
            rows = [row for row in rows if row["corrected"] == (asked["corrected"] == "true")]
        if asked.get("search"):
            rows = [row for row in rows if asked["search"] in row["name"]]
        if asked.get("sort") in ("score", "confidence"):
            rows.sort(key=lambda row: row[asked["sort"]] or 0)
        if asked.get("order") == "desc":
            rows.reverse()
        start = int(asked.get("offset", 0))
        return {"total": len(rows), "rows": rows[start : start + int(asked.get("limit", 200))]}

    def picture(self, name: str, path: list[str], asked: dict[str, str]) -> None:
        studio, k = self.studio, self.studio.number(name)
        if not path:
            self.json(studio.row(name))
        elif path == ["thumb"]:
            self.answer(200, studio.image(k, 256), "image/jpeg")
        elif path == ["image"]:
            self.answer(200, studio.image(k), "image/png")
        elif path == ["bones"]:
            self.json(studio.bones(name, asked.get("source", "truth")))
        elif path == ["history"]:
            entries = [
                {"revision": i + 1, **{key: e.get(key) for key in ("author", "saved", "note")}}
                for i, e in enumerate(studio.saved.get(name, []))
            ]
            self.json([{"revision": 0, "author": None, "saved": None, "note": None}, *entries])
        elif path[0] == "history":
            self.json(studio.bones(name, "truth", int(path[1])))
        elif path == ["scores"]:
            self.json({"mean": 0.912, "bones": {b: round(0.98 - 0.008 * i, 3) for i, b in enumerate(SCHEMA.names)}})
        elif path == ["gradcam"]:
            self.answer(200, self.gradcam(name, asked["bone"]), "image/png")
        elif path == ["measurements"]:
            self.json(self.measurements(name))
        else:
            self.json(error("not_found", "There is no such route."), 404)

    def gradcam(self, name: str, bone: str) -> bytes:
        x, y = np.mean(rings(self.studio.hand(self.studio.number(name)))[bone][0], axis=0) * 128 / self.studio.size
        v, u = np.mgrid[:128, :128]
        heat = (255 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / 120)).astype(np.uint8)
        return cv2.imencode(".png", cv2.merge([cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO), heat]))[1].tobytes()

    def measurements(self, name: str) -> dict[str, Any]:
        polygons = rings(self.studio.hand(self.studio.number(name)))
        drawings, rows = [], []
        for k, bone in enumerate(("finger-3", "finger-7", "finger-11", "finger-15", "finger-19")):
            ring = np.asarray(polygons[bone][0])
            low, high = ring[ring[:, 1].argmax()], ring[ring[:, 1].argmin()]
            value = round(float(np.hypot(*(low - high))) * 0.125, 1)
            title = {"en": f"Length of metacarpal {k + 1}", "ko": f"제{k + 1}손허리뼈 길이"}
            rows.append(
                {
                    "name": "length",
                    "bone": bone,
                    "title": title,
                    "value": value,
                    "uncertainty": 0.4,
                    "unit": "mm",
                    "reason": None,
                }
            )
            drawings.append(
                {
                    "measurement": "length",
                    "bone": bone,
                    "lines": [[low.tolist(), high.tolist()]],
                    "text": f"{value} mm",
                    "at": high.tolist(),
                }
            )
        rows.append(
            {
                "name": "ulnar-variance",
                "title": {"en": "Ulnar variance", "ko": "척골 변위"},
                "value": None,
                "uncertainty": None,
                "unit": "mm",
                "reason": CUT,
            }
        )
        low, high = np.asarray(polygons["Radius"][0]).mean(axis=0), np.asarray(polygons["Ulna"][0]).mean(axis=0)
        line = [low.tolist(), high.tolist()]
        drawings.append({"measurement": "width", "bone": None, "lines": [line], "text": "21 +- 1 mm", "at": line[0]})
        return {"unit": "mm", "spacing_source": "PixelSpacing of the DICOM file", "rows": rows, "drawings": drawings}

    # ---- writing -----------------------------------------------------------------------------------------------------
    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def allowed(self) -> bool:
        if self.headers.get("X-Ossa-Csrf") == "secret":
            return True
        self.json(error("forbidden", "The request comes from another page."), 403)
        return False

    def do_PUT(self) -> None:
        studio, body = self.studio, json.loads(self.body())
        name = unquote(urlsplit(self.path).path.split("/")[3])
        if not self.allowed():
            return
        latest = len(studio.saved.get(name, []))
        if studio.full_disk:
            self.json(
                error(
                    "disk_full",
                    "The disk is full.",
                    found="0 bytes free",
                    expected="about 200 kB",
                    remedy="Free some space and save again; the former label is whole.",
                ),
                507,
            )
        elif body["revision"] != latest:
            last = studio.saved[name][-1]
            theirs = {"revision": latest, "author": last["author"], "saved": last["saved"]}
            self.json({**error("conflict", "Somebody else saved."), "theirs": theirs}, 409)
        else:
            studio.puts.append(body)
            studio.save(name, body)
            self.json({"revision": latest + 1})

    def do_POST(self) -> None:
        studio, body = self.studio, self.body()
        if not self.allowed():
            return
        if self.path == "/api/drop":
            name = body.split(b'filename="')[1].split(b'"')[0].decode()
            if b"not a picture" in body:
                self.json(
                    error(
                        "unprocessable",
                        f"{name} is no picture.",
                        found="text",
                        expected="PNG, JPEG, TIFF, BMP or DICOM",
                        remedy="Choose a radiograph.",
                    ),
                    422,
                )
                return
            hands = 2 if b"two hands" in body else 1
            first = len(studio.dropped)
            studio.films |= {first + k: (first, hands) for k in range(hands)}
            studio.dropped += [name] * hands
            ids = [f"drop{first + k}" for k in range(hands)]
            self.json({"id": ids[0], "ids": ids}, 201)
        elif self.path == "/api/export":
            studio.exports.append(json.loads(body))
            self.json(
                {
                    "id": "1",
                    "format": studio.exports[-1]["format"],
                    "written": len(studio.saved),
                    "skipped": [],
                    "left_out": ["p9 has no label"],
                    "remark": None,
                    "folder": "export-1",
                    "size": 22,
                },
                201,
            )
        elif self.path == "/api/write-back":
            studio.written_back += 1
            self.json({"written": list(studio.saved), "unchanged": 0, "skipped": [], "kept": "replaced/2026-11-26"})
        elif self.path == "/api/jobs/finetune":
            job: dict[str, Any] = {
                "id": str(len(studio.jobs) + 1),
                "kind": "finetune",
                "state": "queued",
                "started": "2026-11-26T12:00:00Z",
                "progress": 0.0,
                "message": "waiting",
                "asked": json.loads(body),
                "said": [],
                "pictures": {"corrected": len(studio.saved), "others": 0},
                "eta_seconds": 40,
                "curves": {"loss": [], "dice": []},
                "result": None,
            }
            studio.jobs.append(job)
            threading.Thread(target=studio.train, args=(job,), daemon=True).start()
            self.json({"job": job["id"]}, 202)
        elif self.path.endswith("/cancel"):
            job = studio.jobs[int(self.path.split("/")[3]) - 1]
            job["state"] = "cancelled"
            self.json(job)
        else:
            self.json(error("not_found", "There is no such route."), 404)
