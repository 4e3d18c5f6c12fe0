"""Every model belongs to a company and every route asks who comes, or stands on a list here."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.permissions import AllowAny

from accounts.models import CompanyOwned
from accounts.viewsets import ScopedViewSet
from config.settings import INSTALLED_APPS

OURS = [name for name in INSTALLED_APPS if "." not in name]

# Each with the reason why no company owns its rows.
UNOWNED_MODELS = {
    "accounts.Company": "is the company",
    "accounts.User": "has its company as a person, not as a thing",
    "accounts.Login": "belongs to its user alone",
    "accounts.PasswordReset": "is asked for before anybody knows whose it is",
    "catalog.Word": "is a word of what anybody may read",
    "catalog.VocabularyState": "says how far those words are collected",
    "posts.Post": "is a post of a public feed",
    "posts.Feed": "is the state of that feed's mirror",
    "common.Invalidation": "names a part of the cache and no row",
    "common.IdempotencyRecord": "is scoped by the person in its key and shown to nobody",
}
# Anybody may read these; to write them one has to be somebody.
PUBLIC_READS = {"api/v1/products", "api/v1/products/search", "api/v1/products/<uuid:pk>"}
PUBLIC_ROUTES = {
    "",
    "health",
    "ready",
    "metrics",
    "docs",
    "redoc",
    "password/<str:secret>",
    "invitation/<str:secret>",
    "api/v1",
    "api/v1/",
    "api/v1/health",
    "api/v1/docs",
    "api/v1/redoc",
    "api/v1/openapi.json",
    "api/v1/posts",
    "api/v1/posts/<int:pk>",
    "api/v1/auth/signup",
    "api/v1/auth/register",
    "api/v1/auth/login",
    "api/v1/auth/login/json",
    "api/v1/auth/refresh",
    "api/v1/auth/password/reset",
    "api/v1/auth/password/reset/confirm",
    "api/v1/uploads/presigned/<uuid:pk>",
}
# These act on the person who asks and look nothing up by an id from outside.
PERSONAL_ROUTES = {
    "api/v1/auth/me",
    "api/v1/auth/logout",
    "api/v1/auth/password/change",
    "api/v1/profile/me",
}


def our_models() -> Iterator[type]:
    for name in OURS:
        for config in apps.get_app_configs():
            if config.name == name and not config.path.count("site-packages"):
                yield from config.get_models()


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, object]]:
    for entry in (resolver or get_resolver()).url_patterns:
        where = prefix + str(entry.pattern).removeprefix("^").removesuffix("$")
        if isinstance(entry, URLResolver):
            if where != "admin/":
                yield from routes(entry, where)
        else:
            assert isinstance(entry, URLPattern)
            yield where, entry.callback


def view_class(callback: object) -> type | None:
    return getattr(callback, "cls", None) or getattr(callback, "view_class", None)


def test_every_model_belongs_to_a_company() -> None:
    unowned = {m._meta.label for m in our_models() if not issubclass(m, CompanyOwned)}
    assert unowned == set(UNOWNED_MODELS)


@pytest.mark.parametrize("model", list(our_models()), ids=lambda m: m._meta.label)
def test_every_model_says_what_a_person_may_see(model: type) -> None:
    if model._meta.label not in UNOWNED_MODELS:
        assert hasattr(model.objects.all(), "visible_to")


def test_public_routes_are_those_on_the_list() -> None:
    public = {
        where
        for where, callback in routes()
        if (cls := view_class(callback)) is None
        or AllowAny in getattr(cls, "permission_classes", [AllowAny])
    }
    assert public == PUBLIC_ROUTES


def test_every_other_route_looks_only_among_visible_rows() -> None:
    unscoped = {
        where
        for where, callback in routes()
        if where not in PUBLIC_ROUTES and not issubclass(view_class(callback), ScopedViewSet)
    }
    assert unscoped == PERSONAL_ROUTES


def test_every_route_but_the_public_ones_refuses_a_stranger(api) -> None:
    for where, _ in routes():
        if where in PUBLIC_ROUTES:
            continue
        path = "/" + where.replace("<uuid:pk>", "0" * 8 + "-0000-0000-0000-" + "0" * 12)
        for method in ("get", "post", "put", "patch", "delete"):
            if method == "get" and where in PUBLIC_READS:
                continue
            assert getattr(api, method)(path).status_code == 401, (method, path)
