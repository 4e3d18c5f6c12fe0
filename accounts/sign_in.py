from typing import Any

from unfold.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """Says that both names are taken, as they are by the API."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "Email or username"
