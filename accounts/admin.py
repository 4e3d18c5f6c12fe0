from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm

from accounts import services
from accounts.forms import UserAddForm, UserEditForm
from accounts.models import Company, Invitation, Login, Mail, Role, User
from common.admin import EventHistoryAdmin
from common.api.exceptions import Conflict
from common.events import record
from common.events.kinds import kind_of
from common.jobs.admin import STATUS_COLOURS

admin.site.unregister(Group)

ROLE_COLOURS = {Role.ADMIN: "primary", Role.AGENT: "info", Role.WORKER: "warning"}


class ScopedAdmin(EventHistoryAdmin):
    """Base of admin pages that show staff only the rows of their own company.

    Only superusers can change `superuser_fields`.
    """

    superuser_fields: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).visible_to(request.user)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = list(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else [*fields, *self.superuser_fields]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Offer the company filter only to superusers; others see one company."""
        filters = super().get_list_filter(request)
        return [f for f in filters if request.user.is_superuser or f != "company"]

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        """Save a row that has no service, and record it."""
        super().save_model(request, obj, form, change)
        values = ((name, form.cleaned_data[name]) for name in form.changed_data if change)
        changes = {name: (form.initial.get(name), new) for name, new in values}
        action = "updated" if change else "created"
        record(f"{kind_of(obj).name}.{action}", by=request.user, target=obj, changes=changes)

    def delete_model(self, request: Any, obj: Any) -> None:
        """Delete a row that has no service, and record it."""
        record(f"{kind_of(obj).name}.deleted", by=request.user, target=obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: Any, queryset: QuerySet) -> None:
        """Delete each row as its own page does."""
        for row in queryset:
            self.delete_model(request, row)


class ReadOnlyAdmin(ScopedAdmin):
    """Base of admin pages of rows that only the system creates and changes."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False


class SuperuserReadOnlyAdmin(ReadOnlyAdmin):
    """Rows that belong to no company; only superusers see them."""

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return self.model._default_manager.all()

    def has_view_permission(self, request: HttpRequest, *_: Any) -> bool:
        return request.user.is_superuser

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser


@admin.register(Company)
class CompanyAdmin(ScopedAdmin):
    list_display = (
        "name",
        "code",
        "is_active",
        "display_user_count",
        "contact_email",
        "created_at",
    )
    list_filter = ("is_active",)
    search_fields = ("name", "code", "contact_email")
    readonly_fields = ("created_at", "updated_at")
    superuser_fields = ("code", "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        user_count = Count("users", filter=Q(users__deleted_at=None, users__is_active=True))
        return super().get_queryset(request).annotate(user_count=user_count)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: Any, company: Company, form: Any, change: bool) -> None:
        if not change:
            super().save_model(request, company, form, change)
            return
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_company(Company.objects.get(pk=company.pk), by=request.user, **changes)

    @display(description="Users", ordering="user_count")
    def display_user_count(self, company: Any) -> int:
        return company.user_count


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ScopedAdmin):
    form = UserEditForm
    add_form = UserAddForm
    change_password_form = AdminPasswordChangeForm

    list_display = (
        "display_name",
        "display_role",
        "company",
        "is_active",
        "is_staff",
        "last_login",
    )
    list_filter = ("company", "role", "is_active", "is_staff")
    list_select_related = ("company",)
    search_fields = ("email", "username", "full_name")
    ordering = ("-id",)
    readonly_fields = ("last_login", "created_at", "updated_at")
    superuser_fields = ("is_staff", "is_superuser", "company")
    actions = ("activate_selected", "deactivate_selected", "end_logins")
    fieldsets = (
        (None, {"fields": ("email", "username", "full_name", "password")}),
        ("Company", {"fields": ("company", "role", "is_active")}),
        ("Admin site", {"fields": ("is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "created_at", "updated_at")}),
    )
    add_fieldsets = (
        (
            None,
            {"classes": ("wide",), "fields": (*UserAddForm.Meta.fields, "password1", "password2")},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        visible: Any = super().get_queryset(request)
        users = visible.live()
        return users if request.user.is_superuser else users.filter(is_superuser=False)

    def save_model(self, request: Any, user: User, form: Any, change: bool) -> None:
        """Save a new user, whose password the form has hashed, without a mail; or update one."""
        if change:
            self._update(request, user, form)
            return
        if not request.user.is_superuser:
            user.company = request.user.company
        super().save_model(request, user, form, change)

    def _update(self, request: Any, user: User, form: Any) -> None:
        """Use the service, so that logins end and mails are sent as with the API."""
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        try:
            services.update_user(User.objects.get(pk=user.pk), by=request.user, **changes)
        except Conflict as error:
            messages.error(request, str(error.detail))

    def delete_model(self, request: Any, user: User) -> None:
        self._apply_to_each(request, [user], services.delete_user, "deleted")

    def delete_queryset(self, request: Any, queryset: QuerySet) -> None:
        self._apply_to_each(request, queryset, services.delete_user, "deleted")

    @display(description="User", header=True, ordering="email")
    def display_name(self, user: User) -> list[str]:
        return [user.get_full_name(), user.email]

    @display(description="Role", label=ROLE_COLOURS, ordering="role")
    def display_role(self, user: User) -> str:
        return user.role

    @action(description="Activate")
    def activate_selected(self, request: HttpRequest, users: QuerySet) -> None:
        self._apply_to_each(request, users, services.activate_user, "activated")

    @action(description="Deactivate")
    def deactivate_selected(self, request: HttpRequest, users: QuerySet) -> None:
        self._apply_to_each(request, users, services.deactivate_user, "deactivated")

    @action(description="End all logins")
    def end_logins(self, request: Any, users: QuerySet) -> None:
        count = sum(services.end_logins(user, by=request.user) for user in users)
        messages.success(request, f"Logins ended: {count}.")

    def _apply_to_each(
        self, request: Any, users: Iterable[User], service: Callable[..., object], action: str
    ) -> None:
        """Call a service for each user and report the users that can't be changed."""
        count = 0
        for user in users:
            try:
                service(user, by=request.user)
                count += 1
            except Conflict as error:
                messages.error(request, f"{user}: {error.detail}")
        if count:
            messages.success(request, f"Users {action}: {count}.")


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
    list_display = ("email", "role", "display_status", "company", "invited_by", "expires_at")
    list_filter = ("company", "role", "created_at")
    list_select_related = ("company", "invited_by")
    search_fields = ("email",)
    exclude = ("token_hash",)

    @display(
        description="Status",
        label={"pending": "info", "accepted": "success", "revoked": "danger", "expired": "warning"},
    )
    def display_status(self, invitation: Invitation) -> str:
        return invitation.status


@admin.register(Mail)
class MailAdmin(ReadOnlyAdmin):
    list_display = ("to", "kind", "display_status", "attempts", "error", "company", "created_at")
    list_filter = ("status", "kind", "company", "created_at")
    list_select_related = ("company",)
    search_fields = ("to",)
    fields = ("to", "kind", "company", "status", "attempts", "error", "created_at", "finished_at")
    actions = ("send_again",)

    @display(description="Status", label=STATUS_COLOURS, ordering="status")
    def display_status(self, mail: Mail) -> str:
        return mail.status

    @action(description="Send again")
    def send_again(self, request: Any, mails: QuerySet) -> None:
        for mail in mails:
            mail.requeue()
            record("mail.requeued", by=request.user, target=mail)
        messages.success(request, f"Mails queued: {len(mails)}.")
