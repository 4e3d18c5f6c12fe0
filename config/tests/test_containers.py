"""Checks of the containers that need no Docker. `make smoke-test` runs their commands."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_file import ComposeFile

from config.environment import BASE_DIR, Environment

FILES = ("compose.yaml", "compose.prod.yaml")
DOCKER = BASE_DIR / "docker"
# Read by the Procfile and by the entrypoint.
OTHER_NAMES = {"WEB_WORKERS", "FLOWER_UNAUTHENTICATED_API", "FLOWER_BASIC_AUTH_FILE"}


@pytest.fixture(params=FILES)
def compose(request: pytest.FixtureRequest) -> ComposeFile:
    return ComposeFile(request.param, {"DOMAIN": "bureau.example.com"})


def own_services(compose: ComposeFile) -> dict[str, dict[str, Any]]:
    """Return the services that run an image of the Dockerfile."""
    return {name: service for name, service in compose.services.items() if "build" in service}


def test_compose_files_follow_the_specification() -> None:
    files = [str(BASE_DIR / "compose.yaml"), *(str(DOCKER / name) for name in FILES)]
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema"]
    done = subprocess.run([*command, "vendor.compose-spec", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_files_run_all_processes(compose: ComposeFile) -> None:
    procfile = re.findall(r"^(\w+):", (BASE_DIR / "Procfile").read_text(), re.M)
    assert {*procfile, "migrate", "flower", "postgres", "valkey"} <= set(compose.services)


def test_services_wait_only_for_services_with_a_health_check(compose: ComposeFile) -> None:
    for name, other, condition in compose.dependencies():
        assert other in compose.services, name
        if condition == "service_completed_successfully":
            assert compose.services[other]["restart"] == "no"
        else:
            checked = (
                compose.services[other].get("healthcheck") or "build" in compose.services[other]
            )
            assert (condition, bool(checked)) == ("service_healthy", True), name


def test_compose_files_set_only_known_variables(compose: ComposeFile) -> None:
    known = {name.upper() for name in Environment.model_fields}
    known |= {f"{name}_FILE" for name in known} | OTHER_NAMES
    for service in own_services(compose):
        assert set(compose.environment(service)) <= known, service


def test_every_volume_network_and_secret_is_defined(compose: ComposeFile) -> None:
    for name, service in compose.services.items():
        for kind in ("networks", "secrets"):
            assert set(service.get(kind, ())) <= set(compose.content.get(kind) or ()), name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source == "./sources":  # Docker creates it
                continue
            known = (
                (DOCKER / source).exists()
                if "/" in source
                else source in compose.content["volumes"]
            )
            assert known, volume


def test_every_secret_that_a_service_reads_is_defined_and_generated() -> None:
    compose = ComposeFile("compose.prod.yaml", {"DOMAIN": "bureau.example.com"})
    generated = set(re.findall(r"^create (\w+)", (DOCKER / "secrets.sh").read_text(), re.M))
    assert generated == set(compose.content["secrets"])
    for name, service in compose.services.items():
        text = " ".join(
            [*compose.environment(name).values(), *map(str, service.get("command", ()))]
        )
        if name == "prometheus":
            text = (DOCKER / "prometheus" / "prometheus.yml").read_text()
        read = set(re.findall(r"/run/secrets/(\w+)", text))
        assert read == set(service.get("secrets", ())), name


def test_production_containers_are_locked_down_and_limited() -> None:
    compose = ComposeFile("compose.prod.yaml", {"DOMAIN": "bureau.example.com"})
    for name, service in compose.services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        assert name == "migrate" or service["deploy"]["resources"]["limits"]["memory"], name
        public = [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")]
        assert not public or name == "caddy"


def test_production_requires_a_domain() -> None:
    with pytest.raises(KeyError, match="Set DOMAIN"):
        ComposeFile("compose.prod.yaml", {})


def test_development_ports_are_local() -> None:
    for service in ComposeFile("compose.yaml", {}).services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_dockerfile_pins_its_base_image_and_runs_unprivileged() -> None:
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    stages = [line.split() for line in lines if line.startswith("FROM ")]
    pinned = r"python:\d+\.\d+\.\d+-slim-bookworm@sha256:[0-9a-f]{64}"
    names = set()
    for _, source, _, name in stages:
        assert source in names or re.fullmatch(pinned, source)
        names.add(name)
    assert "USER 10001:10001" in lines
    for line in lines:
        if line.startswith(("CMD", "ENTRYPOINT")):
            assert isinstance(yaml.safe_load(line.split(maxsplit=1)[1]), list), "exec form"
    targets = {s["build"]["target"] for s in own_services(ComposeFile("compose.yaml", {})).values()}
    assert targets <= names
