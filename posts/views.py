from typing import Any

from django.db.models import QuerySet
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from common.api.viewsets import FilteringMixin
from posts import services
from posts.filters import PostFilter
from posts.freshness import headers, make_cache_metadata
from posts.models import Feed, Post
from posts.serializers import PostSerializer


class PostViewSet(FilteringMixin, ReadOnlyModelViewSet):
    """Posts of the feed, served from a local mirror; anyone can read them, nobody can write them.

    `Age` is the number of seconds since the mirror last matched the feed. `X-Feed-Status` is
    `fresh`, or `stale` if the feed has failed since. Without a feed (`POSTS_API_URL` is not set)
    there are no posts and no such headers.
    """

    queryset = Post.objects.all()
    serializer_class = PostSerializer
    authentication_classes = ()
    permission_classes = (AllowAny,)
    lookup_value_converter = "int"
    filterset_class = PostFilter
    ordering_fields = ("id", "user_id", "title", "created_at", "updated_at")
    ordering = ("id",)

    feed: Feed | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method in ("GET", "HEAD"):
            self.feed = services.ensure_mirror()

    def get_queryset(self) -> QuerySet:
        posts = super().get_queryset()
        return posts if services.has_feed() else posts.none()

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.feed:
            metadata = make_cache_metadata(self.feed)
            response.cache_metadata = metadata  # type: ignore[attr-defined]
            for name, value in headers(metadata).items():
                response[name] = value
        return response
