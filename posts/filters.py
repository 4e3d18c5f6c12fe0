import django_filters
from django import forms
from drf_spectacular.utils import extend_schema_field

from common.api.filters import FilterSet, SearchFilter
from posts.models import Post


@extend_schema_field(int)
class IntegerFilter(django_filters.Filter):
    """A filter by a whole number; other values are rejected."""

    field_class = forms.IntegerField


class PostFilter(FilterSet):
    search = SearchFilter("title", "body", label="Part of the title or the body.")
    user_id = IntegerFilter(label="The author's id in the feed.")

    class Meta:
        model = Post
        fields = ()
