import django_filters
from django.db.models import Q, QuerySet

from common.api.filters import BooleanFilter, FilterSet
from uploads.models import CYCLE_STATUSES, Cycle, Project, Session, SessionFile, SessionStatus


class ProjectFilter(FilterSet):
    is_active = BooleanFilter()
    search = django_filters.CharFilter(
        method="filter_search", label="Part of the name, the description or the bucket's name."
    )

    class Meta:
        model = Project
        fields = ()

    def filter_search(self, projects: QuerySet, _name: str, words: str) -> QuerySet:
        return projects.filter(
            Q(name__icontains=words)
            | Q(description__icontains=words)
            | Q(bucket_name__icontains=words)
        )


class CycleFilter(FilterSet):
    project_id = django_filters.UUIDFilter()
    status = django_filters.ChoiceFilter(choices=CYCLE_STATUSES)
    search = django_filters.CharFilter(
        method="filter_search", label="Part of the name, the description or the prefix."
    )

    class Meta:
        model = Cycle
        fields = ()

    def filter_search(self, cycles: QuerySet, _name: str, words: str) -> QuerySet:
        return cycles.filter(
            Q(name__icontains=words) | Q(description__icontains=words) | Q(prefix__icontains=words)
        )


class SessionFilter(FilterSet):
    project_id = django_filters.UUIDFilter()
    cycle_id = django_filters.UUIDFilter()
    user_id = django_filters.UUIDFilter(label="Who made it.")
    status = django_filters.ChoiceFilter(choices=SessionStatus.choices)
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")
    search = django_filters.CharFilter(
        method="filter_search", label="Part of the folder, the prefix, or the project's name."
    )

    class Meta:
        model = Session
        fields = ()

    def filter_search(self, sessions: QuerySet, _name: str, words: str) -> QuerySet:
        return sessions.filter(
            Q(local_directory__icontains=words)
            | Q(prefix__icontains=words)
            | Q(project__name__icontains=words)
        )


class StatisticsFilter(FilterSet):
    project_id = django_filters.UUIDFilter()

    class Meta:
        model = Session
        fields = ()


class FileFilter(FilterSet):
    status = django_filters.ChoiceFilter(choices=SessionFile.Status.choices)
    search = django_filters.CharFilter(
        method="filter_search", label="Part of the path, the key or the error."
    )

    class Meta:
        model = SessionFile
        fields = ()

    def filter_search(self, files: QuerySet, _name: str, words: str) -> QuerySet:
        return files.filter(
            Q(path__icontains=words) | Q(key__icontains=words) | Q(error__icontains=words)
        )
