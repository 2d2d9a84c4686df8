#!/usr/bin/env bash
export PDS_ENTRYPOINT_VERSION=v4
