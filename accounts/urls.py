from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts import people_views, views

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("companies", people_views.CompaniesViewSet, basename="company")
router.register("users", people_views.UserViewSet, basename="user")
router.register("admin/users", people_views.AdminUserViewSet, basename="admin-user")
router.register("invitations", people_views.InvitationViewSet, basename="invitation")

logins = views.LoginViewSet.as_view
read_me = views.MeView.as_view(http_method_names=["get", "head", "options"])

urlpatterns = [
    path("auth/signup", views.SignupView.as_view(), name="signup"),
    path("auth/register", views.SignupView.as_view(), name="register"),
    path("auth/login", views.LoginView.as_view(), name="login"),
    path("auth/login/json", views.LoginView.as_view(), name="login-json"),
    path("auth/refresh", views.RefreshView.as_view(), name="refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="logout"),
    path("auth/sessions", logins({"get": "list", "delete": "destroy_all"}, detail=False)),
    path("auth/sessions/<uuid:pk>", logins({"get": "retrieve", "delete": "destroy"}, detail=True)),
    path("auth/password/change", views.PasswordChangeView.as_view(), name="password-change"),
    path("auth/password/reset", views.PasswordResetView.as_view(), name="password-reset"),
    path("auth/password/reset/confirm", views.PasswordResetConfirmView.as_view()),
    path("auth/me", read_me, name="me"),
    path("profile/me", views.MeView.as_view(), name="profile"),
    *router.urls,
]
