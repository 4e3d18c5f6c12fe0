import django_filters

from catalog.import_models import ProductImport
from common.api.filters import BooleanFilter, CreatedFilter, SearchFilter
from common.jobs.status import JobStatus


class ProductImportFilter(CreatedFilter):
    status = django_filters.ChoiceFilter(choices=JobStatus.choices, label="The state.")
    mode = django_filters.ChoiceFilter(choices=ProductImport.Mode.choices, label="The mode.")
    dry_run = BooleanFilter(label="Whether it is a dry run.")
    search = SearchFilter("file_name", label="Part of the name of the file.")

    class Meta:
        model = ProductImport
        fields = ()
