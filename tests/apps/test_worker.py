"""The worker: order, limits, and a predictor's process that dies."""

from __future__ import annotations

import os
import time
from threading import Event

import pytest

from helpers_serve import local_worker
from ossa.apps.serve.seats import Defect
from ossa.apps.serve.worker import Overload, Worker
from ossa.errors import BundleError, DeviceError, ImageError


def load() -> dict[str, int]:
    return {"asked": 0}


def load_broken() -> None:
    raise BundleError("is no model", path="somewhere", found="nothing", remedy="Give another")


def count(owned: dict[str, int]) -> int:
    owned["asked"] += 1
    return owned["asked"]


def refuse(_owned: object) -> None:
    raise ImageError("is no picture", path="hand.png", found="text", expected="a picture")


def defect(_owned: object) -> None:
    raise ZeroDivisionError("by nought")


def die(_owned: object) -> None:
    os._exit(9)


def sleep(_owned: object) -> None:
    time.sleep(60)


def test_a_process_of_its_own_that_may_die() -> None:
    worker = Worker(load, seconds=20)
    worker.start()
    try:
        assert worker.ask(count).result() == 1
        with pytest.raises(ImageError) as caught:
            worker.ask(refuse).result()
        assert (caught.value.path, caught.value.found, caught.value.expected) == ("hand.png", "text", "a picture")
        assert str(caught.value) == "hand.png: is no picture; found text; expected a picture"
        with pytest.raises(Defect, match="ZeroDivisionError: by nought"):
            worker.ask(defect).result()
        assert worker.ask(count).result() == 2  # it still lives
        dying, next_one = worker.ask(die), worker.ask(count)
        with pytest.raises(DeviceError, match="ended with 9"):
            dying.result()
        assert next_one.result() == 1  # of a new one
        with pytest.raises(DeviceError, match="no answer within"):
            worker.ask(sleep, seconds=0.2).result()
        assert worker.ask(count).result() == 1
        assert worker.restarts == 2
    finally:
        worker.close()


def test_a_model_that_does_not_load_is_told_at_once() -> None:
    with pytest.raises(BundleError, match=r"somewhere: is no model; found nothing\. Give another"):
        Worker(load_broken).start()


def test_too_many_are_refused_and_patient_ones_give_way() -> None:
    began, go = Event(), Event()
    done: list[str] = []

    def hold(_owned: object) -> None:
        began.set()
        go.wait(10)

    worker = local_worker(waiting=2)
    worker.start()
    try:
        held = worker.ask(hold)
        began.wait(10)
        patient = worker.ask(lambda _: done.append("patient"), patient=True)
        first = worker.ask(lambda _: done.append("first"))
        second = worker.ask(lambda _: done.append("second"))
        with pytest.raises(Overload) as caught:
            worker.ask(count)
        assert caught.value.seconds >= 1
        assert second.cancel()  # its client has gone: there is room again
        third = worker.ask(lambda _: done.append("third"))
        go.set()
        for future in (held, patient, first, third):
            future.result(10)
        assert done == ["first", "third", "patient"]
    finally:
        worker.close()
    with pytest.raises(DeviceError, match="closing"):
        worker.ask(count)
