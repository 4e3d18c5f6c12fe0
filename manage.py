#!/usr/bin/env python3
"""Django's command line; the clone's own servers run for as long as the command does."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config.command_line import run
    from config.settings import local

    run(sys.argv, local)


if __name__ == "__main__":
    main()
