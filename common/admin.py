from django.contrib import admin
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from unfold.admin import ModelAdmin

admin.site.index_title = "Start"
admin.site.unregister(TaskResult)
admin.site.unregister(GroupResult)


@admin.register(TaskResult)
class StyledTaskResultAdmin(TaskResultAdmin, ModelAdmin):
    """Celery's results in the looks of this site."""
