# pg_backup.sh of bonfire
