"""The GitHub workflows follow their schema, and a failed release is rolled back.

`zizmor` checks the workflows further, in a workflow.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.environment import BASE_DIR

GITHUB = BASE_DIR / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def jobs(path: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load(path.read_text())["jobs"].values()


@pytest.mark.parametrize(
    ("schema", "files"),
    [("github-workflows", WORKFLOWS), ("dependabot", [GITHUB / "dependabot.yml"])],
)
def test_workflows_follow_their_schema(schema: str, files: list[Path]) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", f"vendor.{schema}", *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@each_workflow
def test_actions_are_pinned_to_a_commit(path: Path) -> None:
    for line in path.read_text().splitlines():
        if "uses:" in line and "./" not in line:
            assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@each_workflow
def test_jobs_have_time_limits_and_minimal_permissions(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]
    for job in jobs(path):
        assert "permissions" in job
        assert "uses" in job or job["timeout-minutes"] <= 45


@each_workflow
def test_scripts_contain_no_expressions(path: Path) -> None:
    for job in jobs(path):
        for step in job.get("steps", ()):
            assert "${{" not in step.get("run", "")


def test_an_image_is_published_only_after_the_tests() -> None:
    image = yaml.safe_load((GITHUB / "workflows" / "image.yml").read_text())["jobs"]
    assert image["test"]["uses"] == "./.github/workflows/test.yml"
    assert image["image"]["needs"] == "test"


class TestDeploying:
    """`docker/deploy.sh` with a `docker` program that only logs its arguments."""

    Deploy = Callable[..., tuple[int, list[str]]]

    @pytest.fixture
    def deploy(self, tmp_path: Path) -> Deploy:
        folder = tmp_path / "docker"
        folder.mkdir()
        script = folder / "deploy.sh"
        script.write_text((BASE_DIR / "docker" / "deploy.sh").read_text())
        (folder / ".env").write_text("DOMAIN=bureau.example.com\n")
        programs = tmp_path / "bin"
        programs.mkdir()
        log = tmp_path / "log"

        def program(name: str, body: str) -> None:
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)

        def run(tag: str, *, broken: str = "", fails: str = "", running: str = "a b") -> Any:
            """Deploy `tag`; the release `broken` never becomes ready, the command `fails` fails."""
            log.write_text("")
            program(
                "docker",
                f'echo "${{TAG:-}} $*" >> {log}\n'
                f'case "$*" in *"ps --quiet web"*) echo "{running}";; esac\n'
                f'case "$*" in *"ps --all --quiet web"*) echo "{running} c d";; esac\n'
                f'case "$*" in *"{fails or "nothing"}"*) exit 1;; esac',
            )
            program("curl", f'test "${{TAG:-}}" != "{broken}"')
            program("sleep", "true")
            environment = {"PATH": f"{programs}:{os.environ['PATH']}", "READY_CHECKS": "2"}
            done = subprocess.run(["sh", script, tag], env=environment, capture_output=True)
            return done.returncode, log.read_text().splitlines()

        return run

    def test_migrates_first_then_starts_new_containers_beside_the_old(
        self, deploy: Deploy, tmp_path: Path
    ) -> None:
        code, calls = deploy("v2.0.0")
        assert code == 0
        assert (tmp_path / "docker" / "release").read_text() == "v2.0.0\n"
        words = " | ".join(calls)
        order = ["pull", "run --rm migrate", "--scale web=4", "stop --time 30 a b", "rm a b"]
        places = [
            words.index(step) for step in [*order, "--scale web=2", "worker mail uploads beat grpc"]
        ]
        assert places == sorted(places)
        assert all(call.startswith("v2.0.0 ") for call in calls)

    def test_the_first_release_starts_everything(self, deploy: Deploy) -> None:
        code, calls = deploy("v1.0.0", running="")
        assert code == 0
        assert calls[-1].endswith("up --detach --wait")

    def test_a_release_that_is_not_ready_is_rolled_back(
        self, deploy: Deploy, tmp_path: Path
    ) -> None:
        deploy("v1.0.0")
        code, calls = deploy("v2.0.0", broken="v2.0.0")
        assert code == 1
        assert (tmp_path / "docker" / "release").read_text() == "v1.0.0\n"
        assert calls[-1].startswith("v1.0.0 ")
        assert "run --rm migrate" not in " ".join(c for c in calls if c.startswith("v1.0.0 "))

    def test_containers_that_never_become_healthy_are_removed(self, deploy: Deploy) -> None:
        deploy("v1.0.0")
        code, calls = deploy("v2.0.0", fails="--scale web=4", broken="v2.0.0")
        assert code == 1
        v2 = [call for call in calls if call.startswith("v2.0.0 ")]
        assert [call.split()[-1] for call in v2 if "rm --force" in call] == ["c", "d"]
        assert not any("stop" in call for call in v2)

    def test_a_failed_migration_leaves_the_running_release(self, deploy: Deploy) -> None:
        deploy("v1.0.0")
        code, calls = deploy("v2.0.0", fails="run --rm migrate")
        assert code == 1
        assert "run --rm migrate" in calls[-1]
