from django.urls import path
from rest_framework.routers import SimpleRouter

from notes.views import BatchViewSet, NoteViewSet, SummaryViewSet, TemplateViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("notes", NoteViewSet, basename="note")
router.register("summaries", SummaryViewSet, basename="summary")
router.register("summary-templates", TemplateViewSet, basename="summary-template")

BATCH_PATH = "summaries/batches/<uuid:pk>"

urlpatterns = [
    *router.urls,
    path("summaries/batch", BatchViewSet.as_view({"post": "create"})),
    path("summaries/batches", BatchViewSet.as_view({"get": "list"})),
    path(BATCH_PATH, BatchViewSet.as_view({"get": "retrieve"}, detail=True)),
    path(f"{BATCH_PATH}/retry", BatchViewSet.as_view({"post": "retry"}, detail=True)),
    path(f"{BATCH_PATH}/cancel", BatchViewSet.as_view({"post": "cancel"}, detail=True)),
]
