# abra-entrypoint.sh of bluesky-pds
