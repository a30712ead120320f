{{/* What a schema cannot say: keys that are valid alone and not together. Every message says how to go on. */}}

{{- define "pricon.check" -}}
{{- $profile := include "pricon.profile" . | fromYaml -}}
{{- include "pricon.checkName" . -}}
{{- include "pricon.checkPools" $profile -}}
{{- include "pricon.checkServices" (dict "root" . "profile" $profile) -}}
{{- include "pricon.checkIngress" .Values.tracking -}}
{{- include "pricon.checkQueue" (dict "kueue" .Values.kueue "pools" $profile.pools) -}}
{{- include "pricon.checkApis" . -}}
{{- include "pricon.checkAddresses" .Values -}}
{{- end }}

{{/* The submitter refuses the same of servers. Annotations belong to others, and may hold addresses with a query. */}}
{{- define "pricon.checkAddresses" -}}
{{- $addresses := list .profile .tracking.artifacts | toJson -}}
{{- if or (regexMatch "://[^/@\"]*@" (toJson .)) (regexMatch "://[^\"]*[?#]" $addresses) -}}
{{- fail "an address holds a user, a password, a query or a fragment: all who read the profile, the values or a pod would see it\n\nhint: leave that out; keys and passwords go into a secret, which is named (`secretName`, `existingSecret`)" -}}
{{- end -}}
{{- end }}

{{/* Names of services begin with the release's, and are narrower. */}}
{{- define "pricon.checkName" -}}
{{- if not (regexMatch "^[a-z][a-z0-9-]*$" (include "pricon.fullname" .)) -}}
{{- fail (printf "release `%s` names no service: expected lower-case letters, digits and hyphens, a letter first\n\nhint: `helm install pricon helm/pricon ...`" .Release.Name) -}}
{{- end -}}
{{- end }}

