from typing import Any

from django.contrib import admin
from django.contrib.auth.views import PasswordChangeView
from django.urls import reverse_lazy

from accounts.forms import OwnPasswordForm


class AdminPasswordView(PasswordChangeView):
    """The admin site's page to change the own password, with a limit on wrong old passwords.

    Django's page gives its form no request, whose address the limit needs.
    """

    form_class = OwnPasswordForm
    success_url = reverse_lazy("admin:password_change_done")

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | admin.site.each_context(self.request)
