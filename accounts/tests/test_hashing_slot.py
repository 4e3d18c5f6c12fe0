"""One password hash at a time in each process."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.test import Client
from rest_framework.test import APIClient

from accounts.hashing_slot import MAX_WAITING_THREADS, hashing_slot, queue_slots
from accounts.models import User
from accounts.tests.factories import PASSWORD, PASSWORD_HASH
from common.api.exceptions import ServiceUnavailable

LOGIN = "/api/v1/auth/login"
BUSY = "Too many passwords are being checked at once"


@contextmanager
def busy_process() -> Iterator[None]:
    """Another thread hashes until the block ends, and as many as may wait do so."""
    release, entered = threading.Event(), threading.Event()

    def hash_password() -> None:
        with hashing_slot():
            entered.set()
            release.wait(20)

    with ExitStack() as stack, ThreadPoolExecutor() as threads:
        for _ in range(MAX_WAITING_THREADS):
            stack.enter_context(queue_slots)
        threads.submit(hash_password)
        entered.wait(20)
        try:
            yield
        finally:
            release.set()


def test_a_thread_may_enter_again() -> None:
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(hashing_slot())


def test_a_waiting_thread_enters_when_the_slot_is_free() -> None:
    entered = threading.Event()

    def wait() -> None:
        with hashing_slot():
            entered.set()

    with hashing_slot():
        thread = threading.Thread(target=wait)
        thread.start()
        assert not entered.wait(0.05)
    thread.join(20)
    assert entered.is_set()


def test_every_hash_needs_the_slot() -> None:
    with busy_process():
        for call in (
            lambda: make_password("x"),
            lambda: check_password("x", PASSWORD_HASH),
            lambda: make_password("x", hasher="bcrypt"),
            lambda: check_password("x", "bcrypt$$2b$04$" + "a" * 53),
        ):
            with pytest.raises(ServiceUnavailable):
                call()
    assert check_password(PASSWORD, PASSWORD_HASH)


@pytest.mark.django_db
def test_sign_ins_beyond_the_queue_get_503_and_work_afterwards(api: APIClient, owner: User) -> None:
    body = {"username": "owner", "password": PASSWORD}
    with busy_process():
        refused = [api.post(LOGIN, body) for _ in range(12)]
        assert api.get("/health").status_code == 200
    assert {response.status_code for response in refused} == {503}
    assert {response["Retry-After"] for response in refused} == {"2"}
    assert refused[0]["Content-Type"] == "application/problem+json"
    assert refused[0].json()["detail"].startswith(BUSY)
    # The refused attempts are no failed ones.
    assert api.post(LOGIN, body).status_code == 200


@pytest.mark.django_db
def test_sign_up_and_password_change_get_503_too(api: APIClient, as_user: Any, owner: User) -> None:
    client, sign_up = as_user(owner), {"email": "new@example.org", "password": PASSWORD}
    change = {"current_password": PASSWORD, "new_password": "violet-anchor-42"}
    with busy_process():
        assert api.post("/api/v1/auth/signup", sign_up).status_code == 503
        assert client.post("/api/v1/auth/password/change", change).status_code == 503
    assert not User.objects.filter(email="new@example.org").exists()
    assert api.post("/api/v1/auth/signup", sign_up).status_code == 201
    assert client.post("/api/v1/auth/password/change", change).status_code == 204


@pytest.mark.django_db
def test_the_admin_site_answers_with_a_page(superuser: User) -> None:
    browser = Client(headers={"accept": "text/html"})
    form = {"username": "super", "password": PASSWORD}
    with busy_process():
        response = browser.post("/admin/login/", form)
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert response["Content-Type"].startswith("text/html")
    assert BUSY in response.content.decode()
    assert browser.post("/admin/login/", form).status_code == 302
