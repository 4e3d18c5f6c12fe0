import django_filters
from django.db.models import Q, QuerySet

from accounts.models import Role, User
from common.api.filters import BooleanFilter, FilterSet


class UserFilter(FilterSet):
    search = django_filters.CharFilter(
        method="filter_search", label="Part of the username, the full name or, for admins, email."
    )
    role = django_filters.ChoiceFilter(choices=Role.choices)
    is_active = BooleanFilter()

    class Meta:
        model = User
        fields = ()

    def filter_search(self, users: QuerySet, _name: str, words: str) -> QuerySet:
        names = Q(username__icontains=words) | Q(full_name__icontains=words)
        asker = self.request.user
        # What a person may not read they may not search by either.
        if asker.is_superuser or asker.is_admin:
            names |= Q(email__icontains=words)
        return users.filter(names)
