from django.contrib import admin
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from unfold.admin import ModelAdmin

admin.site.index_title = "Start"
admin.site.unregister(TaskResult)
admin.site.unregister(GroupResult)


@admin.register(TaskResult)
class ThemedTaskResultAdmin(TaskResultAdmin, ModelAdmin):
    """Celery's task results, in the theme of this admin site."""
