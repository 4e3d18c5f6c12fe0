from django.urls import path
from rest_framework.routers import SimpleRouter

from uploads import views
from uploads.serializers import PresignSerializer

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("projects", views.ProjectViewSet, basename="project")
router.register("cycles", views.CycleViewSet, basename="cycle")
router.register("sessions", views.SessionViewSet, basename="session")

files, uploads = views.SessionFileViewSet.as_view, views.UploadViewSet.as_view
presign = uploads({"post": "presigned_url"}, detail=False, serializer_class=PresignSerializer)

urlpatterns = [
    path("sessions/<uuid:pk>/files", files({"get": "list"}, detail=True)),
    path("uploads/start", uploads({"post": "start"}, detail=False)),
    path("uploads/status/<uuid:pk>", uploads({"get": "status"}, detail=True)),
    path("uploads/presigned-url", presign),
    path(
        "uploads/presigned/<uuid:pk>", views.PresignedUploadView.as_view(), name="presigned-upload"
    ),
    *router.urls,
]
