"""Every model belongs to a company and every route authenticates, except those listed here."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from rest_framework.permissions import AllowAny

from accounts.models import CompanyOwned
from accounts.tests.support import iter_routes
from accounts.viewsets import ScopedViewSet
from config.settings import INSTALLED_APPS

PROJECT_APPS = [name for name in INSTALLED_APPS if "." not in name]

# Each model with the reason why its rows belong to no company.
UNOWNED_MODELS = {
    "accounts.Company": "is the company",
    "accounts.User": "is a member of its company",
    "accounts.Login": "belongs to its user",
    "accounts.EmailChange": "belongs to its user and is never shown",
    "accounts.PasswordReset": "is requested before the user is known",
    "catalog.EmbeddingModel": "is the progress of embedding public products",
    "catalog.ProductPopularity": "counts the people of all companies who viewed a product",
    "catalog.CoView": "says how often public products are viewed together",
    "catalog.Word": "is a word of public products",
    "catalog.VocabularyState": "is the progress of collecting these words",
    "catalog.ImportChunk": "is a part of the file of an import, and never shown",
    "catalog.ImportRow": "belongs to its import",
    "posts.Post": "is a post of a public feed",
    "posts.Feed": "is the state of that feed's mirror",
    "common.Invalidation": "names a cache namespace",
    "common.IdempotencyRecord": "is scoped by the user in its key and never shown",
    "common.AppliedMigration": "describes the schema of the database",
    "common.PendingRestore": "names the folder of a restore that is not finished",
    "common.Event": "outlives the company that it names; some have none",
    "common.Turn": "orders the jobs of companies and people and is never shown",
}
# Reading these is public; writing needs authentication.
PUBLIC_READS = {"api/v1/products", "api/v1/products/search", "api/v1/products/<uuid:pk>"}
PUBLIC_ROUTES = {
    "",
    "health",
    "ready",
    "metrics",
    "docs",
    "redoc",
    "password/<str:secret>",
    "email/<str:secret>",
    "invitation/<str:secret>",
    "api/v1",
    "api/v1/",
    "api/v1/health",
    "api/v1/docs",
    "api/v1/redoc",
    "api/v1/openapi.json",
    "api/v1/posts",
    "api/v1/posts/<int:pk>",
    "api/v1/search/smart",
    "api/v1/auth/signup",
    "api/v1/auth/register",
    "api/v1/auth/login",
    "api/v1/auth/login/json",
    "api/v1/auth/refresh",
    "api/v1/auth/password/reset",
    "api/v1/auth/password/reset/confirm",
    "api/v1/profile/email/confirm",
    "api/v1/uploads/direct/<uuid:pk>",
}
# These act on the authenticated user and look up no row by an id of the request.
PERSONAL_ROUTES = {
    "api/v1/auth/me",
    "api/v1/auth/logout",
    "api/v1/auth/password/change",
    "api/v1/profile/me",
    "api/v1/profile/email",
    "api/v1/events/tickets",
    # `Visibility` decides for each event, as `visible_to` does; see test_event_visibility.py.
    "api/v1/events/stream",
}


def project_models() -> Iterator[type]:
    for name in PROJECT_APPS:
        for config in apps.get_app_configs():
            if config.name == name and not config.path.count("site-packages"):
                yield from config.get_models()


def view_class(callback: object) -> type | None:
    return getattr(callback, "cls", None) or getattr(callback, "view_class", None)


def test_every_model_belongs_to_a_company() -> None:
    unowned = {m._meta.label for m in project_models() if not issubclass(m, CompanyOwned)}
    assert unowned == set(UNOWNED_MODELS)


@pytest.mark.parametrize("model", list(project_models()), ids=lambda m: m._meta.label)
def test_every_owned_model_has_a_visible_to_queryset(model: type) -> None:
    if model._meta.label not in UNOWNED_MODELS:
        assert hasattr(model.objects.all(), "visible_to")


def test_the_public_routes_are_the_listed_ones() -> None:
    public = {
        path
        for path, callback in iter_routes()
        if (cls := view_class(callback)) is None
        or AllowAny in getattr(cls, "permission_classes", [AllowAny])
    }
    assert public == PUBLIC_ROUTES


def test_every_other_route_is_scoped_to_visible_rows() -> None:
    unscoped = {
        path
        for path, callback in iter_routes()
        if path not in PUBLIC_ROUTES and not issubclass(view_class(callback), ScopedViewSet)
    }
    assert unscoped == PERSONAL_ROUTES


def test_every_other_route_refuses_anonymous_requests(api) -> None:
    for path, _ in iter_routes():
        if path in PUBLIC_ROUTES:
            continue
        url = "/" + path.replace("<uuid:pk>", "0" * 8 + "-0000-0000-0000-" + "0" * 12)
        for method in ("get", "post", "put", "patch", "delete"):
            if method == "get" and path in PUBLIC_READS:
                continue
            response = getattr(api, method)(url)
            is_missing = response.status_code == 405 and method.upper() not in response["Allow"]
            assert is_missing or response.status_code == 401, (method, url)
