# pg_backup.sh of mattermost-lts
