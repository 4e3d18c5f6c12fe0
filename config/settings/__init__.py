"""Django's settings, by subject. The values of the environment come from `config.environment`."""

from config.settings.admin_theme import *  # noqa: F403
from config.settings.ai import *  # noqa: F403
from config.settings.api import *  # noqa: F403
from config.settings.audit import *  # noqa: F403
from config.settings.auth import *  # noqa: F403
from config.settings.base import *  # noqa: F403
from config.settings.database import *  # noqa: F403
from config.settings.jobs import *  # noqa: F403
from config.settings.limits import *  # noqa: F403
from config.settings.mail import *  # noqa: F403
from config.settings.observability import *  # noqa: F403
from config.settings.openapi import *  # noqa: F403
from config.settings.posts import *  # noqa: F403
from config.settings.runtime import DEBUG, env, local  # noqa: F401
from config.settings.security_headers import *  # noqa: F403
from config.settings.uploads import *  # noqa: F403
