"""The two pages that mailed links open; everything else of Bureau is an API."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.generic import FormView
from rest_framework.exceptions import ValidationError

from accounts import services
from accounts.models import Invitation
from accounts.serializers import (
    PASSWORD_LENGTH,
    PasswordResetConfirmSerializer,
    SignupSerializer,
)
from accounts.views import validated


class PasswordForm(forms.Form):
    new_password = forms.CharField(
        max_length=PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class InvitationForm(forms.Form):
    full_name = forms.CharField(max_length=200, required=False)
    username = forms.CharField(
        max_length=150, required=False, help_text="Made of your email if empty."
    )
    password = forms.CharField(
        max_length=PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class LinkPage(FormView):
    """A form behind a mailed link; the API's own serializers judge what is sent."""

    template_name = "accounts/form.html"
    title = ""
    done = ""

    def act(self, data: dict[str, Any]) -> None:
        """Do what the link is for, or raise DRF's `ValidationError`."""
        raise NotImplementedError

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            self.act(form.cleaned_data)
        except ValidationError as error:
            details: Any = error.get_full_details()
            for field, messages in details.items():
                for message in messages:
                    form.add_error(field if field in form.fields else None, message["message"])
            return self.form_invalid(form)
        return render(self.request, self.template_name, {"title": self.title, "done": self.done})

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(title=self.title, **kwargs)


class PasswordPage(LinkPage):
    form_class = PasswordForm
    title = "Choose a password"
    done = "Your password is changed, and all logins have ended."

    def act(self, data: dict[str, Any]) -> None:
        given = {"token": self.kwargs["secret"], "new_password": data["new_password"]}
        services.redeem_password_reset(**validated(PasswordResetConfirmSerializer(data=given)))


class InvitationPage(LinkPage):
    form_class = InvitationForm
    done = "Your account is ready."
    invitation: Invitation

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            self.invitation = services.find_invitation(kwargs["secret"])
        except ValidationError:
            gone = "This invitation was used, revoked, or has expired."
            context = {"title": "Invitation", "done": gone}
            return render(request, self.template_name, context, status=404)
        self.title = f"Join {self.invitation.company.name}"
        return super().dispatch(request, *args, **kwargs)

    def act(self, data: dict[str, Any]) -> None:
        given = {"email": self.invitation.email, "invitation": self.kwargs["secret"]}
        services.sign_up(**validated(SignupSerializer(data=given | data)))
