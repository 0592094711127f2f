#!/bin/sh
# Run once by PostgreSQL's image on an empty volume: for each service a database and a role that owns it and sees no other.
# Passwords come from the environment of the container and stand in no command line.
set -eu
for service in ingest scoring assignment fieldvisit notify; do
    psql --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 --set role="$service" --quiet <<SQL
\\getenv password $(echo "$service" | tr '[:lower:]' '[:upper:]')_DB_PASSWORD
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role";
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
SQL
done
