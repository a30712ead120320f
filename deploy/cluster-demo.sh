#!/usr/bin/env bash
# A cluster in Docker with KubeRay, pricon, an object store and MLflow, and a job of a minute on it.
# Needs docker, kind, helm and kubectl, 12 GB of memory for Docker and 20 GB of disk.
#
#     make cluster-demo
#     kind delete cluster --name pricon     takes all of it away
set -euo pipefail
cd "$(dirname "$0")/.."
namespace=affect

fail() {
    printf '%s\n\nhint: %s\n' "$1" "$2" >&2
    exit 3
}

for tool in docker kind helm kubectl; do
    command -v "$tool" > /dev/null ||
        fail "\`$tool\` is missing" "install docker, kind, helm and kubectl; without Docker, \`make demo\` shows a run on this machine"
done
docker info > /dev/null 2>&1 ||
    fail "Docker does not answer" "start it, or add yourself to the group \`docker\`"

# A password nobody chooses and nobody needs to know.
random() { head -c 24 /dev/urandom | base64 | tr -d '/+='; }

# Makes a secret from `key=value` lines, unless it is there: a second start must not change passwords.
secret() {
    kube get secret "$1" > /dev/null 2>&1 || kube create secret generic "$1" --from-env-file=/dev/stdin
}

kube() { kubectl --context kind-pricon --namespace "$namespace" "$@"; }

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' pricon/__init__.py)
docker build --file deploy/Dockerfile --build-arg VARIANT=cpu --build-arg "VERSION=$version" \
    --tag "localhost/pricon:$version" .

kind get clusters 2> /dev/null | grep -qx pricon || kind create cluster --config deploy/kind.yaml --wait 5m
kind load docker-image --name pricon "localhost/pricon:$version"

helm upgrade --install kuberay-operator kuberay-operator --version 1.7.0 --kube-context kind-pricon \
    --repo https://ray-project.github.io/kuberay-helm/ --namespace kuberay-system --create-namespace \
    --values deploy/kuberay-operator-values.yaml --wait

kubectl --context kind-pricon apply --filename - << END
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
  labels: {pod-security.kubernetes.io/enforce: restricted}
END
printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n' "$(random)" "$(random)" | secret pricon-storage
printf 'admin-password=%s\nflask-secret-key=%s\n' "$(random)" "$(random)" | secret pricon-tracking
printf 'MLFLOW_TRACKING_USERNAME=runs\nMLFLOW_TRACKING_PASSWORD=%s\n' "$(random)" | secret pricon-tracking-run

helm upgrade --install pricon helm/pricon --kube-context kind-pricon --namespace "$namespace" \
    --values deploy/values/kind.yaml --wait --timeout 15m
helm test pricon --kube-context kind-pricon --namespace "$namespace" --logs --timeout 30m

cat << END

All tests passed. Next:
  pricon-submit jobs/again_cv.yaml --target kubernetes --namespace $namespace
  kubectl --context kind-pricon --namespace $namespace port-forward service/pricon-tracking 5000
  kind delete cluster --name pricon
END
