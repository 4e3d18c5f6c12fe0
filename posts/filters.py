import django_filters
from django import forms
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema_field

from common.api.filters import FilterSet
from posts.models import Post


@extend_schema_field(int)
class IntegerFilter(django_filters.Filter):
    """A whole number; anything else is refused."""

    field_class = forms.IntegerField


class PostFilter(FilterSet):
    search = django_filters.CharFilter(method="filter_search", label="Part of title or body.")
    user_id = IntegerFilter(label="The author's id in the feed.")

    class Meta:
        model = Post
        fields = ()

    def filter_search(self, posts: QuerySet, _name: str, part: str) -> QuerySet:
        return posts.filter(Q(title__icontains=part) | Q(body__icontains=part))