{{- define "pricon.checkPools" -}}
{{- $names := keys .pools | sortAlpha | join "`, `" -}}
{{- if not (hasKey .pools .defaultPool) -}}
{{- fail (printf "`profile.defaultPool` is `%s`, `profile.pools` has `%s`\n\nhint: name one of them" .defaultPool $names) -}}
{{- end -}}
{{- range $name, $pool := .pools -}}
{{- if gt (int $pool.minWorkers) (int $pool.maxWorkers) -}}
{{- fail (printf "`profile.pools.%s.minWorkers` is %d, above `maxWorkers`, %d\n\nhint: 0 lets the pool scale from zero" $name (int $pool.minWorkers) (int $pool.maxWorkers)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "pricon.checkServices" -}}
{{- with .root.Values -}}
{{- if and .sharedCluster.enabled (not (hasKey $.profile.pools .sharedCluster.pool)) -}}
{{- fail (printf "`sharedCluster.pool` is `%s`, `profile.pools` has `%s`\n\nhint: name one of them" .sharedCluster.pool (keys $.profile.pools | sortAlpha | join "`, `")) -}}
{{- end -}}
{{- range .tests.pools -}}
{{- if not (hasKey $.profile.pools .) -}}
{{- fail (printf "`tests.pools` names `%s`, `profile.pools` has `%s`\n\nhint: name one of them" . (keys $.profile.pools | sortAlpha | join "`, `")) -}}
{{- end -}}
{{- end -}}
{{- if and .objectStore.enabled .profile.storage.endpointUrl -}}
{{- fail "`objectStore.enabled` is true, and `profile.storage.endpointUrl` is another store\n\nhint: keep one of them" -}}
{{- end -}}
{{- if and .objectStore.enabled (not $.profile.storage.secretName) -}}
{{- fail "`objectStore.enabled` is true, and `profile.storage.secretName` is null: the store would be open to every pod\n\nhint: leave the name out, which makes it `pricon-storage`" -}}
{{- end -}}
{{- if and .quota.enabled (not .quota.hard) -}}
{{- fail "`quota.enabled` is true, and `quota.hard` limits nothing\n\nhint: say what the namespace may hold, such as requests.nvidia.com/gpu: \"8\"" -}}
{{- end -}}
{{- if and $.profile.isolateRuns (not .networkPolicy.enabled) -}}
{{- fail "`profile.isolateRuns` is true, and `networkPolicy.enabled` is false: KubeRay would close runs to its own operator, which fails them then\n\nhint: keep the chart's policies, which let the operator in, or do without `isolateRuns`" -}}
{{- end -}}
{{- if and $.profile.tracking (not $.profile.tracking.uri) -}}
{{- fail "`profile.tracking` has no `uri`\n\nhint: give the address of your MLflow server, or set `tracking.enabled: true` for one of the chart's own" -}}
{{- end -}}
{{- if and (not .tracking.enabled) $.profile.tracking (not (or .networkPolicy.externalTracking.cidrs .networkPolicy.externalTracking.namespaces)) .networkPolicy.enabled -}}
{{- fail "runs may not reach the tracking server of `profile.tracking`: no network policy lets them\n\nhint: set `networkPolicy.externalTracking.cidrs` or `.namespaces`" -}}
{{- end -}}
{{- if and .tracking.enabled .tracking.database.existingSecret .networkPolicy.enabled (not (or .networkPolicy.database.cidrs .networkPolicy.database.namespaces)) -}}
{{- fail "the tracking server may not reach PostgreSQL: no network policy lets it\n\nhint: set `networkPolicy.database.cidrs` or `.namespaces`" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "pricon.checkIngress" -}}
{{- if and .enabled .ingress.enabled -}}
{{- if not .ingress.host -}}
{{- fail "`tracking.ingress.enabled` needs `tracking.ingress.host`\n\nhint: set it to the name by which people reach MLflow, such as mlflow.example.org" -}}
{{- end -}}
{{- if and .auth.enabled (not .ingress.tlsSecret) -}}
{{- fail "passwords would travel in the clear: `tracking.ingress` has no certificate\n\nhint: set `tracking.ingress.tlsSecret`" -}}
{{- end -}}
{{- if not .auth.enabled -}}
{{- fail "anyone who reaches the ingress could read and delete results: `tracking.auth.enabled` is false\n\nhint: turn it on, or leave the ingress off and use kubectl port-forward" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Kueue admits no pod that requests what its ClusterQueue does not cover. */}}
{{- define "pricon.checkQueue" -}}
{{- if and .kueue.enabled .kueue.createClusterQueue -}}
{{- $requested := dict "cpu" "all pods" "memory" "all pods" "ephemeral-storage" "all pods" -}}
{{- range $name, $pool := .pools -}}
{{- if gt (int $pool.gpus) 0 -}}
{{- $_ := set $requested ($pool.gpuResource | default "nvidia.com/gpu") (printf "workers of pool `%s`" $name) -}}
{{- end -}}
{{- end -}}
{{- range $resource, $pods := $requested -}}
{{- if not (hasKey $.kueue.quota $resource) -}}
{{- fail (printf "`kueue.quota` has no `%s`, which %s request: Kueue would admit none of them\n\nhint: add the most of it that admitted runs may take together" $resource $pods) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Kinds of others that enabled features need. */}}
{{- define "pricon.checkApis" -}}
{{- $needed := dict -}}
{{- with .Values -}}
{{- if .sharedCluster.enabled -}}{{- $_ := set $needed "ray.io/v1/RayCluster" "sharedCluster.enabled" -}}{{- end -}}
{{- if .kueue.enabled -}}{{- $_ := set $needed "kueue.x-k8s.io/v1beta2/LocalQueue" "kueue.enabled" -}}{{- end -}}
{{- if .monitoring.podMonitor.enabled -}}{{- $_ := set $needed "monitoring.coreos.com/v1/PodMonitor" "monitoring.podMonitor.enabled" -}}{{- end -}}
{{- if .externalSecrets.store -}}{{- $_ := set $needed "external-secrets.io/v1/ExternalSecret" "externalSecrets.store" -}}{{- end -}}
{{- end -}}
{{- range $api, $key := $needed -}}
{{- if not ($.Capabilities.APIVersions.Has $api) -}}
{{- fail (printf "`%s` needs %s, which this cluster does not know\n\nhint: install its operator first (deploy/README.md), or turn `%s` off; without a cluster: helm template --api-versions %s" $key $api $key $api) -}}
{{- end -}}
{{- end -}}
{{- end }}
