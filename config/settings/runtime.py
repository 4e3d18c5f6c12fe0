"""The environment, read once, and the clone's own servers that it needs."""

from config.environment import load
from config.local.services import LocalServices

env = load()
env.show_notices()
local = LocalServices(env.var_dir, postgres=env.uses_local_postgres, valkey=env.uses_local_valkey)
DEBUG = bool(env.debug)
