from rest_framework.routers import SimpleRouter

from posts.views import PostViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("posts", PostViewSet, basename="post")

urlpatterns = router.urls
