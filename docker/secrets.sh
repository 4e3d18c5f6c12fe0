#!/bin/sh
# Makes the secrets of compose.prod.yaml that are not there yet, in docker/secrets/.
# Only their owner enters the folder; the files in it are open to the users in the containers.
set -eu

folder=$(dirname "$0")/secrets
mkdir -p -m 700 "$folder"
cd "$folder"

random() {
    python3 -c 'import secrets; print(secrets.token_urlsafe(36))'
}

keep() {
    if [ ! -e "$1" ]; then
        printf '%s\n' "$2" > "$1"
        chmod 444 "$1"
        echo "made $folder/$1"
    fi
}

keep secret_key "$(random)"
keep first_superuser_password "$(random)"
keep postgres_password "$(random)"
keep redis_password "$(random)"
keep metrics_token "$(random)"
keep grafana_password "$(random)"
keep flower_basic_auth "flower:$(random)"
# Yours to fill in. Empty, there is no password for the mail server, no AI provider and no S3.
keep email_host_password ""
keep openai_api_key ""
keep s3_secret_access_key ""
