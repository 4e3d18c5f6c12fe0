from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from accounts.models import User
from uploads.models import Cycle, Project, Session
from uploads.tests.factories import ProjectFactory, SessionFactory, SessionFileFactory

pytestmark = pytest.mark.django_db
PROJECTS, CYCLES, SESSIONS = (f"/admin/uploads/{name}/" for name in ("project", "cycle", "session"))


@pytest.fixture
def staff(admin: User) -> Client:
    """A client for a company admin who may use the admin site."""
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    client = Client()
    client.force_login(admin)
    return client


def run_action(client: Client, action: str, *rows: Session) -> Any:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(SESSIONS, data, follow=True)


class TestProjects:
    form = {"name": "Rivers", "bucket_name": "river-data", "is_active": "on"}

    def test_a_new_project_belongs_to_the_users_company(self, staff: Client, admin: User) -> None:
        assert staff.post(f"{PROJECTS}add/", self.form).status_code == 302
        assert Project.objects.get().company_id == admin.company_id

    @pytest.mark.parametrize("changes", [{"name": "Glaciers"}, {"bucket_name": "../x"}], ids=str)
    def test_invalid_input_shows_the_form_again(
        self, staff: Client, project: Project, changes: dict
    ) -> None:
        assert staff.post(f"{PROJECTS}add/", self.form | changes).status_code == 200
        assert Project.objects.count() == 1

    def test_the_bucket_cannot_change_while_sessions_are_active(
        self, staff: Client, session: Session
    ) -> None:
        session.start()
        url = f"{PROJECTS}{session.project_id}/change/"
        assert b"Cancel them first" in staff.post(url, self.form, follow=True).content
        session.cancel()
        staff.post(url, self.form)
        assert Project.objects.get().bucket_name == "river-data"

    def test_projects_of_other_companies_are_hidden(self, staff: Client, project: Project) -> None:
        other = ProjectFactory(name="Foreign")
        page = staff.get(PROJECTS).content
        assert b"Glaciers" in page
        assert b"Foreign" not in page
        assert staff.get(f"{PROJECTS}{other.pk}/change/").status_code == 302


class TestCycles:
    def form(self, project: Project) -> dict[str, str]:
        return {"project": str(project.pk), "number": "1", "name": "Spring", "prefix": "a/b/"}

    def test_a_new_cycle_belongs_to_the_projects_company(
        self, staff: Client, superuser: User, project: Project
    ) -> None:
        operator = Client()
        operator.force_login(superuser)
        assert operator.post(f"{CYCLES}add/", self.form(project)).status_code == 302
        cycle = Cycle.objects.get()
        assert (cycle.company_id, cycle.prefix) == (project.company_id, "a/b")
        assert b"pending" in staff.get(CYCLES).content

    def test_invalid_input_shows_the_form_again(self, staff: Client, cycle: Cycle) -> None:
        bad: list[dict] = [{}, {"number": "2", "prefix": "../x"}, {"number": "0"}]
        other = ProjectFactory()
        bad += [{"number": "2", "project": str(other.pk)}]
        for changes in bad:
            form = self.form(cycle.project) | changes
            assert staff.post(f"{CYCLES}add/", form).status_code == 200, changes
        assert Cycle.objects.count() == 1

    def test_a_number_must_be_unique_in_the_project(self, staff: Client, cycle: Cycle) -> None:
        other = Cycle.objects.create(
            company=cycle.company, project=cycle.project, name="Other", number=2
        )
        form = {"number": "1", "name": "Other"}
        assert staff.post(f"{CYCLES}{other.pk}/change/", form).status_code == 200
        assert staff.post(f"{CYCLES}{other.pk}/change/", form | {"number": "3"}).status_code == 302


class TestSessions:
    def test_the_list_shows_progress_bars(self, staff: Client, session: Session) -> None:
        Session.objects.update(status="in_progress", total_files=4, files_uploaded=1)
        Session.objects.update(local_directory="<b>odd")
        page = staff.get(SESSIONS).content.decode()
        assert 'value="0.25"' in page
        assert "<b>odd" not in page
        assert "data-progress-active" in page
        for name in ("bureau/live.js", "bureau/progress.js", "bureau/progress.css"):
            assert name in page
            assert finders.find(name)

    def test_progress_bars_are_reloaded_until_the_session_ends(
        self, staff: Client, session: Session
    ) -> None:
        other = SessionFactory()
        query = {"id": [str(session.pk), str(other.pk), "x"]}
        shown = staff.get(f"{SESSIONS}progress/", query).json()
        assert list(shown) == [str(session.pk)]
        assert "data-progress-active" in shown[str(session.pk)]
        Session.objects.update(status="completed", total_files=2, files_uploaded=2)
        bar = staff.get(f"{SESSIONS}progress/", query).json()[str(session.pk)]
        assert "2 of 2 files" in bar
        assert "data-progress-active" not in bar

    def test_progress_bars_are_only_for_staff(self, session: Session, owner: User) -> None:
        client = Client()
        client.force_login(owner)
        for visitor in (Client(), client):
            assert visitor.get(f"{SESSIONS}progress/").status_code == 302

    def test_a_session_page_shows_its_files_in_pages(self, staff: Client, session: Session) -> None:
        SessionFileFactory.create_batch(60, session=session, error="<b>odd</b>")
        first = staff.get(f"{SESSIONS}{session.pk}/change/").content.decode()
        second = staff.get(f"{SESSIONS}{session.pk}/change/?files-page=2").content.decode()
        assert (first.count("&lt;b&gt;odd"), second.count("&lt;b&gt;odd")) == (50, 10)
        assert "<b>odd" not in first

    def test_actions_start_cancel_and_retry_sessions(self, staff: Client, session: Session) -> None:
        ended = SessionFactory(cycle=session.cycle, status="completed")
        for action, status in (("start", "queued"), ("cancel", "cancelled"), ("retry", "queued")):
            page = run_action(staff, action, session, ended).content.decode()
            session.refresh_from_db()
            assert session.status == status
            assert "is completed" in page

    def test_a_session_of_direct_uploads_is_completed_or_says_why_not(
        self, staff: Client, session: Session, settings: Any
    ) -> None:
        assert "No file was sent" in run_action(staff, "complete", session).content.decode()
        Session.objects.update(status="in_progress")
        SessionFileFactory(session=session, is_direct=True)
        uploads = settings.STORAGES["uploads"]
        settings.STORAGES = settings.STORAGES | {
            "uploads": uploads | {"OPTIONS": {"root": "/proc/nowhere"}}
        }
        assert "The store failed" in run_action(staff, "complete", session).content.decode()
        settings.STORAGES = settings.STORAGES | {"uploads": uploads}
        run_action(staff, "complete", session)
        session.refresh_from_db()
        assert (session.status, session.files_failed) == ("failed", 1)

    def test_actions_do_not_change_sessions_of_other_companies(self, staff: Client) -> None:
        other = SessionFactory()
        run_action(staff, "start", other)
        other.refresh_from_db()
        assert other.status == "pending"
