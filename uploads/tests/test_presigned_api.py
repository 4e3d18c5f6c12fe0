import base64
import hashlib
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Company
from common.ids import uuid7
from uploads.counters import COUNTER_FIELDS
from uploads.models import PresignedUpload, Project, Session, SessionFile
from uploads.tasks import delete_expired_urls
from uploads.tests.factories import SessionFileFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/uploads/presigned-url"
BODY = b"depth,temp\n1,4.2\n"


@pytest.fixture(autouse=True)
def bucket(settings: Any, tmp_path: Path) -> Path:
    """The folder of the bucket of `project`."""
    uploads = settings.STORAGES["uploads"]
    options = {**uploads["OPTIONS"], "root": tmp_path}
    settings.STORAGES = {**settings.STORAGES, "uploads": {**uploads, "OPTIONS": options}}
    return tmp_path / "acme" / "field-data"


def presign(client: APIClient, session: Session, key: str = "day 1/ö.csv") -> Any:
    return client.post(URL, {"session_id": str(session.pk), "file_key": key})


def send(api: APIClient, url: str, body: bytes = BODY, **headers: Any) -> Any:
    headers = {"CONTENT_LENGTH": str(len(body))} | headers
    return api.put(url, data=body, content_type="text/csv", **headers)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def send_half(port: int, path: str) -> bytes:
    """Send less than the `Content-Length` and return the response."""
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as client_socket:
        client_socket.sendall(head.encode() + BODY)
        client_socket.shutdown(socket.SHUT_WR)
        return client_socket.recv(1000)


class TestPresign:
    @pytest.mark.parametrize("who", ["colleague", "admin", "worker_account", "superuser"])
    def test_each_role_gets_a_url_with_its_method_and_expiry(
        self, as_user: Any, session: Session, who: str, request: pytest.FixtureRequest
    ) -> None:
        response = presign(as_user(request.getfixturevalue(who)), session)
        assert response.status_code == 200
        body = response.json()
        assert body["url"].startswith("http://testserver/api/v1/uploads/direct/")
        assert (body["method"], body["headers"], body["expires_in"]) == ("PUT", {}, 3600)
        assert body["expires_at"] > timezone.now().isoformat()

    def test_the_key_begins_with_the_sessions_prefix(self, client: APIClient, cycle: Any) -> None:
        session = Session.objects.create(
            company=cycle.company,
            user=cycle.company.users.first(),
            project=cycle.project,
            cycle=cycle,
            local_directory=".",
            prefix="2026/spring",
        )
        assert presign(client, session, "a/b.csv").json()["key"] == "2026/spring/a/b.csv"
        response = presign(client, session, "/".join(["x" * 200] * 5 + ["y" * 15]))
        assert response.status_code == 400

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "..",
            "../x",
            "/etc/passwd",
            "a/../b",
            "a//b",
            "a/",
            "a\0b",
            "a\nb",
            "a\\b",
            None,
            7.5,
        ],
    )
    def test_an_invalid_key_is_rejected(
        self, client: APIClient, session: Session, errors: Any, key: Any
    ) -> None:
        if key == 7.5:
            key = [key]
        assert [field for field, _ in errors(presign(client, session, key))] == ["file_key"]

    def test_invalid_and_unknown_fields_are_rejected(self, client: APIClient, errors: Any) -> None:
        response = client.post(URL, {"session_id": "x", "file_key": "a", "size": 1})
        assert {field for field, _ in errors(response)} == {"session_id", "size"}

    def test_a_session_of_another_company_gets_404(
        self, outsider_client: APIClient, session: Session
    ) -> None:
        assert presign(outsider_client, session).status_code == 404

    @pytest.mark.parametrize("status", ["completed", "partial", "failed", "cancelled"])
    def test_a_session_that_has_ended_gets_no_url(
        self, client: APIClient, session: Session, status: str
    ) -> None:
        Session.objects.update(status=status)
        assert presign(client, session).status_code == 409

    def test_a_session_run_by_a_bureau_worker_gets_no_url(
        self, client: APIClient, session: Session
    ) -> None:
        session.start()
        Session.objects.claim(session.pk)
        assert presign(client, session).status_code == 409

    def test_a_session_of_an_inactive_project_gets_no_url(
        self, client: APIClient, session: Session
    ) -> None:
        Project.objects.update(is_active=False)
        assert presign(client, session).status_code == 409

    def test_a_file_that_the_session_has_gets_no_url(
        self, client: APIClient, session: Session
    ) -> None:
        SessionFileFactory(session=session, key="a", status="uploaded")
        assert presign(client, session, "a").status_code == 409

    def test_requests_with_the_same_idempotency_key_create_one_url(
        self, client: APIClient, session: Session
    ) -> None:
        sent = {"session_id": str(session.pk), "file_key": "a"}
        urls = {client.post(URL, sent, HTTP_IDEMPOTENCY_KEY="k").json()["url"] for _ in range(2)}
        assert len(urls) == PresignedUpload.objects.count() == 1


