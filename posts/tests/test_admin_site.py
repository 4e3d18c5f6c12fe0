from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from common.jobs.status import JobStatus
from posts.models import Feed
from posts.tests.conftest import Upstream

FEED, POSTS = "/admin/posts/feed/", "/admin/posts/post/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


def test_pages(operator: Client, upstream: Upstream, refresh: Callable[[], Feed]) -> None:
    feed = refresh()
    assert b"Title 1" in operator.get(POSTS).content
    assert b"Body 1" in operator.get(f"{POSTS}1/change/").content
    assert operator.get(f"{POSTS}?q=title").status_code == 200
    page = operator.get(f"{FEED}{feed.pk}/change/").content.decode()
    assert upstream.url in page
    assert feed.etag.strip('"') in page


def test_refresh_now(operator: Client, upstream: Upstream, refresh: Callable[[], Feed]) -> None:
    upstream.say(b"", 503, Retry_After="1000")
    feed = refresh()
    assert b"The feed answered 503." in operator.get(FEED).content
    data = {"action": "refresh_now", "_selected_action": [str(feed.pk)]}
    assert b"A refresh is under way." in operator.post(FEED, data, follow=True).content
    assert Feed.objects.due().get().status == JobStatus.QUEUED


def test_before_the_first_refresh_there_is_something_to_choose(operator: Client) -> None:
    operator.get(FEED)
    assert Feed.objects.state().status == JobStatus.QUEUED


def test_nothing_is_written_here(operator: Client, upstream: Upstream) -> None:
    assert operator.get(f"{POSTS}add/").status_code == 403
    assert operator.get(f"{FEED}add/").status_code == 403


def test_staff_of_a_company_see_none_of_it(admin: User) -> None:
    admin.is_staff = True
    admin.save()
    client = Client()
    client.force_login(admin)
    assert client.get(FEED).status_code == client.get(POSTS).status_code == 403
    assert b"/admin/posts/" not in client.get("/admin/").content
