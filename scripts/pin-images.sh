#!/usr/bin/env bash
# Writes the digest that each image has now behind its version, so that nobody can exchange what the version names:
#   scripts/pin-images.sh [FILE...]
# The files are docker-compose.yml and deploy/demo/Dockerfile if none is given. A digest that is there is replaced. Asks each
# image's registry by `docker buildx imagetools`; prints a line for each image; 1, and no file is changed, where one is not told.
set -euo pipefail

[ $# -gt 0 ] || { cd "$(dirname "$0")/.." && set -- docker-compose.yml deploy/demo/Dockerfile; }

# What is built here has no registry.
images=$(sed -nE -e '/:local$/d' -e 's/^( *image:|FROM) +([^ @]+:[^ @]+)(@[^ ]+)?( .*)?$/\2/p' "$@" | sort -u)
[ -n "$images" ] || { echo 'no image in these files' >&2; exit 1; }

changes=()
for image in $images; do
  digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { printf 'no digest of %s\n' "$image" >&2; exit 1; }
  printf '%s@%s\n' "$image" "$digest"
  changes+=(-e "s#^( *image:|FROM) +${image//./\\.}(@[^ ]+)?( .*)?\$#\1 $image@$digest\3#")
done
sed -E -i "${changes[@]}" "$@"
