import django_filters

from common.api.filters import BooleanFilter, CreatedFilter, FilterSet, SearchFilter
from uploads.models import CYCLE_STATUSES, Cycle, Project, Session, SessionFile, SessionStatus


class ProjectFilter(FilterSet):
    is_active = BooleanFilter(label="Whether the project is in use.")
    search = SearchFilter(
        "name",
        "description",
        "bucket_name",
        label="Text in the name, the description or the bucket name.",
    )

    class Meta:
        model = Project
        fields = ()


class CycleFilter(FilterSet):
    project_id = django_filters.UUIDFilter(label="The project.")
    status = django_filters.ChoiceFilter(choices=CYCLE_STATUSES, label="The state.")
    search = SearchFilter(
        "name",
        "description",
        "prefix",
        label="Text in the name, the description or the prefix.",
    )

    class Meta:
        model = Cycle
        fields = ()


class SessionFilter(CreatedFilter):
    project_id = django_filters.UUIDFilter(label="The project.")
    cycle_id = django_filters.UUIDFilter(label="The cycle.")
    status = django_filters.ChoiceFilter(choices=SessionStatus.choices, label="The state.")
    search = SearchFilter(
        "local_directory",
        "prefix",
        "project__name",
        label="Text in the folder, the prefix or the project name.",
    )

    class Meta:
        model = Session
        fields = ()


class StatisticsFilter(FilterSet):
    project_id = django_filters.UUIDFilter(label="The project.")

    class Meta:
        model = Session
        fields = ()


class FileFilter(FilterSet):
    status = django_filters.ChoiceFilter(choices=SessionFile.Status.choices, label="The state.")
    search = SearchFilter(
        "path",
        "key",
        "error",
        label="Text in the path, the key or the error.",
    )

    class Meta:
        model = SessionFile
        fields = ()
