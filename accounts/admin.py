from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import Group
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm
from unfold.forms import UserCreationForm as UnfoldUserCreationForm

from accounts import services
from accounts.models import Company, Login, Role, User

admin.site.unregister(Group)

ROLE_COLOURS = {Role.ADMIN: "primary", Role.AGENT: "info", Role.WORKER: "warning"}


class ScopedAdmin(ModelAdmin):
    """Shows staff who are no superusers the rows of their own company alone."""

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).visible_to(request.user)  # type: ignore[attr-defined]


class ReadOnlyAdmin(ScopedAdmin):
    """Rows to look at: they are made and changed by the system."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False


@admin.register(Company)
class CompanyAdmin(ScopedAdmin):
    list_display = ("name", "code", "shown_active", "people", "contact_email", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "code", "contact_email")
    readonly_fields = ("created_at", "updated_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        people = Count("users", filter=Q(users__deleted_at=None, users__is_active=True))
        return super().get_queryset(request).annotate(people=people)

    @display(description="Active", boolean=True, ordering="is_active")
    def shown_active(self, company: Company) -> bool:
        return company.is_active

    @display(description="People", ordering="people")
    def people(self, company: Any) -> int:
        return company.people


class NewUserForm(UnfoldUserCreationForm, UserCreationForm):
    class Meta:
        model = User
        fields = ("email", "username", "full_name", "company", "role")
        field_classes = {"username": forms.CharField}


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ScopedAdmin):
    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm

    list_display = ("shown_person", "shown_role", "company", "shown_active", "last_login")
    list_filter = ("is_active", "role", "company", "is_staff")
    list_select_related = ("company",)
    search_fields = ("email", "username", "full_name")
    ordering = ("-id",)
    autocomplete_fields = ("company",)
    readonly_fields = ("last_login", "created_at", "updated_at")
    actions = ("activate_selected", "deactivate_selected", "end_logins")
    fieldsets = (
        (None, {"fields": ("email", "username", "full_name", "password")}),
        ("Company", {"fields": ("company", "role", "is_active")}),
        ("This site", {"fields": ("is_staff", "is_superuser"), "classes": ("collapse",)}),
        ("Times", {"fields": ("last_login", "created_at", "updated_at")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": (*NewUserForm.Meta.fields, "password1", "password2"),
            },
        ),
    )

    @display(description="Person", header=True, ordering="email")
    def shown_person(self, user: User) -> list[str]:
        return [user.get_full_name(), user.email]

    @display(description="Role", label=ROLE_COLOURS, ordering="role")
    def shown_role(self, user: User) -> str:
        return user.role

    @display(description="Active", boolean=True, ordering="is_active")
    def shown_active(self, user: User) -> bool:
        return user.is_active

    @action(description="Activate")
    def activate_selected(self, request: HttpRequest, users: QuerySet) -> None:
        for user in users:
            services.activate(user, by=request.user)  # type: ignore[arg-type]
        messages.success(request, f"{len(users)} activated.")

    @action(description="Deactivate")
    def deactivate_selected(self, request: HttpRequest, users: QuerySet) -> None:
        for user in users.exclude(pk=request.user.pk):
            services.deactivate(user, by=request.user)  # type: ignore[arg-type]
        messages.success(
            request, "Deactivated; their logins have ended. You yourself are left out."
        )

    @action(description="End all logins")
    def end_logins(self, request: HttpRequest, users: QuerySet) -> None:
        ended = Login.objects.filter(user__in=users).end()
        messages.success(request, f"{ended} logins ended.")


@admin.register(Login)
class LoginAdmin(ReadOnlyAdmin):
    list_display = ("user", "ip_address", "user_agent", "created_at", "expires_at", "ended_at")
    list_filter = (("ended_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("user__email", "ip_address")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        people = User.objects.visible_to(request.user)
        return Login.objects.filter(user__in=people)
