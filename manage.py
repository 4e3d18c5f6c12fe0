#!/usr/bin/env python3
"""Django's command line; the clone's own servers run for as long as the command does."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    from config.settings import local

    with local:
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
