from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.views import auth, people

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("companies", people.CompanyViewSet, basename="company")
router.register("users", people.UserViewSet, basename="user")
router.register("admin/users", people.AdminUserViewSet, basename="admin-user")
router.register("invitations", people.InvitationViewSet, basename="invitation")

logins = auth.LoginViewSet.as_view
read_only_profile = auth.ProfileView.as_view(http_method_names=["get", "head", "options"])

urlpatterns = [
    path("auth/signup", auth.SignupView.as_view(), name="signup"),
    path("auth/register", auth.SignupView.as_view(), name="register"),
    path("auth/login", auth.LoginView.as_view(), name="login"),
    path("auth/login/json", auth.LoginView.as_view(), name="login-json"),
    path("auth/refresh", auth.RefreshView.as_view(), name="refresh"),
    path("auth/logout", auth.LogoutView.as_view(), name="logout"),
    path("auth/sessions", logins({"get": "list", "delete": "destroy_all"}, detail=False)),
    path("auth/sessions/<uuid:pk>", logins({"get": "retrieve", "delete": "destroy"}, detail=True)),
    path("auth/password/change", auth.PasswordChangeView.as_view(), name="password-change"),
    path("auth/password/reset", auth.PasswordResetView.as_view(), name="password-reset"),
    path("auth/password/reset/confirm", auth.PasswordResetConfirmView.as_view()),
    path("auth/me", read_only_profile, name="me"),
    path("profile/me", auth.ProfileView.as_view(), name="profile"),
    path("profile/email", auth.EmailChangeView.as_view(), name="email-change"),
    path("profile/email/confirm", auth.EmailChangeConfirmView.as_view()),
    *router.urls,
]
