#!/bin/sh
# Search a served library with an image, and get its vector; needs curl.
#
#     sh search.sh http://127.0.0.1:8484 cat.jpg
set -e
# With a token: -H "Authorization: Bearer $TOKEN"
curl -sSf -F "image=@$2" -F 'query={"k": 3}' "$1/api/search"
echo
curl -sSf -F "image=@$2" "$1/api/embed"
