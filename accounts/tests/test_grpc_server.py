"""The gRPC server, called over real channels."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import jwt
import psycopg
import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1.health_pb2 import DESCRIPTOR as HEALTH
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_reflection.v1alpha.reflection_pb2 import DESCRIPTOR as REFLECTION
from grpc_reflection.v1alpha.reflection_pb2 import ExtensionRequest, ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from accounts.authentication import AccessTokenAuthentication
from accounts.grpc.auth_pb2 import DESCRIPTOR as AUTH
from accounts.grpc.auth_pb2 import ValidateTokenRequest, ValidateTokenResponse
from accounts.grpc.auth_pb2_grpc import AuthServiceStub
from accounts.grpc.server import AuthServer, AuthService
from accounts.models import Company, Login, User
from accounts.services import start_login
from accounts.tokens import AccessToken, RefreshToken
from common.tests.support import eventually, lock_table
from common.tests.support.worker import database_url

METHOD = "/auth.AuthService/ValidateToken"
REPOSITORY = Path(__file__).parents[2]
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN
SERVICES = [
    service for file in (AUTH, HEALTH, REFLECTION) for service in file.services_by_name.values()
]
THREADS = 4
INVALID_CLAIMS: list[dict[str, Any]] = [
    {"exp": 1_600_000_000},
    {"exp": None},
    {"nbf": 4_000_000_000},
    {"aud": "other"},
    {"iss": "other"},
    {"type": "refresh"},
    {"ver": 7},
    {"sid": "00000000-0000-7000-8000-000000000000"},
    {"sub": "a\x00b"},
    {"key": "another-key-of-at-least-32-characters"},
    {"algorithm": "HS512"},
]


@contextmanager
def channel_to(port: int) -> Iterator[grpc.Channel]:
    options = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_reconnect_backoff_ms", 100),
    ]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        yield channel


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = AuthServer("127.0.0.1", 0, threads=THREADS)
    yield server.start()
    server.stop(timeout_s=0)


@pytest.fixture(scope="module")
def channel(port: int) -> Iterator[grpc.Channel]:
    with channel_to(port) as channel:
        yield channel


@pytest.fixture
def validate(channel: grpc.Channel) -> Callable[..., ValidateTokenResponse]:
    stub = AuthServiceStub(channel)
    return lambda token: stub.ValidateToken(ValidateTokenRequest(token=str(token)), timeout=15)


@pytest.fixture
def login(transactional_db: None, owner: User) -> Login:
    """A login of the owner; a test without it must not query the database."""
    return start_login(owner, request=RequestFactory().get("/"))


@pytest.fixture
def token(login: Login) -> AccessToken:
    return AccessToken.for_login(login)


def get_refusal(response: ValidateTokenResponse) -> str:
    """Return the error of a response that says the token is invalid, and check the rest."""
    assert response == ValidateTokenResponse(valid=False, error=response.error)
    assert response.HasField("valid")
    assert response.error.endswith(".")
    return response.error


def forge_token(token: AccessToken, key: str = "", algorithm: str = "HS256", **changes: Any) -> str:
    claims = {k: v for k, v in {**token.payload, **changes}.items() if v is not None}
    return jwt.encode(claims, key or django_settings.SECRET_KEY, algorithm=algorithm)


class TestValidateToken:
    def test_a_valid_token_returns_its_user(
        self, validate: Any, token: AccessToken, owner: User
    ) -> None:
        assert validate(token) == ValidateTokenResponse(
            valid=True,
            user_id=str(owner.pk),
            email=owner.email,
            username="owner",
            role="agent",
            company_id=str(owner.company_id),
            expires_at=datetime.fromtimestamp(token["exp"], UTC).isoformat()[:19] + "Z",
        )

    def test_validation_needs_one_query(self, token: AccessToken, count_queries: Any) -> None:
        def validate(encoded: str) -> ValidateTokenResponse:
            return AuthService().ValidateToken(ValidateTokenRequest(token=encoded), None)

        assert count_queries(lambda: validate(str(token))) == 1
        assert count_queries(lambda: validate("nonsense")) == 0

    def test_wrong_claims_are_refused(self, validate: Any, token: AccessToken) -> None:
        for changes in INVALID_CLAIMS:
            assert get_refusal(validate(forge_token(token, **changes))), changes

    @pytest.mark.parametrize("exp", [10**20, 1e300, "x", [], None], ids=str)
    def test_a_wrong_expiry_is_refused_in_plain_words(
        self, validate: Any, token: AccessToken, exp: Any
    ) -> None:
        error = get_refusal(validate(forge_token(token, exp=exp)))
        assert error in ("Token is invalid.", "Token has no 'exp' claim.")

    def test_an_unsigned_token_is_refused(self, validate: Any, token: AccessToken) -> None:
        get_refusal(validate(jwt.encode(token.payload, None, algorithm="none")))

    def test_a_refresh_token_is_refused(self, validate: Any, login: Login) -> None:
        get_refusal(validate(RefreshToken.for_login(login)))

    @pytest.mark.parametrize(
        "garbage",
        [
            "",
            "x",
            "a.b.c",
            "ünïcödé.🔑.",
            "a\x00b",
            "e30.e30.e30",
            "A" * 1_000_000,
            "." * 1_000_000,
        ],
        ids=lambda text: ascii(text[:12]),
    )
    def test_malformed_tokens_are_refused(self, validate: Any, garbage: str) -> None:
        assert get_refusal(validate(garbage)) == "Token is invalid."

    @pytest.mark.parametrize(
        "end",
        [
            lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
            lambda user: User.objects.filter(pk=user.pk).update(deleted_at=timezone.now()),
            lambda user: User.objects.filter(pk=user.pk).update(token_version=1),
            lambda user: Company.objects.filter(pk=user.company_id).update(is_active=False),
            lambda user: Login.objects.filter(user=user).update(ended_at=timezone.now()),
            lambda user: Login.objects.filter(user=user).delete(),
        ],
        ids=[
            "user inactive",
            "user deleted",
            "tokens revoked",
            "company inactive",
            "login ended",
            "login deleted",
        ],
    )
    def test_a_revocation_applies_to_the_next_call(
        self, validate: Any, token: AccessToken, owner: User, end: Callable[[User], Any]
    ) -> None:
        assert validate(token).valid
        end(owner)
        get_refusal(validate(token))

    def test_a_message_over_four_megabytes_is_refused(self, validate: Any) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            validate("A" * 5_000_000)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED

    def test_a_malformed_message_is_refused(self, channel: grpc.Channel) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(METHOD)(b"\x0a\x02\xff\xfe", timeout=5)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


class TestDatabase:
    def test_many_calls_share_one_connection_per_thread(
        self, validate: Any, token: AccessToken
    ) -> None:
        pool = connection.pool
        opened = pool.get_stats().get("connections_num", 0)
        with ThreadPoolExecutor(8) as clients:
            responses = list(clients.map(validate, [token] * 1000))
        assert all(response.valid for response in responses)
        stats = pool.get_stats()
        assert stats["connections_num"] - opened <= THREADS
        assert stats["pool_size"] - stats["pool_available"] == 1  # the connection of this thread

    def test_an_outage_is_reported_and_recovered_from(
        self, validate: Any, token: AccessToken
    ) -> None:
        assert validate(token).valid
        with database_unavailable():
            connection.pool.timeout = 0.3
            with pytest.raises(grpc.RpcError) as refused:
                validate(token)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
            detail = "The database is not available. Try again soon."
            assert refused.value.details() == detail
            assert not validate("nonsense").valid
        connection.close_pool()
        assert validate(token).valid

    def test_calls_of_clients_that_gave_up_are_not_run(
        self, channel: grpc.Channel, validate: Any, token: AccessToken, caplog: Any
    ) -> None:
        request = ValidateTokenRequest(token=str(token))
        with lock_table(Login):
            calls = [
                AuthServiceStub(channel).ValidateToken.future(request, timeout=1)
                for _ in range(5 * THREADS)
            ]
            eventually(lambda: count_lock_waits() == THREADS, "each thread runs a call")
            assert {call.code() for call in calls} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert validate(token).valid
        eventually(lambda: len(get_log_lines(caplog)) == THREADS + 1, "the threads are free again")


@contextmanager
def database_unavailable() -> Iterator[None]:
    """End all connections and refuse new ones, as during a restart."""
    name = connection.settings_dict["NAME"]
    connection.close()
    with psycopg.connect(database_url(), dbname="postgres", autocommit=True) as admin_connection:
        admin_connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            admin_connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            admin_connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.fixture
def _broken_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_user(*_: Any) -> None:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(AccessTokenAuthentication, "get_user", get_user)


def get_log_lines(caplog: Any) -> list[dict[str, Any]]:
    return [r.msg for r in caplog.records if isinstance(r.msg, dict) and r.msg["event"] == "grpc"]


class TestCallInterceptor:
    def call(self, channel: grpc.Channel, token: Any, *metadata: tuple[str, str]) -> Any:
        request = ValidateTokenRequest(token=str(token))
        return AuthServiceStub(channel).ValidateToken.with_call(request, metadata=metadata)[1]

    def test_each_call_is_logged_in_one_line(
        self, channel: grpc.Channel, token: AccessToken, owner: User, caplog: Any
    ) -> None:
        self.call(channel, token, ("x-request-id", "mine-1"))
        self.call(channel, "nonsense", ("x-request-id", "mine-2"))
        eventually(lambda: len(get_log_lines(caplog)) == 2, "both are logged")
        valid, invalid = get_log_lines(caplog)
        assert valid.pop("ms") >= 0
        assert (valid["method"], valid["code"], valid["request_id"]) == (METHOD, "OK", "mine-1")
        assert (valid["user"], valid["company"]) == (str(owner.pk), str(owner.company_id))
        assert invalid["request_id"] == "mine-2"
        assert "user" not in invalid
        assert str(token) not in caplog.text

    def test_the_request_id_is_returned(self, channel: grpc.Channel) -> None:
        call = self.call(channel, "", ("x-request-id", "mine-1"))
        assert dict(call.initial_metadata())["x-request-id"] == "mine-1"

    @pytest.mark.parametrize("request_id", ["two words", "x" * 129, ""])
    def test_an_invalid_request_id_is_replaced(
        self, channel: grpc.Channel, request_id: str
    ) -> None:
        call = self.call(channel, "", ("x-request-id", request_id))
        assert len(dict(call.initial_metadata())["x-request-id"]) == 36

    @pytest.mark.usefixtures("_broken_authentication")
    def test_an_internal_error_is_only_in_the_log(
        self, channel: grpc.Channel, token: AccessToken, caplog: Any
    ) -> None:
        with pytest.raises(grpc.RpcError) as failed:
            self.call(channel, token, ("x-request-id", "mine-1"))
        assert failed.value.code() == grpc.StatusCode.INTERNAL
        assert "swordfish" not in str(failed.value)
        assert dict(failed.value.initial_metadata())["x-request-id"] == "mine-1"
        assert "swordfish" in caplog.text
        assert "Traceback" in caplog.text
        assert get_log_lines(caplog)[0]["code"] == "INTERNAL"
        assert str(token) not in caplog.text


class TestReflection:
    def test_a_client_needs_no_generated_code(
        self, channel: grpc.Channel, token: AccessToken
    ) -> None:
        """Call the service as grpcurl does, with only the descriptions from the server."""
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        method = pool.FindServiceByName("auth.AuthService").FindMethodByName("ValidateToken")
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        call = channel.unary_unary(METHOD, request.SerializeToString, response.FromString)
        assert MessageToDict(call(request(token=str(token))))["username"] == "owner"
        refused = MessageToDict(call(request(token="nonsense")))
        assert refused == {"valid": False, "error": "Token is invalid."}

    def test_lists_the_services(self, channel: grpc.Channel) -> None:
        assert set(ProtoReflectionDescriptorDatabase(channel).get_services()) == {
            "auth.AuthService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }

    def test_open_reflection_streams_delay_no_call(
        self, channel: grpc.Channel, validate: Any, token: AccessToken
    ) -> None:
        end = threading.Event()

        def keep_open() -> Iterator[ServerReflectionRequest]:
            yield ServerReflectionRequest(list_services="")
            end.wait()

        reflect = ServerReflectionStub(channel).ServerReflectionInfo
        streams = [reflect(keep_open()) for _ in range(3 * THREADS)]
        next(streams[0])
        assert validate(token).valid
        end.set()
        for stream in streams:
            stream.cancel()


class TestHealth:
    @pytest.mark.parametrize("service", ["", "auth.AuthService"])
    def test_reports_serving(self, channel: grpc.Channel, service: str) -> None:
        response = HealthStub(channel).Check(HealthCheckRequest(service=service))
        assert response.status == SERVING

    def test_an_unknown_service_is_not_found(self, channel: grpc.Channel) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            HealthStub(channel).Check(HealthCheckRequest(service="other"))
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND

    def test_lists_all_statuses(self, channel: grpc.Channel) -> None:
        response = HealthStub(channel).List(HealthListRequest())
        statuses = {name: check.status for name, check in response.statuses.items()}
        assert statuses == {"": SERVING, "auth.AuthService": SERVING}

    @pytest.mark.parametrize(
        ("service", "status"),
        [("", SERVING), ("auth.AuthService", SERVING), ("other", SERVICE_UNKNOWN)],
    )
    def test_a_watch_begins_with_the_status(
        self, channel: grpc.Channel, service: str, status: int
    ) -> None:
        watch = HealthStub(channel).Watch(HealthCheckRequest(service=service))
        assert next(watch).status == status
        watch.cancel()

    def test_answers_while_all_threads_wait(
        self, channel: grpc.Channel, token: AccessToken
    ) -> None:
        request = ValidateTokenRequest(token=str(token))
        with lock_table(Login):
            calls = [
                AuthServiceStub(channel).ValidateToken.future(request, timeout=15)
                for _ in range(2 * THREADS)
            ]
            response = HealthStub(channel).Check(HealthCheckRequest(), timeout=5)
            assert response.status == SERVING
            watch = HealthStub(channel).Watch(HealthCheckRequest(), timeout=5)
            assert next(watch).status == SERVING
            watch.cancel()
        assert all(call.result().valid for call in calls)


class TestUnusualCalls:
    """Each method of each service answers all messages with a status of gRPC, not a traceback."""

    @pytest.mark.parametrize(
        "method",
        [method for service in SERVICES for method in service.methods],
        ids=lambda method: method.full_name,
    )
    def test_a_malformed_message_is_an_invalid_argument(
        self, channel: grpc.Channel, method: Any, caplog: Any
    ) -> None:
        path = f"/{method.containing_service.full_name}/{method.name}"
        with pytest.raises(grpc.RpcError) as refused:
            list(channel.stream_stream(path)(iter([b"\xff\xff"]), timeout=5))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "Traceback" not in caplog.text

    @pytest.mark.parametrize(
        "path",
        [
            "/auth.AuthService/Other",
            "/grpc.health.v1.Health/Other",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/other.Service/ValidateToken",
            "/",
        ],
    )
    def test_unknown_methods_are_unimplemented(self, channel: grpc.Channel, path: str) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(path)(b"", timeout=5)
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED

    def test_reflection_does_not_know_other_things(
        self, channel: grpc.Channel, caplog: Any
    ) -> None:
        extension = ExtensionRequest(containing_type="auth.ValidateTokenRequest")
        unknown: list[dict[str, Any]] = [
            {"file_by_filename": "other.proto"},
            {"file_containing_symbol": "auth.Other"},
            {"file_containing_extension": ExtensionRequest(containing_type="auth.Other")},
            {"file_containing_extension": extension},
            {"all_extension_numbers_of_type": "auth.Other"},
            {},
        ]
        requests = [ServerReflectionRequest(**fields) for fields in unknown]
        answers = ServerReflectionStub(channel).ServerReflectionInfo(iter(requests), timeout=5)
        codes = [answer.error_response.error_code for answer in answers]
        not_found, invalid = (
            getattr(grpc.StatusCode, name).value[0] for name in ("NOT_FOUND", "INVALID_ARGUMENT")
        )
        assert codes == [not_found] * 5 + [invalid]
        assert "Traceback" not in caplog.text


class TestStop:
    def test_running_calls_finish_before_the_stop(self, token: AccessToken) -> None:
        server = AuthServer("127.0.0.1", 0, threads=1)
        with channel_to(server.start()) as channel, ThreadPoolExecutor(1) as stopper:
            watch = HealthStub(channel).Watch(HealthCheckRequest(service="auth.AuthService"))
            assert next(watch).status == SERVING
            with lock_table(Login):
                request = ValidateTokenRequest(token=str(token))
                call = AuthServiceStub(channel).ValidateToken.future(request)
                eventually(count_lock_waits, "the call has arrived")
                stopped = stopper.submit(server.stop, 10)
                assert next(watch).status == NOT_SERVING
                assert not stopped.done()
                watch.cancel()
            assert call.result().valid
            stopped.result(timeout=5)

    def test_signals_stop_the_command(self, token: AccessToken) -> None:
        with run_grpcserver() as (first, port), run_grpcserver() as (second, other_port):
            for process, address, number in (
                (first, port, signal.SIGTERM),
                (second, other_port, signal.SIGINT),
            ):
                with channel_to(address) as channel:
                    request = ValidateTokenRequest(token=str(token))
                    stub = AuthServiceStub(channel)
                    assert stub.ValidateToken(request, wait_for_ready=True, timeout=60).valid
                    process.send_signal(number)
                    assert process.wait(timeout=10) == 0

    def test_a_taken_port_is_reported(self, port: int) -> None:
        sentence = rf"Port {port} on 127.0.0.1 cannot be used \(Address already in use\): set GRPC"
        with pytest.raises(CommandError, match=sentence):
            call_command("grpcserver", host="127.0.0.1", port=port)

    def test_a_second_server_cannot_share_the_port(self, port: int) -> None:
        with pytest.raises(RuntimeError):
            AuthServer("127.0.0.1", port, threads=1).start()


def count_lock_waits() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0]


@contextmanager
def run_grpcserver() -> Iterator[tuple[subprocess.Popen, int]]:
    """Start the command as a process and return it with its port; it may not be ready yet."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "config.settings_for_tests",
        "DATABASE_URL": database_url(),
        "GRPC_PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "grpcserver"], cwd=REPOSITORY, env=os.environ | environment
    )
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


def test_the_generated_code_matches_the_proto(tmp_path: Path) -> None:
    bin_dir = Path(sys.executable).parent
    subprocess.run(
        ["make", "-o", ".venv/test.stamp", "proto", f"BIN={bin_dir}", f"PROTO_OUT={tmp_path}"],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        check=True,
    )
    generated = list((tmp_path / "accounts" / "grpc").iterdir())
    assert len(generated) == 3
    for file in generated:
        assert file.read_text() == (REPOSITORY / "accounts" / "grpc" / file.name).read_text()
