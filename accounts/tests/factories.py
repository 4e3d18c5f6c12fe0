from typing import Any

import factory
from django.contrib.auth.hashers import make_password

from accounts.models import Company, Role, User

PASSWORD = "correct-horse-battery"
# Hashing is slow by design, so hash the password only once.
PASSWORD_HASH = make_password(PASSWORD)


class CompanyFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Company

    name = factory.Sequence(lambda n: f"Company {n}")
    code = factory.Sequence(lambda n: f"company-{n}")


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User

    company = factory.SubFactory(CompanyFactory)
    username = factory.Sequence(lambda n: f"person-{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.org")
    role = Role.AGENT
    password = PASSWORD_HASH

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> User:
        return model_class.objects.create(*args, **kwargs)