class TestReceive:
    def test_a_file_can_be_sent_without_a_token(
        self, client: APIClient, api: APIClient, session: Session, bucket: Path
    ) -> None:
        response = send(api, presign(client, session).json()["url"])
        assert response.status_code == 200
        sha256 = hashlib.sha256(BODY).hexdigest()
        assert response.json()["sha256"] == sha256
        assert (bucket / "day 1/ö.csv").read_bytes() == BODY
        file = client.get(f"/api/v1/sessions/{session.pk}/files").json()["items"][0]
        assert file == file | {
            "key": "day 1/ö.csv",
            "size": len(BODY),
            "sha256": sha256,
            "status": "uploaded",
        }

    def test_received_files_are_counted(
        self, client: APIClient, api: APIClient, session: Session
    ) -> None:
        for number in range(3):
            send(api, presign(client, session, f"{number}").json()["url"])
        shown = client.get(f"/api/v1/sessions/{session.pk}").json()
        counters = {"total_files": 3, "files_uploaded": 3, "files_failed": 0}
        sizes = dict.fromkeys(("total_size_bytes", "bytes_uploaded"), 3 * len(BODY))
        assert shown == shown | counters | sizes | {"status": "pending"}

    def test_a_received_file_is_counted_after_the_largest_report(
        self, client: APIClient, api: APIClient, worker_client: APIClient, session: Session
    ) -> None:
        counters = {name: 2**53 if "bytes" in name else 500_000_000 for name in COUNTER_FIELDS}
        sent = worker_client.put(f"/api/v1/sessions/{session.pk}", counters)
        assert sent.status_code == 200
        assert send(api, presign(client, session).json()["url"]).status_code == 200

    def test_an_empty_file_can_be_sent(
        self, client: APIClient, api: APIClient, session: Session, bucket: Path
    ) -> None:
        assert send(api, presign(client, session, "a").json()["url"], b"").status_code == 200
        assert (bucket / "a").read_bytes() == b""

    def test_a_url_works_once(
        self, client: APIClient, api: APIClient, session: Session, bucket: Path
    ) -> None:
        url = presign(client, session, "a").json()["url"]
        assert send(api, url).status_code == 200
        assert send(api, url, b"other").status_code == 409
        assert (bucket / "a").read_bytes() == BODY

    @pytest.mark.django_db(transaction=True)
    def test_of_concurrent_bodies_one_is_stored(
        self, client: APIClient, session: Session, bucket: Path
    ) -> None:
        url = presign(client, session, "a").json()["url"]

        def put(number: int) -> tuple[int, bytes]:
            body = str(number).encode() * 100_000
            try:
                return send(APIClient(), url, body).status_code, body
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(put, range(6)))
        assert sorted(code for code, _ in answers) == [200] + 5 * [409]
        assert files_in(bucket.parents[1]) == [bucket / "a"]
        assert (200, (bucket / "a").read_bytes()) in answers
        session.refresh_from_db()
        assert (session.files_uploaded, session.bytes_uploaded) == (1, 100_000)

    @pytest.mark.django_db(transaction=True)
    def test_a_partial_body_is_discarded_and_may_be_sent_again(
        self, client: APIClient, api: APIClient, session: Session, bucket: Path, live_server: Any
    ) -> None:
        url = urlsplit(presign(client, session, "a").json()["url"])
        answer = send_half(live_server.thread.port, f"{url.path}?{url.query}")
        assert answer.startswith(b"HTTP/1.1 400")
        assert not SessionFile.objects.exists()
        assert files_in(bucket.parents[1]) == []
        assert send(api, url.geturl()).status_code == 200

    def test_bytes_after_the_content_length_are_ignored(
        self, client: APIClient, api: APIClient, session: Session, bucket: Path
    ) -> None:
        url = presign(client, session, "a").json()["url"]
        assert send(api, url, CONTENT_LENGTH="5").status_code == 200
        assert (bucket / "a").read_bytes() == BODY[:5]

    @pytest.mark.parametrize(
        "headers",
        [{"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "-1"}, {"HTTP_TRANSFER_ENCODING": "x"}],
    )
    def test_a_body_of_unknown_length_is_rejected(
        self, client: APIClient, api: APIClient, session: Session, headers: dict
    ) -> None:
        url = presign(client, session, "a").json()["url"]
        assert send(api, url, **headers).status_code == 411

    def test_a_body_that_is_too_large_is_rejected(
        self, client: APIClient, api: APIClient, session: Session, settings: Any
    ) -> None:
        settings.UPLOAD_URL_MAX_BYTES = 5
        assert send(api, presign(client, session).json()["url"]).status_code == 413

    def test_a_url_with_a_changed_expiry_is_rejected(
        self, client: APIClient, api: APIClient, session: Session
    ) -> None:
        url = presign(client, session).json()["url"]
        upload = PresignedUpload.objects.get()
        upload.expires_at = timezone.now() - timedelta(seconds=1)
        upload.save()
        assert send(api, url).json()["code"] == "bad_signature"

    def test_an_expired_url_is_rejected(
        self, client: APIClient, api: APIClient, session: Session, settings: Any
    ) -> None:
        settings.UPLOAD_URL_SECONDS = -1
        response = send(api, presign(client, session).json()["url"])
        assert (response.status_code, response.json()["code"]) == (403, "expired")

    @pytest.mark.parametrize("signature", ["", "?signature=", "?signature=a:ö", "?signature=\0"])
    def test_a_forged_signature_is_rejected(
        self, client: APIClient, api: APIClient, session: Session, signature: str
    ) -> None:
        url = presign(client, session).json()["url"].partition("?")[0]
        assert send(api, url + signature).status_code == 403
        assert send(api, f"/api/v1/uploads/direct/{uuid7()}{signature}").status_code == 403

    @pytest.mark.parametrize("field", ["key", "bucket"])
    def test_a_signature_for_another_key_or_bucket_is_rejected(
        self, client: APIClient, api: APIClient, session: Session, field: str
    ) -> None:
        url = presign(client, session).json()["url"]
        PresignedUpload.objects.update(**{field: "else-where"})
        assert send(api, url).json()["code"] == "bad_signature"

    @pytest.mark.parametrize(
        "change",
        [
            lambda owner, by: services.deactivate_user(owner, by=by),
            lambda owner, by: services.delete_user(owner, by=by),
            lambda owner, by: services.change_role(owner, role="worker", by=by),
            lambda owner, by: services.end_all_sessions(owner, by=by),
            lambda owner, by: services.change_password(owner, password="violet-anchor-42", by=by),
            lambda owner, by: services.change_password(
                owner, password="violet-anchor-42", by=by, keep_login=owner.logins.get()
            ),
            lambda owner, by: services.update_company(owner.company, by=by, is_active=False),
            lambda owner, by: services.update_user(owner, by=by, company=by.company),
        ],
        ids=[
            *("deactivated", "deleted", "demoted", "sessions-ended", "password-changed"),
            *("password-changed-here", "company-closed", "moved"),
        ],
    )
    def test_a_url_ends_with_the_rights_of_its_user(
        self,
        as_user: Any,
        api: APIClient,
        session: Session,
        owner: Any,
        superuser: Any,
        bucket: Path,
        change: Any,
    ) -> None:
        url = presign(as_user(owner), session).json()["url"]
        change(owner, superuser)
        response = send(api, url)
        assert (response.status_code, response.json()["code"]) == (403, "bad_signature")
        assert files_in(bucket.parents[1]) == []
        assert not SessionFile.objects.exists()

    def test_a_url_of_a_former_superuser_ends(
        self, as_user: Any, api: APIClient, session: Session, superuser: Any
    ) -> None:
        url = presign(as_user(superuser), session).json()["url"]
        services.update_user(superuser, by=superuser, is_superuser=False)
        assert send(api, url).status_code == 403

    def test_a_url_works_after_another_user_changes(
        self, as_user: Any, api: APIClient, session: Session, owner: Any, colleague: Any
    ) -> None:
        url = presign(as_user(owner), session).json()["url"]
        services.deactivate_user(colleague, by=owner)
        assert send(api, url).status_code == 200

    def test_a_url_works_after_key_rotation(
        self, client: APIClient, api: APIClient, session: Session, settings: Any
    ) -> None:
        url = presign(client, session).json()["url"]
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-key-of-more-than-32-characters"
        assert send(api, url).status_code == 200

    def test_a_url_without_a_user_is_rejected(
        self, client: APIClient, api: APIClient, session: Session
    ) -> None:
        url = presign(client, session).json()["url"]
        PresignedUpload.objects.update(user=None)
        assert send(api, url).status_code == 403

    @pytest.mark.parametrize("who", ["colleague", "superuser"])
    def test_a_closed_project_or_company_takes_no_file(
        self,
        as_user: Any,
        api: APIClient,
        session: Session,
        who: str,
        request: pytest.FixtureRequest,
    ) -> None:
        client = as_user(request.getfixturevalue(who))
        url = presign(client, session).json()["url"]
        Project.objects.update(is_active=False)
        assert send(api, url).status_code == 409
        Project.objects.update(is_active=True)
        Company.objects.filter(pk=session.company_id).update(is_active=False)
        assert send(api, url).status_code == (409 if who == "superuser" else 403)
        assert presign(client, session).status_code == (409 if who == "superuser" else 401)

    def test_one_query_checks_the_url(
        self, client: APIClient, api: APIClient, session: Session, count_queries: Any
    ) -> None:
        url = presign(client, session).json()["url"]
        PresignedUpload.objects.update(used_at=timezone.now())
        assert count_queries(lambda: send(api, url)) == 1

    def test_a_session_that_has_ended_takes_no_file(
        self, client: APIClient, api: APIClient, session: Session, bucket: Path
    ) -> None:
        url = presign(client, session).json()["url"]
        session.cancel()
        assert send(api, url).status_code == 409
        assert files_in(bucket.parents[1]) == []

    def test_a_key_below_another_objects_key_is_rejected_and_the_reverse(
        self, client: APIClient, api: APIClient, session: Session
    ) -> None:
        assert send(api, presign(client, session, "a/b").json()["url"]).status_code == 200
        assert send(api, presign(client, session, "a").json()["url"]).status_code == 409
        assert send(api, presign(client, session, "a/b/c").json()["url"]).status_code == 409
        assert SessionFile.objects.count() == 1

    def test_other_methods_are_not_allowed(
        self, client: APIClient, api: APIClient, session: Any
    ) -> None:
        url = presign(client, session).json()["url"]
        assert api.get(url).status_code == api.post(url).status_code == 405


SHA256 = hashlib.sha256(BODY).digest()
SHA512 = hashlib.sha512(BODY).digest()
MD5 = hashlib.md5(BODY, usedforsecurity=False).digest()
SHA1 = hashlib.sha1(BODY, usedforsecurity=False).digest()


def encode(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


# The value of a Content-Digest or Repr-Digest, and the status of the response.
DIGEST_FIELDS = [
    (f"sha-256=:{encode(SHA256)}:", 200),
    (f"md5=:{encode(MD5)}:, sha=:{encode(SHA1)}:", 200),
    (f"sha-512=:{encode(SHA512)}:,sha-256=:{encode(SHA256)}:", 200),
    (f"unixsum=:AAAA:, sha-256=:{encode(SHA256)}:", 200),
    (f"sha-256=:{encode(SHA256)}:, sha-512=:{encode(SHA512[::-1])}:", 400),
    (f"sha-256=:{encode(SHA512)}:", 400),
    (f"sha-256={encode(SHA256)}", 400),
    ("unixsum=:AAAA:", 400),
    ("", 400),
]


class TestDigests:
    """A body must match each digest that was sent with it."""

    @pytest.mark.parametrize(
        ("header", "algorithm"),
        [
            ("Content-MD5", "md5"),
            ("x-amz-checksum-sha256", "sha256"),
            ("x-amz-checksum-sha1", "sha1"),
        ],
    )
    def test_a_single_digest_is_checked(
        self,
        client: APIClient,
        api: APIClient,
        session: Session,
        bucket: Path,
        header: str,
        algorithm: str,
    ) -> None:
        url = presign(client, session).json()["url"]
        right, wrong = (encode(hashlib.new(algorithm, body).digest()) for body in (BODY, b"x"))
        for value in (wrong, "", "nonsense", right[:8], "ö"):
            response = send(api, url, headers={header: value})
            assert (response.status_code, response.json()["code"]) == (400, "bad_digest")
            assert header in response.json()["detail"]
        assert not SessionFile.objects.exists()
        assert files_in(bucket.parents[1]) == []
        assert send(api, url, headers={header: right}).status_code == 200

    @pytest.mark.parametrize(
        ("header", "value", "status"),
        [
            *(("Content-Digest", *row) for row in DIGEST_FIELDS),
            *(("Repr-Digest", *row) for row in DIGEST_FIELDS),
            ("Digest", f"SHA-256={encode(SHA256)}", 200),
            ("Digest", f"md5={encode(MD5)},unixsum=30637", 200),
            ("Digest", f"sha-256={encode(SHA256[::-1])}", 400),
            ("Digest", "unixsum=30637", 400),
            ("Digest", "", 400),
            ("x-amz-content-sha256", SHA256.hex(), 200),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD", 200),
            ("x-amz-content-sha256", SHA256[::-1].hex(), 400),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", 400),
            ("x-amz-content-sha256", "", 400),
        ],
    )
    def test_a_digest_in_a_header_is_checked(
        self,
        client: APIClient,
        api: APIClient,
        session: Session,
        header: str,
        value: str,
        status: int,
    ) -> None:
        url = presign(client, session).json()["url"]
        assert send(api, url, headers={header: value}).status_code == status
        assert SessionFile.objects.exists() == (status == 200)

    def test_a_digest_that_cannot_be_checked_is_named(
        self, client: APIClient, api: APIClient, session: Session
    ) -> None:
        url = presign(client, session).json()["url"]
        response = send(api, url, headers={"x-amz-checksum-crc32c": "AAAAAA=="})
        assert response.status_code == 400
        assert "crc32c" in response.json()["detail"].lower()

    @pytest.mark.parametrize("value", ["bytes 0-4/10", f"bytes 0-{len(BODY) - 1}/{len(BODY)}", ""])
    def test_a_part_of_a_file_is_rejected(
        self, client: APIClient, api: APIClient, session: Session, value: str
    ) -> None:
        url = presign(client, session).json()["url"]
        response = send(api, url, headers={"Content-Range": value})
        assert response.status_code == 400
        assert "Content-Range" in response.json()["detail"]
        assert not SessionFile.objects.exists()
        assert send(api, url).status_code == 200


def test_expired_urls_are_deleted_with_their_leftover_files(
    client: APIClient, session: Session, bucket: Path
) -> None:
    presign(client, session, "old")
    upload = PresignedUpload.objects.get()
    leftover = bucket.parents[1] / ".incoming/acme/field-data" / f"{upload.pk}.abc.0"
    leftover.write_bytes(BODY)
    PresignedUpload.objects.update(expires_at=timezone.now() - timedelta(days=2))
    presign(client, session, "new")
    assert delete_expired_urls() == 0  # The end of the session will report the missing file.
    session.cancel()
    assert delete_expired_urls() == 1
    assert PresignedUpload.objects.get().key == "new"
    assert not leftover.exists()
