#!/usr/bin/env bash
# Builds the image and pushes it, its base pinned by digest; prints the digest for the chart's `image.digest`.
#
#     deploy/build.sh cpu|cuda REPOSITORY     such as registry.example.org/affect/pricon
set -euo pipefail
cd "$(dirname "$0")/.."

[[ $# == 2 && $1 =~ ^(cpu|cuda)$ ]] || { echo "usage: deploy/build.sh cpu|cuda REPOSITORY" >&2; exit 2; }
variant=$1 repository=$2

docker buildx version > /dev/null 2>&1 || {
    echo "docker with buildx is missing: https://docs.docker.com/engine/install" >&2
    exit 3
}

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' pricon/__init__.py)
commit=$(git rev-parse HEAD 2> /dev/null || echo unknown)
base=$(sed -n 's/^ARG BASE=\(..*\)/\1/p' deploy/Dockerfile)
digest=$(docker buildx imagetools inspect --format '{{ .Manifest.Digest }}' "$base")
facts=$(mktemp)
trap 'rm -f "$facts"' EXIT
tag=$version-$variant
[[ $variant == cpu ]] && tag=$version # the chart's default: tracking server and tests need no GPU

docker buildx build --file deploy/Dockerfile --push --tag "$repository:$tag" \
    --build-arg "BASE=$base@$digest" --build-arg "VARIANT=$variant" \
    --build-arg "VERSION=$version" --build-arg "COMMIT=$commit" \
    --metadata-file "$facts" .
pushed=$(sed -n 's/.*"containerimage.digest": "\(.*\)".*/\1/p' "$facts")
echo "$repository@$pushed"
