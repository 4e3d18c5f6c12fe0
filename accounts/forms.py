from typing import Any

from django import forms
from unfold.forms import AuthenticationForm, UserCreationForm

from accounts.identifiers import MAX_NAME_CHARS, MAX_USERNAME_CHARS, normalize_email
from accounts.models import User
from accounts.serializer_fields import MAX_PASSWORD_CHARS


class AdminLoginForm(AuthenticationForm):
    """The login form of the admin site, which accepts an email or a username."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "Email or username"


class UserAddForm(UserCreationForm):
    class Meta:
        model = User
        fields = ("email", "username", "full_name", "company", "role")
        field_classes = {"username": forms.CharField}

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])


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
