from typing import Any

from django.db import migrations, models
from django.db.models import Exists, OuterRef


def hide_earlier_reuses(apps: Any, _schema_editor: object) -> None:
    """Show agents' summaries as new if only rows of their colleagues had them."""
    Summary = apps.get_model("notes", "Summary")
    own_earlier = Summary.objects.filter(
        company_id=OuterRef("company_id"),
        user_id=OuterRef("user_id"),
        result_key=OuterRef("result_key"),
        finished_at__lte=OuterRef("finished_at"),
    ).exclude(pk=OuterRef("pk"))
    of_agents = Summary.objects.filter(user__role="agent", user__is_superuser=False)
    hidden = of_agents.filter(~Exists(own_earlier), cached=True)
    hidden.update(cached=False, reuse_is_private=True)


class Migration(migrations.Migration):
    dependencies = [
        ("notes", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="summary",
            name="reuse_is_private",
            field=models.BooleanField(
                db_default=False,
                editable=False,
                verbose_name="reused from rows that its user can't see; the usage includes that of making it",
            ),
        ),
        migrations.AddField(
            model_name="summary",
            name="reused_usage",
            field=models.JSONField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="summaryoutcome",
            name="private_reuse",
            field=models.JSONField(null=True),
        ),
        migrations.RunPython(hide_earlier_reuses, migrations.RunPython.noop),
    ]
