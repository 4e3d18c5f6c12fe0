from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.forms import (
    AdminOwnPasswordChangeForm,
    AuthenticationForm,
    UserChangeForm,
    UserCreationForm,
)

from accounts.identifiers import (
    MAX_NAME_CHARS,
    MAX_PASSWORD_CHARS,
    MAX_USERNAME_CHARS,
    normalize_email,
    validate_new_email,
)
from accounts.models import User
from accounts.password_checks import check_password
from common.ratelimit.throttles import TooManyAttempts


@contextmanager
def too_many_attempts_as_form_error() -> Iterator[None]:
    """Show the sentence of `TooManyAttempts` in the form."""
    try:
        yield
    except TooManyAttempts as error:
        raise forms.ValidationError(str(error.detail), code=error.default_code) from None


class AdminLoginForm(AuthenticationForm):
    """The login form of the admin site, which accepts an email or a username."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "Email or username"

    def clean(self) -> dict[str, Any]:
        with too_many_attempts_as_form_error():
            return super().clean()


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """The form in which staff change their own password; wrong old passwords are counted."""

    def __init__(self, user: User, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self._request = request

    def clean_old_password(self) -> str:
        old_password: str = self.cleaned_data["old_password"]
        with too_many_attempts_as_form_error():
            if not check_password(self.user, old_password, request=self._request):
                message = self.error_messages["password_incorrect"]
                raise forms.ValidationError(message, code="password_incorrect")
        return old_password


class NewEmailMixin(forms.ModelForm):
    """Stores a new or changed email in its normal form."""

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if self.instance.email == email:
            return email
        email = normalize_email(email)
        validate_new_email(email)
        return email


class UserEditForm(NewEmailMixin, UserChangeForm):
    pass


class UserAddForm(NewEmailMixin, UserCreationForm):
    class Meta:
        model = User
        fields = ("email", "username", "full_name", "company", "role")
        field_classes = {"username": forms.CharField}


class NewPasswordField(forms.CharField):
    """A password input that browsers offer to generate and store."""

    def __init__(self) -> None:
        super().__init__(
            max_length=MAX_PASSWORD_CHARS,
            strip=False,
            widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        )


class NewPasswordForm(forms.Form):
    new_password = NewPasswordField()


class InvitationForm(forms.Form):
    full_name = forms.CharField(max_length=MAX_NAME_CHARS, required=False)
    username = forms.CharField(
        max_length=MAX_USERNAME_CHARS,
        required=False,
        help_text="If empty, it is made from your email.",
    )
    password = NewPasswordField()
