from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from common.jobs.status import JobStatus
from common.tests.support.events import RecordedEvents
from posts.models import Feed
from posts.tests.conftest import FeedServer

FEED, POSTS = "/admin/posts/feed/", "/admin/posts/post/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def admin_site(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


def test_pages_show_posts_and_the_state_of_the_mirror(
    admin_site: Client, feed_server: FeedServer, refresh: Callable[[], Feed]
) -> None:
    feed = refresh()
    assert b"Title 1" in admin_site.get(POSTS).content
    assert b"Body 1" in admin_site.get(f"{POSTS}1/change/").content
    assert admin_site.get(f"{POSTS}?q=title").status_code == 200
    page = admin_site.get(f"{FEED}{feed.pk}/change/").content.decode()
    assert feed_server.url in page
    assert feed.etag.strip('"') in page


def test_the_action_queues_a_refresh(
    admin_site: Client, feed_server: FeedServer, refresh: Callable[[], Feed]
) -> None:
    feed_server.respond_with(b"", 503, Retry_After="1000")
    feed = refresh()
    assert b"The feed answered 503." in admin_site.get(FEED).content
    data = {"action": "refresh_now", "_selected_action": [str(feed.pk)]}
    assert b"A refresh is queued." in admin_site.post(FEED, data, follow=True).content
    assert Feed.objects.due().get().status == JobStatus.QUEUED


def test_without_a_feed_the_site_says_so(admin_site: Client, no_feed: FeedServer) -> None:
    page = admin_site.get(FEED).content.decode()
    assert "no feed" in page.lower()
    feed = Feed.objects.current()
    data = {"action": "refresh_now", "_selected_action": [str(feed.pk)]}
    assert b"POSTS_API_URL is not set" in admin_site.post(FEED, data, follow=True).content


def test_the_list_creates_the_row_before_the_first_refresh(admin_site: Client) -> None:
    admin_site.get(FEED)
    assert Feed.objects.current().status == JobStatus.QUEUED


def test_rows_cannot_be_added(admin_site: Client, feed_server: FeedServer) -> None:
    assert admin_site.get(f"{POSTS}add/").status_code == 403
    assert admin_site.get(f"{FEED}add/").status_code == 403


def test_staff_who_are_no_superusers_see_nothing(admin: User) -> None:
    admin.is_staff = True
    admin.save()
    client = Client()
    client.force_login(admin)
    assert client.get(FEED).status_code == client.get(POSTS).status_code == 403
    assert b"/admin/posts/" not in client.get("/admin/").content


@pytest.mark.django_db(transaction=True)
def test_the_action_is_recorded(
    admin_site: Client,
    superuser: User,
    feed_server: FeedServer,
    recorded_events: RecordedEvents,
) -> None:
    admin_site.get(FEED)
    feed = Feed.objects.current()
    data = {"action": "refresh_now", "_selected_action": [str(feed.pk)]}
    assert recorded_events(lambda: admin_site.post(FEED, data)) == [
        ("feed.refresh_requested", str(superuser.pk), str(feed.pk))
    ]
