"""The HTML pages that mailed links open; everything else is an API."""

from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import FormView
from rest_framework.exceptions import ValidationError

from accounts import services
from accounts.forms import InvitationForm, NewPasswordForm
from accounts.models import Invitation
from accounts.serializers import (
    EmailChangeConfirmSerializer,
    PasswordResetConfirmSerializer,
    SignupSerializer,
)
from accounts.services.invitations import UNUSABLE_MESSAGE
from accounts.views.validation import validate


@method_decorator(never_cache, name="dispatch")
class LinkPageView(FormView):
    """A form behind a mailed link; the API's serializers validate its data."""

    template_name = "accounts/form.html"
    title = ""
    success_message: ClassVar[str]

    def process(self, data: dict[str, Any]) -> None:
        """Apply the form's data; raise DRF's `ValidationError` if it is invalid."""
        raise NotImplementedError

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            self.process(form.cleaned_data)
        except ValidationError as error:
            add_errors(form, error)
            return self.form_invalid(form)
        return self.render_message(self.success_message)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(title=self.title, **kwargs)

    def render_message(self, message: str, *, status: int = 200) -> HttpResponse:
        context = {"title": self.title, "message": message}
        return render(self.request, self.template_name, context, status=status)


class PasswordResetPageView(LinkPageView):
    form_class = NewPasswordForm
    title = "Choose a password"
    success_message = "Your password was changed, and all logins were ended."

    def process(self, data: dict[str, Any]) -> None:
        body = {"token": self.kwargs["secret"], "new_password": data["new_password"]}
        services.reset_password(**validate(PasswordResetConfirmSerializer(data=body)))


class EmailChangePageView(LinkPageView):
    """A button instead of a change by GET, because mail scanners open the links in mails."""

    form_class = forms.Form
    title = "Confirm your new email address"
    success_message = "Your email address was changed."

    def process(self, data: dict[str, Any]) -> None:
        body = {"token": self.kwargs["secret"]}
        token = validate(EmailChangeConfirmSerializer(data=body))["token"]
        services.confirm_email_change(secret=token)


class InvitationPageView(LinkPageView):
    form_class = InvitationForm
    title = "Invitation"
    success_message = "Your account is ready."
    invitation: Invitation

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            self.invitation = services.get_pending_invitation(kwargs["secret"])
        except ValidationError:
            return self.render_message(UNUSABLE_MESSAGE, status=404)
        self.title = f"Join {self.invitation.company.name}"
        return super().dispatch(request, *args, **kwargs)

    def process(self, data: dict[str, Any]) -> None:
        link = {"email": self.invitation.email, "invitation": self.kwargs["secret"]}
        services.sign_up(**validate(SignupSerializer(data=link | data)))


def add_errors(form: forms.Form, error: ValidationError) -> None:
    """Add a serializer's errors to the form; those of unknown fields concern the whole form."""
    details: Any = error.get_full_details()
    for field, messages in details.items():
        for message in messages:
            form.add_error(field if field in form.fields else None, message["message"])
