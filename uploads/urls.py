from django.urls import path
from rest_framework.routers import SimpleRouter

from uploads import views
from uploads.serializers import JobSerializer, PresignSerializer

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("projects", views.ProjectViewSet, basename="project")
router.register("cycles", views.CycleViewSet, basename="cycle")
router.register("sessions", views.SessionViewSet, basename="session")

list_files = views.SessionFileViewSet.as_view({"get": "list"}, detail=True)
start = views.UploadViewSet.as_view({"post": "start"}, detail=False)
status = views.UploadViewSet.as_view({"get": "status"}, detail=True, serializer_class=JobSerializer)
presigned_url = views.UploadViewSet.as_view(
    {"post": "presigned_url"}, detail=False, serializer_class=PresignSerializer
)

urlpatterns = [
    path("sessions/<uuid:pk>/files", list_files),
    path("uploads/start", start),
    path("uploads/status/<uuid:pk>", status),
    path("uploads/presigned-url", presigned_url),
    path("uploads/direct/<uuid:pk>", views.PresignedUploadView.as_view(), name="presigned-upload"),
    *router.urls,
]
