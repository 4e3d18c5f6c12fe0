#!/bin/sh
# Creates the missing secrets of compose.prod.yaml in docker/secrets/.
# Only their owner can enter the folder; the containers' users can read the files.
set -eu

folder=$(dirname "$0")/secrets
mkdir -p -m 700 "$folder"
cd "$folder"

random() {
    python3 -c 'import secrets; print(secrets.token_urlsafe(36))'
}

create() {
    if [ ! -e "$1" ]; then
        printf '%s\n' "$2" > "$1"
        chmod 444 "$1"
        echo "created $folder/$1"
    fi
}

create secret_key "$(random)"
create first_superuser_password "$(random)"
create postgres_password "$(random)"
create redis_password "$(random)"
create metrics_token "$(random)"
create grafana_password "$(random)"
create flower_basic_auth "flower:$(random)"
# Fill these in yourself. Without them there is no mail password, no AI provider and no S3.
create email_host_password ""
create openai_api_key ""
create s3_secret_access_key ""
