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
# Fill these in yourself. Empty ones mean no mail password, no AI provider and no S3.
keep email_host_password ""
keep openai_api_key ""
keep s3_secret_access_key ""
