"""Names of files in forms, in each way in which clients encode them."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from notes.file_names import clean_file_name
from notes.models import SummarySource

FORM = "multipart/form-data; boundary=b"
CONTENT = b"The pump \xe9 failed.\r\n--c\r\nContent-Disposition: form-data; name=\xe9\r\n"


def send(client: APIClient, disposition: bytes) -> Any:
    """Send a file, after a field with text, by a raw form."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\nGerman\r\n'
        b"--b\r\nContent-Type: text/plain\r\n"
        b'Content-Disposition: form-data; name="file"; ' + disposition + b"\r\n\r\n"
        b"" + CONTENT + b"\r\n--b--\r\n"
    )
    return client.post("/api/v1/summaries", body, content_type=FORM)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('filename="Übersicht.txt"'.encode(), "Übersicht.txt"),
        ('filename="Übersicht.txt"'.encode("latin-1"), "Übersicht.txt"),
        ("filename=Übersicht.txt".encode("latin-1"), "Übersicht.txt"),
        ('filename="Größe 5 – naïve.txt"'.encode("cp1252"), "Größe 5 _ naïve.txt"),
        (b"filename*=UTF-8''%C3%9Cbersicht.txt", "Übersicht.txt"),
        (b"filename*=utf-8'de'%c3%9cbersicht.txt", "Übersicht.txt"),
        (b"filename*=ISO-8859-1''%DCbersicht.txt", "Übersicht.txt"),
        (b"filename=\"x.txt\"; filename*=UTF-8''%C3%9Cbersicht.txt", "Übersicht.txt"),
        (b'filename="%C3%9Cbersicht.txt"', "Übersicht.txt"),
        (b'filename="100%25 %DC.txt"', "100_25 _DC.txt"),
        ('filename="U\u0308bersicht.txt"'.encode(), "Übersicht.txt"),
        ('filename="हिन्दी ไทย 日本.txt"'.encode(), "हिन्दी ไทย 日本.txt"),
        (b'filename="a\\"b.txt"', "a_b.txt"),
        (b'filename="../../etc/passwd.txt"', "passwd.txt"),
    ],
)
def test_the_name_is_read(as_user: Any, owner: User, disposition: bytes, name: str) -> None:
    response = send(as_user(owner), disposition)
    assert response.status_code == 202, response.content
    assert (response.json()["file_name"], response.json()["language"]) == (name, "German")
    assert bytes(SummarySource.objects.get().file) == CONTENT


@pytest.mark.django_db
@pytest.mark.parametrize(
    "disposition",
    [b"filename*=bogus''x.txt", b"filename*=UTF-8''%ZZ%FF", b'filename="\x81\x8d\0"', b"filename="],
)
def test_a_name_that_can_not_be_read_is_no_server_error(
    as_user: Any, owner: User, disposition: bytes
) -> None:
    assert send(as_user(owner), disposition).status_code in (202, 400)


@pytest.mark.django_db
@pytest.mark.parametrize("content_type", ["multipart/form-data", FORM, f"{FORM}; charset=utf-8"])
def test_a_malformed_form_is_refused(as_user: Any, owner: User, content_type: str) -> None:
    response = as_user(owner).post("/api/v1/summaries", b"\xff\r\n", content_type=content_type)
    assert response.status_code == 400


def test_names_are_cut() -> None:
    assert clean_file_name("ü" * 300) == "ü" * 255
