#!/usr/bin/env bash
# GPU node pools on GKE that scale from zero; deploy/values/gke-pools.yaml is the other half. Prices and quotas
# differ by region: `gcloud compute accelerator-types list` says which GPUs yours has.
#
#     CLUSTER=affect LOCATION=europe-west4 deploy/pools/gke.sh
set -euo pipefail
: "${CLUSTER:?name of the cluster}" "${LOCATION:?its region or zone}"

pool() { # name, machine, accelerator, most nodes, more flags...
    gcloud container node-pools create "$1" --cluster "$CLUSTER" --location "$LOCATION" \
        --machine-type "$2" --accelerator "type=$3,count=1,gpu-driver-version=latest" \
        --num-nodes 0 --enable-autoscaling --total-min-nodes 0 --total-max-nodes "$4" \
        --location-policy ANY --disk-type pd-ssd --disk-size 200 \
        --workload-metadata GKE_METADATA --shielded-secure-boot \
        --node-labels "pricon.dev/pool=$1" "${@:5}"
}

pool gpu-l4-spot g2-standard-8 nvidia-l4 16 --spot \
    --node-taints nvidia.com/gpu=present:NoSchedule,pricon.dev/spot=true:NoSchedule
pool gpu-a100 a2-highgpu-1g nvidia-tesla-a100 4 --node-taints nvidia.com/gpu=present:NoSchedule
