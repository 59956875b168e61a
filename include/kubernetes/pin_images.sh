#!/usr/bin/env bash
# Pins the base images of the Dockerfiles and of docker-compose.yaml by the digest that their tags have now, and renews
# the digests that are there. Needs docker with buildx and the way to the registry: make pin-images
set -euo pipefail
cd "$(dirname "$0")/../.."

files=(docker-compose.yaml include/kubernetes/Dockerfile include/kubernetes/Dockerfile.airflow)
before='(ARG [A-Z]+_IMAGE=|image: )'
images=$(sed -nE "s/^ *$before([^ :@]+:[^ @]+).*/\2/p" "${files[@]}" | grep -v '^image-retrieval-' | sort -u)
for image in $images; do
  digest=$(docker buildx imagetools inspect "$image" --format '{{.Manifest.Digest}}')
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "no digest for $image: $digest" >&2 && exit 1; }
  sed -i -E "s#$before${image//./\\.}(@[^ ]*)?#\1$image@$digest#" "${files[@]}"
  echo "$image@$digest"
done
