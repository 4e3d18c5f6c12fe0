from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import services
from accounts.identifiers import normalize_email
from accounts.models import Company, Invitation, Login, Mail, Role, User
from common.api.exceptions import Conflict
from common.jobs.admin import STATUS_COLOURS

admin.site.unregister(Group)

ROLE_COLOURS = {Role.ADMIN: "primary", Role.AGENT: "info", Role.WORKER: "warning"}


class ScopedAdmin(ModelAdmin):
    """Shows staff who are no superusers the rows of their own company alone."""

    operators_fields: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).visible_to(request.user)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = list(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else [*fields, *self.operators_fields]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """One's own company is no choice, and the others' names are none of one's business."""
        filters = super().get_list_filter(request)
        return [f for f in filters if request.user.is_superuser or f != "company"]


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
    list_display = ("name", "code", "is_active", "people", "contact_email", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "code", "contact_email")
    readonly_fields = ("created_at", "updated_at")
    operators_fields = ("code", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        people = Count("users", filter=Q(users__deleted_at=None, users__is_active=True))
        return super().get_queryset(request).annotate(people=people)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="People", ordering="people")
    def people(self, company: Any) -> int:
        return company.people


class NewUserForm(UserCreationForm):
    class Meta:
        model = User
        fields = ("email", "username", "full_name", "company", "role")
        field_classes = {"username": forms.CharField}

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ScopedAdmin):
    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm

    list_display = ("shown_person", "shown_role", "company", "is_active", "is_staff", "last_login")
    list_filter = ("company", "role", "is_active", "is_staff")
    list_select_related = ("company",)
    search_fields = ("email", "username", "full_name")
    ordering = ("-id",)
    readonly_fields = ("last_login", "created_at", "updated_at")
    operators_fields = ("is_staff", "is_superuser", "company")
    actions = ("activate_selected", "deactivate_selected", "end_logins")
    fieldsets = (
        (None, {"fields": ("email", "username", "full_name", "password")}),
        ("Company", {"fields": ("company", "role", "is_active")}),
        ("This site", {"fields": ("is_staff", "is_superuser")}),
        ("Times", {"fields": ("last_login", "created_at", "updated_at")}),
    )
    add_fieldsets = (
        (
            None,
            {"classes": ("wide",), "fields": (*NewUserForm.Meta.fields, "password1", "password2")},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        visible: Any = super().get_queryset(request)
        people = visible.live()
        return people if request.user.is_superuser else people.filter(is_superuser=False)

    def save_model(self, request: Any, user: User, form: Any, change: bool) -> None:
        """Save by the services, so that roles, logins and mails follow as they do by the API."""
        if not change:
            if not request.user.is_superuser:
                user.company = request.user.company
            user.save()
            return
        data = {name: form.cleaned_data[name] for name in form.changed_data}
        data = {name: value for name, value in data.items() if hasattr(User, name)}
        try:
            services.update_user(User.objects.get(pk=user.pk), by=request.user, **data)
        except Conflict as error:
            messages.error(request, str(error.detail))

    def delete_model(self, request: Any, user: User) -> None:
        self._each(request, [user], services.delete_user, "deleted")

    def delete_queryset(self, request: Any, queryset: QuerySet) -> None:
        self._each(request, queryset, services.delete_user, "deleted")

    @display(description="Person", header=True, ordering="email")
    def shown_person(self, user: User) -> list[str]:
        return [user.get_full_name(), user.email]

    @display(description="Role", label=ROLE_COLOURS, ordering="role")
    def shown_role(self, user: User) -> str:
        return user.role

    @action(description="Activate")
    def activate_selected(self, request: HttpRequest, users: QuerySet) -> None:
        self._each(request, users, services.activate, "activated")

    @action(description="Deactivate")
    def deactivate_selected(self, request: HttpRequest, users: QuerySet) -> None:
        self._each(request, users, services.deactivate, "deactivated")

    @action(description="End all logins")
    def end_logins(self, request: HttpRequest, users: QuerySet) -> None:
        ended = Login.objects.filter(user__in=users).end()
        messages.success(request, f"{ended} logins ended.")

    def _each(
        self, request: Any, users: Iterable[User], act: Callable[..., object], done: str
    ) -> None:
        """Do it to one after the other; who can't be changed is named and stays."""
        changed = 0
        for user in users:
            try:
                act(user, by=request.user)
                changed += 1
            except Conflict as error:
                messages.error(request, f"{user}: {error.detail}")
        if changed:
            messages.success(request, f"{changed} {done}.")


@admin.register(Login)
class LoginAdmin(ReadOnlyAdmin):
    list_display = ("user", "ip_address", "user_agent", "created_at", "expires_at", "ended_at")
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("user",)
    search_fields = ("user__email", "ip_address")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return Login.objects.filter(user__in=User.objects.visible_to(request.user))


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("email", "role", "shown_status", "company", "invited_by", "expires_at")
    list_filter = ("company", "role", "created_at")
    list_select_related = ("company", "invited_by")
    search_fields = ("email",)
    exclude = ("token_hash",)

    @display(
        description="Status",
        label={"pending": "info", "accepted": "success", "revoked": "danger", "expired": "warning"},
    )
    def shown_status(self, invitation: Invitation) -> str:
        return invitation.status


@admin.register(Mail)
class MailAdmin(ReadOnlyAdmin):
    list_display = ("to", "kind", "shown_status", "attempts", "error", "company", "created_at")
    list_filter = ("status", "kind", "company", "created_at")
    list_select_related = ("company",)
    search_fields = ("to",)
    fields = ("to", "kind", "company", "status", "attempts", "error", "created_at", "finished_at")
    actions = ("send_again",)

    @display(description="Status", label=STATUS_COLOURS, ordering="status")
    def shown_status(self, mail: Mail) -> str:
        return mail.status

    @action(description="Send again")
    def send_again(self, request: HttpRequest, mails: QuerySet) -> None:
        for mail in mails:
            mail.requeue()
        messages.success(request, f"{len(mails)} queued.")
