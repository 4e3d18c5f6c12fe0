import django_filters
from django.db.models import QuerySet

from accounts.models import Company, Invitation, Login, Role, User
from common.api.filters import BooleanFilter, FilterSet, SearchFilter, contains


class CompanyFilter(FilterSet):
    search = SearchFilter("name", "code", label="Part of the name or the code.")

    class Meta:
        model = Company
        fields = ()


class InvitationFilter(FilterSet):
    search = SearchFilter("email", label="Part of the email.")

    class Meta:
        model = Invitation
        fields = ()


class LoginFilter(FilterSet):
    search = SearchFilter("user_agent", "ip_address", label="Part of the device or the address.")

    class Meta:
        model = Login
        fields = ()


class UserFilter(FilterSet):
    search = django_filters.CharFilter(
        method="filter_search",
        label="Part of the username or full name; for admins, also of the email.",
    )
    role = django_filters.ChoiceFilter(choices=Role.choices, label="The role.")
    is_active = BooleanFilter(label="Whether the user may sign in.")

    class Meta:
        model = User
        fields = ()

    def filter_search(self, users: QuerySet, _name: str, text: str) -> QuerySet:
        user = self.request.user
        # Users who can't read emails can't search by them either.
        emails = ("email",) if user.is_superuser or user.is_admin else ()
        return users.filter(contains(text, "username", "full_name", *emails))
