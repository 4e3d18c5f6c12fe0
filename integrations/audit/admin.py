from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter, TextFilter
from unfold.decorators import display

from accounts.admin import ReadOnlyAdmin
from accounts.models import Company, User
from common.admin import OUTCOME_COLOURS, describe_changes, with_actor_names
from common.events.kinds import event_types
from common.events.models import Event
from integrations.audit.entries import entries_to_json


class ActionFilter(DropdownFilter):
    title = "event"
    parameter_name = "action"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in event_types()]

    def queryset(self, _request: HttpRequest, events: QuerySet) -> QuerySet:
        return events.filter(action=self.value()) if self.value() else events


class EventTextFilter(TextFilter):
    def value(self) -> str:
        """Return what was typed; PostgreSQL refuses the character NUL."""
        return (super().value() or "").replace("\x00", "")


class ActorFilter(EventTextFilter):
    title = "actor"
    parameter_name = "actor"

    def queryset(self, _request: HttpRequest, events: QuerySet) -> QuerySet:
        """Filter by the actor's username, email or id."""
        if not (text := self.value()):
            return events
        is_named = Q(username__iexact=text) | Q(email__iexact=text)
        users = User.objects.filter(is_named | Q(pk=pk) if (pk := _to_uuid(text)) else is_named)
        return events.filter(actor_id__in=users.values("pk"))


class TargetFilter(EventTextFilter):
    title = "target's id"
    parameter_name = "target"

    def queryset(self, _request: HttpRequest, events: QuerySet) -> QuerySet:
        text = self.value()
        return events.filter(target_id=str(_to_uuid(text) or text)) if text else events


class CompanyFilter(EventTextFilter):
    title = "company's code"
    parameter_name = "company"

    def queryset(self, _request: HttpRequest, events: QuerySet) -> QuerySet:
        if not (code := self.value()):
            return events
        return events.filter(company_id__in=Company.objects.filter(code=code.lower()).values("pk"))


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """What was done and what was denied, as in the audit log of the API."""

    list_display = (
        "occurred_at",
        "action",
        "display_actor",
        "display_outcome",
        "target_type",
        "display_target",
        "display_company",
    )
    list_filter = (
        ActionFilter,
        ActorFilter,
        "outcome",
        TargetFilter,
        CompanyFilter,
        "occurred_at",
    )
    list_filter_submit = True
    ordering = ("-xid", "-sequence")
    sortable_by = ()
    show_full_result_count = False
    fields = (
        "id",
        "occurred_at",
        "action",
        "display_outcome",
        "display_actor",
        "display_ip_address",
        "display_details",
        "target_type",
        "target_id",
        "display_target",
        "display_changes",
        "display_company",
        "request_id",
        "display_hash",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        companies = Company.objects.filter(pk=OuterRef("company_id"))
        people = User.objects.filter(pk=OuterRef("person_id"))
        return with_actor_names(super().get_queryset(request)).annotate(
            company_name=Subquery(companies.values("name")),
            person_name=Subquery(people.values("username")),
        )

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters = super().get_list_filter(request)
        return [f for f in filters if request.user.is_superuser or f is not CompanyFilter]

    def get_object(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        event = super().get_object(request, *args, **kwargs)
        if event:
            (event.entry,) = entries_to_json([event], user=request.user, with_data=False)
        return event

    @display(description="By")
    def display_actor(self, event: Any) -> str:
        return event.actor_name or event.get_actor_type_display()

    @display(description="Outcome", label=OUTCOME_COLOURS)
    def display_outcome(self, event: Event) -> str:
        return event.outcome

    @display(description="Target")
    def display_target(self, event: Any) -> str:
        return event.target_label or event.person_name or event.target_id

    @display(description="Company")
    def display_company(self, event: Any) -> str:
        return event.company_name or ""

    @display(description="Address")
    def display_ip_address(self, event: Any) -> str:
        return event.entry["ip_address"] or ""

    @display(description="Details")
    def display_details(self, event: Any) -> str:
        return "; ".join(f"{name}: {value}" for name, value in event.entry["details"].items())

    @display(description="Changes")
    def display_changes(self, event: Any) -> str:
        return describe_changes(event.entry["changes"])

    @display(description="Hash")
    def display_hash(self, event: Any) -> str:
        return event.entry["hash"] or "not computed yet"


def _to_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
