import django_filters
from django.db.models import Q, QuerySet

from accounts.models import Role, User
from common.api.filters import BooleanFilter, FilterSet


class UserFilter(FilterSet):
    search = django_filters.CharFilter(
        method="filter_search",
        label="Part of the username or full name; for admins, also of the email.",
    )
    role = django_filters.ChoiceFilter(choices=Role.choices)
    is_active = BooleanFilter()

    class Meta:
        model = User
        fields = ()

    def filter_search(self, users: QuerySet, _name: str, text: str) -> QuerySet:
        condition = Q(username__icontains=text) | Q(full_name__icontains=text)
        user = self.request.user
        # Users who can't read emails can't search by them either.
        if user.is_superuser or user.is_admin:
            condition |= Q(email__icontains=text)
        return users.filter(condition)
