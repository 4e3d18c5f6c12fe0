#!/bin/sh
# Replaces the release that runs on this server:
#
#     docker/deploy.sh v1.4.0
#
# Migrations run first and must suit the old code (docs/deploy.md). Then new web containers start
# beside the old ones, which stop when the new ones are healthy. Then the other services follow. If
# the new release is not ready within a minute, the previous one is restored the same way and this
# script exits with 1.
# IMAGE and DOMAIN come from the environment or from docker/.env.
set -eu

new=${1:?Which release? Give its tag}
cd "$(dirname "$0")"
if [ -f .env ]; then
    set -a
    . ./.env
    set +a
fi
: "${DOMAIN:?Set DOMAIN to the public host name}"
previous=$(cat release 2> /dev/null || true)

compose() {
    docker compose --file compose.prod.yaml "$@"
}

# Called where `set -e` has no effect: each step handles its own failure.
replace_release() {
    TAG=$1
    export TAG
    running=$(compose ps --quiet web)
    count=$(echo "$running" | wc -w)
    if [ "$count" -eq 0 ]; then
        compose up --detach --wait
        return
    fi
    if ! compose up --detach --wait --no-deps --no-recreate --scale "web=$((count * 2))" web; then
        for container in $(compose ps --all --quiet web); do
            case $running in *"$container"*) ;; *) docker rm --force "$container" ;; esac
        done
        return 1
    fi
    # A container that stops finishes its requests first.
    docker stop --time 30 $running &&
        docker rm $running &&
        compose up --detach --no-deps --no-recreate --scale "web=$count" web &&
        compose up --detach --wait --no-deps live worker mail uploads beat grpc flower caddy prometheus grafana &&
        compose exec -T caddy caddy reload --config /etc/caddy/Caddyfile
}

is_ready() {
    for _ in $(seq "${READY_CHECKS:-30}"); do
        if curl --fail --silent --output /dev/null --max-time 5 \
            --resolve "$DOMAIN:443:127.0.0.1" "https://$DOMAIN/ready"; then
            return 0
        fi
        sleep 2
    done
    return 1
}

echo "Replacing ${previous:-nothing} by $new."
TAG=$new compose pull --quiet migrate flower
TAG=$new compose run --rm migrate
if replace_release "$new" && is_ready; then
    echo "$new" > release
    echo "$new runs."
    exit 0
fi
if [ -z "$previous" ]; then
    echo "$new is not ready, and there is no previous release to restore." >&2
    exit 1
fi
echo "$new is not ready: restoring $previous." >&2
replace_release "$previous"
is_ready || echo "$previous is not ready either." >&2
exit 1
