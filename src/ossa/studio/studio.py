"""Everything that a page may ask of a studio, as plain values: pictures, bones, corrections, scores, measurements.

    FOLDER/corrections, FOLDER/history    what people saved (studio.corrections)
    FOLDER/dropped                        pictures that were dropped on the page
    FOLDER/predictions                    what models answered
    FOLDER/jobs                           retrainings with their models (studio.jobs)
    FOLDER/cache                          small pictures and the index; may be removed at any time

Nothing is written into a data set's own folders. Networks are not asked here: ``unanswered`` tells that a model has to
be, and ``answered`` takes what it said.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import ConfigError, OssaError, OutputError
from ossa.labels.case import Truth
from ossa.pages.viewer import notice
from ossa.safety import write_bytes
from ossa.segmentation.segmentation import Segmentation
from ossa.studio.bones import bones_json, truth_of_json
from ossa.studio.collection import (
    DROPPED,
    MODEL,
    TRUTH,
    Collection,
    Picture,
    Source,
    dropped_files,
    dropped_pictures,
    pairs_on_films,
)
from ossa.studio.corrections import Corrections, Missing, checked_revision
from ossa.studio.drawings import drawings
from ossa.studio.films import FilmHand, SeenHand, box_of, hand_for, read_hands, write_hands
from ossa.studio.index import UNREADABLE, Index, flags_of, scores_of
from ossa.studio.listing import Listing, Query, next_doubtful
from ossa.studio.reading import Reader
from ossa.studio.views import Views, etag
from ossa.studio.words import Lexicon

if TYPE_CHECKING:
    pass

CACHE = "cache"

#: What a picture is called that cannot be read, in the list of warnings.
_UNREADABLE = {"en": "Cannot be read", "ko": "읽을 수 없음"}


@dataclass(frozen=True)
class ModelFacts:
    """The model that new pictures are given to: what it is called, the hash of its files, where it lies."""

    name: str
    hash: str
    path: Path | None = None


@dataclass(eq=False)
class Studio:
    """A collection of pictures with what is done to it. ``folder`` is the studio's own; None: nothing is kept.

    ``model``: None where no model could be loaded or none is wanted. ``models``: further models by source.
    """

    collection: Collection
    folder: Path
    writable: bool = True
    root: Path | None = None
    model: ModelFacts | None = None
    models: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        schema = self.collection.schema
        self.lexicon = Lexicon(schema)
        self.corrections = Corrections(self.folder, schema)
        self.reader = Reader(schema, self.corrections, self.folder)
        cache = self.folder / CACHE if self.writable else None
        self.views = Views(None if cache is None else cache / "thumbs")
        self.sources: dict[str, Source] = {TRUTH: Source(TRUTH, "Truth", "truth")} | dict(self.collection.sources)
        if self.model is not None:
            self.sources[MODEL] = Source(MODEL, self.model.name, "model")
            self.reader.answers[MODEL] = f"{MODEL}-{self.model.hash}"  # another model's answers are not this one's
        self.pictures: dict[str, Picture] = dict(self.collection.pictures)
        for path in dropped_files(self.folder / DROPPED):
            self.pictures |= {one.id: one for one in dropped_pictures(path, read_hands(path))}
        found = {one.name: self.corrections.revision(one.name) for one in self.pictures.values()}
        self.corrected: dict[str, int] = {name: revision for name, revision in found.items() if revision}
        self.index = Index(
            schema,
            self.reader,
            list(self.pictures.values()),
            list(self.sources),
            self.lexicon.codes,
            None if cache is None else cache / "index.sqlite",
        )
        self.pairs = {**self.collection.pairs, **pairs_on_films(self.pictures.values())}
        self.listing = Listing(self.index, self.pairs, self.corrected)
        self._bones = self.lexicon.bones()
        self._titles = {**self.lexicon.headings(), UNREADABLE: _UNREADABLE}
        self._flags: tuple[int, list[str]] = (-1, [])
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to fill the index, in a thread."""
        self._thread = threading.Thread(target=self.index.build, args=(self._stop,), name="ossa-index", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; what was found is kept."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)
        self.index.close()

    # --- looking --------------------------------------------------------------------------------------------------

    def session(self) -> dict[str, Any]:
        """What the page needs to know at its start, less the CSRF value."""
        import ossa

        pictures = list(self.pictures.values())
        with self.index.lock:
            if self._flags[0] != self.index.version:
                self._flags = (self.index.version, flags_of(self.index.said))
            flags = self._flags[1]
        return {
            "version": ossa.__version__,
            "notice": notice(self.collection.schema),
            "model": None if self.model is None else {"name": self.model.name, "hash": self.model.hash},
            "root": None if self.root is None else self.root.name,
            "writable": self.writable,
            "languages": list(self.lexicon.words),
            "bones": self._bones,
            "sources": [source.to_json() for source in self.sources.values()],
            "folds": sorted({one.fold for one in pictures if one.fold}),
            "sides": sorted({one.side for one in pictures if one.side}),
            "flags": flags,
            "flag_titles": self._titles,
            "problems": list(self.collection.problems)[:200],
            "indexing": {"done": self.index.done, "total": len(self.index.pictures)},
        }

    def usual_source(self) -> str:
        """The source that is scored when none is named: the first that is not the truth."""
        return next((source for source in self.sources if source != TRUTH), TRUTH)

    def list(self, query: Query) -> dict[str, Any]:
        """A page of the list. Raises Missing for an unknown source."""
        total, rows = self.listing.select(self._filled(query))
        return {"total": total, "rows": rows}

    def _filled(self, query: Query) -> Query:
        filled = query if query.source else replace(query, source=self.usual_source())
        for source in (filled.source, filled.against):
            self.source(source)
        return filled

    def source(self, key: str) -> Source:
        """The source with this id. Raises Missing."""
        if key not in self.sources:
            expected = ", ".join(self.sources)
            raise Missing("there is no such source", found=repr(key)[:80], expected=expected)
        return self.sources[key]

    def picture(self, key: str) -> Picture:
        """The picture with this id. Raises Missing."""
        if key not in self.pictures:
            raise Missing("there is no such picture", found=repr(key)[:80], expected="an id of the list")
        return self.pictures[key]

    def one(self, key: str, query: Query) -> dict[str, Any]:
        """The row of one picture, with the sources that have bones for it."""
        picture = self.picture(key)
        told = [source for source in self.sources if self.reader.stamp(picture, source) is not None]
        return {**self.listing.one(picture, self._filled(query)), "sources": told, "film": self.film(picture)}

    def thumb(self, key: str) -> tuple[str, Callable[[], bytes]]:
        """(ETag, what makes the JPEG) of the small picture."""
        picture = self.picture(key)
        return etag(picture, "thumb"), lambda: self.views.thumb(picture)

    def image(self, key: str) -> tuple[str, Callable[[], bytes]]:
        """(ETag, what makes the PNG) of the whole picture."""
        picture = self.picture(key)
        return etag(picture, "image"), lambda: self.views.image(picture)

    def bones(self, key: str, source: str, simplify: float = 0.0) -> dict[str, Any]:
        """What a source drew on a picture. Raises Missing where it says nothing of it."""
        picture = self.picture(key)
        self.source(source)
        if not 0.0 <= simplify <= 100.0:
            raise ConfigError("outlines cannot be thinned so", found=simplify, expected="0 to 100 px")
        said = self.corrections.latest(picture.name) if source == TRUTH else None
        told = {"author": said.author, "saved": said.saved} if said is not None else {"author": None, "saved": None}
        truth = self.reader.truth(picture, source)
        return {**self._told(picture, truth, simplify), "revision": self.corrections.revision(picture.name), **told}

    def _told(self, picture: Picture, truth: Truth, simplify: float) -> dict[str, Any]:
        height, width = self.reader.shape(picture)
        flags = self.lexicon.flags(truth.notes)
        bones = bones_json(truth, self.collection.schema, simplify)
        for bone in bones:
            bone["flags"] = flags.get(bone["name"], [])
        warnings = self.lexicon.warnings(truth.notes)
        return {"width": width, "height": height, "bones": bones, "warnings": warnings}

    def scores(self, key: str, source: str, against: str) -> dict[str, Any]:
        """Dice of every bone of two sources, null for bones that either did not judge, and their mean."""
        picture = self.picture(key)
        for one in (source, against):
            self.source(one)
        first, judged = self.reader.segmentation(picture, source)
        second, also = self.reader.segmentation(picture, against)
        values = scores_of(first, second, judged & also).tolist()
        named = dict(zip(self.collection.schema.names, values, strict=True))
        told = [value for value in values if value == value]
        mean = round(sum(told) / len(told), 4) if told else None
        return {"mean": mean, "bones": {n: None if v != v else round(v, 4) for n, v in named.items()}}

    def measurements(self, key: str, source: str) -> dict[str, Any]:
        """What ``ossa measure`` measures on the bones of a source, with what to draw."""
        from ossa.measurement.measure import measure_hand
        from ossa.measurement.spacing import chosen_spacing
        from ossa.radiograph.read import read_radiograph

        picture = self.picture(key)
        self.source(source)
        found, _ = self.reader.segmentation(picture, source)
        radiograph = read_radiograph(picture.path)
        spacing, _ = chosen_spacing(radiograph, None, None)
        hand = measure_hand(found, radiograph, name=picture.name, spacing=spacing)
        return {
            "unit": "px" if hand.spacing is None else "mm",
            "spacing_source": hand.spacing_source,
            "rows": self.lexicon.rows(hand),
            "drawings": drawings(hand),
        }

    def doubtful(self, source: str, after: str) -> str | None:
        """The id of the next picture that is worth looking at; None where there is none."""
        return next_doubtful(self.index, self.source(source).id, after, self.corrected)

    # --- correcting -----------------------------------------------------------------------------------------------

    def save(self, key: str, sent: object) -> dict[str, Any]:
        """Save what was ``sent``: {revision, author, note, bones}. Raises Conflict, LabelError, OutputError."""
        picture = self.picture(key)
        if not self.writable:
            raise OutputError("this studio saves nothing", expected="one that was started without --read-only")
        if not isinstance(sent, Mapping):
            raise ConfigError("is no correction", found=type(sent).__name__, expected="{revision, author, note, bones}")
        texts = [sent.get(name, "") for name in ("author", "note")]
        if not all(isinstance(text, str) for text in texts):
            raise ConfigError("author and note are texts", found=repr(texts)[:80])
        opened = checked_revision(sent.get("revision"))
        shape = self.reader.shape(picture)
        truth = truth_of_json(sent.get("bones"), self.collection.schema, shape, Path(picture.name))
        former = None if self.corrections.revision(picture.name) else self._former(picture)
        entry = self.corrections.save(
            picture.name, truth, shape, opened=opened, former=former, author=texts[0], note=texts[1]
        )
        self.corrected[picture.name] = entry.revision
        self.index.update(picture)
        return {"revision": entry.revision, "saved": entry.saved, "changed": list(entry.changed)}

    def _former(self, picture: Picture) -> Truth | None:
        """The data set's own label; None where there is none, or one that cannot be read."""
        try:
            return self.reader.own_truth(picture)
        except Exception:  # whatever is wrong with it, it is being replaced
            return None

    def history(self, key: str) -> Sequence[dict[str, Any]]:
        """Every revision, the data set's own label (0) first where there is one."""
        picture = self.picture(key)
        own: dict[str, Any] = {"revision": 0, "author": None, "saved": None, "note": "", "changed": []}
        entries = [entry.to_json() for entry in self.corrections.history(picture.name)]
        return [own, *entries] if picture.entry(TRUTH) is not None else entries

    def revision(self, key: str, number: int) -> dict[str, Any]:
        """A revision as ``bones`` gives it."""
        picture = self.picture(key)
        if number == 0:
            truth = self.reader.own_truth(picture)
            if truth is None:
                raise Missing(f"'{picture.name}' has no label of its own")
            return {**self._told(picture, truth, 0.0), "revision": 0, "author": None, "saved": None}
        truth = self.corrections.read(picture.name, number)
        entry = next(one for one in self.corrections.history(picture.name) if one.revision == number)
        told = {"revision": number, "author": entry.author, "saved": entry.saved}
        return {**self._told(picture, truth, 0.0), **told}

    # --- models ---------------------------------------------------------------------------------------------------

    def unanswered(self, key: str, source: str) -> tuple[Path, Path | None] | None:
        """(picture, model) where a model is to be asked before ``bones``; the model None: the one it started with."""
        picture = self.picture(key)
        if self.source(source).kind != "model" or self.reader.stamp(picture, source) is not None:
            return None
        return picture.path, self.models.get(source)

    def answered(self, key: str, source: str, hands: Sequence[SeenHand]) -> None:
        """Keep what a model said of a picture, and of the other hands on its film. Raises OutputError."""
        asked = self.picture(key)
        several = [asked]
        if asked.film is not None:
            several += [one for one in self.pictures.values() if one.film is not None and one.path == asked.path]
        for picture in {one.id: one for one in several}.values():
            self.reader.keep(picture, source, self._meant(picture, hands))
            self.index.update(picture)

    def _meant(self, picture: Picture, hands: Sequence[SeenHand]) -> Segmentation:
        """Which of the hands that a model found is the one that the picture stands for."""
        if len(hands) == 1 and picture.film is None:
            return hands[0].bones
        place = None if picture.film is None else picture.film.box
        if place is None and self.reader.stamp(picture, TRUTH) is not None:
            try:
                place = box_of(self.reader.segmentation(picture, TRUTH)[0])
            except (OssaError, OSError):  # a label that cannot be read says nothing
                place = None
        return hand_for(hands, place, picture.known_side, alone=picture.film is not None)

    def add_model(self, source: Source, path: Path) -> None:
        """One more model that may be asked."""
        with self._lock:
            self.models[source.id] = path
            self.sources[source.id] = source
            self.index.add_source(source.id)

    def keep_dropped(self, name: str, data: bytes) -> Path:
        """Keep the file of a picture that was dropped on the page. Raises ImageError for what is no radiograph."""
        from ossa.radiograph.read import read_radiograph

        if not self.writable:
            raise OutputError("this studio keeps nothing", expected="one that was started without --read-only")
        with self._lock:
            path = self._free(name)
            write_bytes(path, data)
            try:
                read_radiograph(path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return path

    def welcome(self, path: Path, hands: Sequence[FilmHand] = ()) -> Sequence[str]:
        """List a dropped file: one picture, or one for each of several ``hands``; their ids. Raises OutputError."""
        if hands:
            write_hands(path, hands)
        made = dropped_pictures(path, hands)
        with self._lock:
            self.pictures |= {one.id: one for one in made}
            self.pairs |= pairs_on_films(self.pictures.values())
        for one in made:
            self.index.add(one)
        return [one.id for one in made]

    def film(self, picture: Picture) -> dict[str, Any] | None:
        """Which hand of its film a picture is, and the others; None where it is alone."""
        if picture.film is None:
            return None
        ids = {
            one.film.number: one.id
            for one in self.pictures.values()
            if one.film is not None and one.path == picture.path
        }
        return {"ids": [ids[k] for k in sorted(ids)], "number": picture.film.number, "of": len(picture.film.boxes)}

    def _free(self, name: str) -> Path:
        """A name in the folder of dropped pictures that nothing has yet."""
        plain = "".join(c if c.isalnum() or c in "._- " else "_" for c in name.rpartition("/")[2].rpartition("\\")[2])
        plain = plain.strip(". ")[-100:].lstrip(". ") or "picture"
        folder, number = self.folder / DROPPED, 1
        stem, dot, ending = plain.rpartition(".") if "." in plain else (plain, "", "")
        path = folder / plain
        taken = {one.name for one in self.pictures.values()}
        while path.exists() or f"{DROPPED}/{path.name}" in taken:
            number += 1
            path = folder / f"{stem} ({number}){dot}{ending}"
        return path
