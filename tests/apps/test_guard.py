"""Who may come in: names of the server, tokens, pages of this server and of others."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import APIRouter, Request

from helpers_serve import HERE, client_of, service
from ossa.apps.serve.answers import Refusal
from ossa.apps.serve.guard import Body
from ossa.apps.serve.service import Service
from ossa.apps.serve.settings import Limits

TOKEN = "a-token-that-is-long-enough"
OPEN = {"host": "0.0.0.0", "token": TOKEN}

router = APIRouter()


@router.post("/v1/write")
@router.post("/api/write")
async def write(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.get("/api/read")
async def read() -> dict[str, str]:
    return {"read": "it"}


@router.get("/api/broken")
async def broken() -> None:
    raise ZeroDivisionError("by nought")


def part(app: Service) -> None:
    app.include_router(router)


def made(**settings) -> Service:
    return service(parts=[part], **settings)


def code(answer) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "found", "expected", "remedy"}
    return answer.status_code, error["code"]


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:8000", "[::1]:8000"])
def test_a_server_on_loopback_has_the_names_of_loopback(host: str) -> None:
    with client_of(made()) as client:
        assert client.get("/health", headers={"Host": host}).json() == {"status": "ok"}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost."])
def test_another_name_is_refused_whatever_it_resolves_to(host: str) -> None:
    with client_of(made()) as client:
        assert code(client.get("/api/read", headers={"Host": host})) == (421, "host")


def test_names_that_were_allowed() -> None:
    with client_of(made(hosts=("xray.example",))) as client:
        assert client.get("/health", headers={"Host": "xray.example:80"}).status_code == 200
        assert code(client.get("/health", headers={"Host": "other.example"})) == (421, "host")
    with client_of(made(hosts=("xray.example",), **OPEN)) as client:
        assert code(client.get("/health", headers={"Host": "other.example"})) == (421, "host")
    with client_of(made(**OPEN)) as client:  # the token does what the names do
        assert client.get("/health", headers={"Host": "any.example"}).status_code == 200


def test_a_token_is_asked_of_all_but_the_watchers() -> None:
    with client_of(made(**OPEN)) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/ready").status_code == 200
        refused = client.get("/version")
        assert code(refused) == (401, "token")
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert code(client.get("/nowhere")) == (401, "token")  # what is there is nobody's business
        for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", TOKEN, "Bearer \xff"):
            assert code(client.get("/version", headers={b"Authorization": wrong.encode("latin-1")})) == (401, "token")
        assert client.get("/version", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


def test_a_program_may_write_and_a_page_elsewhere_may_not() -> None:
    with client_of(made()) as client:
        assert client.post("/v1/write", content=b"abc").json() == {"bytes": 3}
        for origin in ("https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8000"):
            assert code(client.post("/v1/write", headers={"Origin": origin})) == (403, "origin")
            assert code(client.get("/api/read", headers={"Origin": origin})) == (403, "origin")
        for site in ("cross-site", "same-site"):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
            assert code(client.get("/api/read", headers=headers)) == (403, "origin")
            assert code(client.post("/v1/write", headers={**headers, "Sec-Fetch-Mode": "navigate"})) == (403, "origin")
        link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert client.get("/api/read", headers=link).status_code == 200


@pytest.mark.parametrize("path", ["/v1/write", "/api/write"])
def test_a_page_of_this_server_shows_that_it_is_one(path: str) -> None:
    app = made()
    with client_of(app) as client:
        own = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
        assert code(client.post(path, headers=own)) == (403, "csrf")
        assert code(client.post(path, headers={**own, "X-Ossa-Csrf": "guessed"})) == (403, "csrf")
        assert client.post(path, headers={**own, "X-Ossa-Csrf": app.csrf}).status_code == 200
        assert client.get("/api/read", headers=own).status_code == 200


def test_what_is_a_page_s_asks_for_the_value_of_programs_too() -> None:
    with client_of(made()) as client:
        assert code(client.post("/api/write")) == (403, "csrf")


def test_no_answer_invites_another_site() -> None:
    with client_of(made()) as client:
        preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        for answer in (
            client.options("/v1/write", headers=preflight),
            client.get("/health"),
            client.get("/nowhere"),
            client.get("/api/broken"),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_every_error_has_one_shape() -> None:
    with client_of(made(limits=Limits(upload_bytes=10))) as client:
        assert code(client.get("/nowhere")) == (404, "not-found")
        assert code(client.get("/v1/write")) == (405, "method")
        assert code(client.get("/api/broken")) == (500, "defect")
        assert code(client.post("/v1/write", content=b"x" * 11)) == (413, "too-large")
        assert code(client.post("/v1/write", content=iter([b"x" * 6, b"x" * 6]))) == (413, "too-large")
        assert client.get("/health").status_code == 200


def test_not_more_bodies_at_once_than_there_is_room_for() -> None:
    app = made(limits=Limits(requests=1))
    with client_of(app) as client:
        assert client.post("/v1/write", content=b"abc").status_code == 200
        app.guard.open = 1  # another one is on its way
        refused = client.post("/v1/write", content=b"abc")
        assert code(refused) == (429, "overload")
        assert refused.headers["retry-after"] == "1"
        assert client.get("/health").status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never():
        await asyncio.sleep(60)

    # In a thread of its own: where tests drive a browser, an event loop runs in this one.
    with ThreadPoolExecutor(1) as thread, pytest.raises(Refusal) as caught:
        thread.submit(asyncio.run, Body(never, 100, 0.01)()).result()
    assert caught.value.status_code == 408
