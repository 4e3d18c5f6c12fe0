#!/bin/sh
# Runs a process by its name, or any other command. The program replaces this shell, so that it
# receives signals.
set -eu

cd "$(dirname "$0")/.."
# Container secrets are files, which Flower can't read by itself.
if [ -n "${FLOWER_BASIC_AUTH_FILE:-}" ]; then
    FLOWER_BASIC_AUTH=$(cat "$FLOWER_BASIC_AUTH_FILE")
    export FLOWER_BASIC_AUTH
fi

case $1 in
    web | live | worker | mail | uploads | beat | grpc)
        exec sh -c "exec env $(sed -n "s/^$1: //p" Procfile)"
        ;;
    migrate)
        python manage.py migrate --noinput
        exec python manage.py seed_admin
        ;;
    flower)
        exec celery --quiet --app config flower --address="$HOST" --port="${FLOWER_PORT:-5555}"
        ;;
    *)
        exec "$@"
        ;;
esac
