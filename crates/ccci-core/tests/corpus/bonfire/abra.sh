export PG_BACKUP_VERSION=v2 # raised with 2.0.0
