import factory

from accounts.tests.factories import UserFactory
from uploads.models import Cycle, Project, Session, SessionFile


class ProjectFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Project

    company = factory.SubFactory("accounts.tests.factories.CompanyFactory")
    name = factory.Sequence(lambda n: f"Project {n}")
    bucket_name = "field-data"


class CycleFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Cycle

    project = factory.SubFactory(ProjectFactory)
    company = factory.SelfAttribute("project.company")
    name = factory.Sequence(lambda n: f"Cycle {n}")
    number = factory.Sequence(lambda n: n + 1)


class SessionFactory(factory.django.DjangoModelFactory):
    """A pending session of a user of its company."""

    class Meta:
        model = Session

    cycle = factory.SubFactory(CycleFactory)
    project = factory.SelfAttribute("cycle.project")
    company = factory.SelfAttribute("project.company")
    user = factory.SubFactory(UserFactory, company=factory.SelfAttribute("..company"))
    local_directory = "day-1"


class SessionFileFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = SessionFile

    session = factory.SubFactory(SessionFactory)
    company = factory.SelfAttribute("session.company")
    key = factory.Sequence(lambda n: f"file-{n:05}.csv")
    path = factory.SelfAttribute("key")
    size = 10
