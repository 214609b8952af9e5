"""The thread that does batch jobs, picture after picture, giving way to requests that wait for an answer."""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError
from threading import Event, Thread

from ossa.apps.serve.answers import body, refusal_of
from ossa.apps.serve.store import Item, Store
from ossa.apps.serve.worker import Worker
from ossa.errors import OssaError
from ossa.pipeline.reply import reply_into

log = logging.getLogger("ossa.serve")

#: After an error of the store itself (a full disk) it is tried again so many seconds later.
AFTER_TROUBLE = 5.0


class Runner:
    """Does what waits in ``store``; ``wake`` tells it of something new."""

    def __init__(self, store: Store, worker: Worker) -> None:
        self.store, self.worker = store, worker
        self._news, self._end = Event(), Event()
        self._thread = Thread(target=self._run, name="ossa-jobs", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier server left."""
        self._thread.start()

    def wake(self) -> None:
        """Something new waits."""
        self._news.set()

    def close(self) -> None:
        """Stop; the picture that is being done waits for the next server, unless it is done at once."""
        self._end.set()
        self._news.set()

    def join(self) -> None:
        """Wait for the thread's end: after the worker was closed, since that lets the picture in its hands go."""
        if self._thread.is_alive():
            self._thread.join(15)

    def _run(self) -> None:
        while not self._end.is_set():
            self._news.clear()
            try:
                busy = self._one()
            except OssaError as error:  # the disk is full: nothing is lost, and nothing can be written down
                log.error("jobs: %s", error)
                self._end.wait(AFTER_TROUBLE)
                continue
            except Exception:
                log.exception("jobs")
                self._end.wait(AFTER_TROUBLE)
                continue
            if not busy:
                self._news.wait()

    def _one(self) -> bool:
        """Do one item; False when none waits."""
        found = self.store.begin()
        if found is None:
            return False
        item, wanted, folder = found
        try:
            picture = self.store.picture_of(item)
            made = self.worker.ask(reply_into, picture, wanted, folder, patient=True).result()
        except CancelledError:
            self.store.back(item)
        except Exception as error:
            if self._end.is_set():  # the worker was closed over it
                self.store.back(item)
            else:
                self._failed(item, error)
        else:
            self.store.done(item, made.bones, made.notes, [(file.name, file.media) for file in made.files])
        return True

    def _failed(self, item: Item, error: Exception) -> None:
        if isinstance(error, OssaError):
            told = refusal_of(error).body["error"]
        else:
            log.error("job %s, picture %s", item.job, item.number, exc_info=error)
            told = body("defect", f"{error} (a defect in ossa: please report it)")["error"]
        self.store.failed(item, told)
