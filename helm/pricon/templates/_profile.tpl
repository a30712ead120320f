{{/* The cluster profile: what the chart knows, under what the owner says. */}}

{{/* YAML of a ClusterProfile. */}}
{{- define "pricon.profile" -}}
{{- $known := dict
  "version" .Chart.AppVersion
  "image" (include "pricon.image" .)
  "imagePullPolicy" .Values.image.pullPolicy
  "imagePullSecrets" .Values.image.pullSecrets
  "serviceAccount" (printf "%s-run" (include "pricon.fullname" .)) -}}
{{- if .Values.tracking.enabled -}}
{{- $_ := set $known "tracking" (include "pricon.trackingProfile" . | fromYaml) -}}
{{- end -}}
{{- if .Values.objectStore.enabled -}}
{{- $_ := set $known "storage" (dict "endpointUrl" (printf "http://%s:8333" (include "pricon.objectStoreHost" .)) "region" "us-east-1" "secretName" "pricon-storage") -}}
{{- end -}}
{{- if .Values.sharedCluster.enabled -}}
{{- $_ := set $known "sharedPool" .Values.sharedCluster.pool -}}
{{- end -}}
{{- if .Values.kueue.enabled -}}
{{- $_ := set $known "queue" .Values.kueue.localQueue -}}
{{- end -}}
{{- if .Values.priorityClass.create -}}
{{- $_ := set $known "priorityClass" .Values.priorityClass.name -}}
{{- end -}}
{{- mergeOverwrite $known (deepCopy .Values.profile) | toYaml -}}
{{- end }}

{{- define "pricon.trackingProfile" -}}
uri: http://{{ include "pricon.trackingHost" . }}:5000
{{- with .Values.tracking }}
{{- if .auth.enabled }}
secretName: {{ .auth.runSecret }}
{{- end }}
{{- if .ingress.enabled }}
publicUrl: {{ ternary "https" "http" (ne .ingress.tlsSecret "") }}://{{ .ingress.host }}
{{- end }}
{{- end }}
{{- end }}

{{/* Secret of the tracking server's keys to the bucket; empty where its service account is enough. */}}
{{- define "pricon.trackingStorageSecret" -}}
{{- .Values.tracking.storageSecret | default (include "pricon.profile" . | fromYaml).storage.secretName | default "" -}}
{{- end }}

{{/* Where the tracking server keeps artifacts. */}}
{{- define "pricon.artifacts" -}}
{{- $output := (include "pricon.profile" . | fromYaml).storage.output -}}
{{- .Values.tracking.artifacts | default (printf "%s/mlflow" (regexFind "^s3://[^/]+" $output)) -}}
{{- end }}

{{/* Buckets in which runs and the tracking server write: JSON, each once. */}}
{{- define "pricon.buckets" -}}
{{- $storage := (include "pricon.profile" . | fromYaml).storage -}}
{{- $found := list -}}
{{- range list $storage.corpora $storage.output (include "pricon.artifacts" .) -}}
{{- $found = append $found (regexFind "^s3://[^/]+" . | trimPrefix "s3://") -}}
{{- end -}}
{{- $found | compact | uniq | toJson -}}
{{- end }}

{{/* Port of an address: given, or that of its scheme. */}}
{{- define "pricon.port" -}}
{{- $given := regexFind ":[0-9]+$" (urlParse .).host -}}
{{- if $given -}}
{{ trimPrefix ":" $given }}
{{- else -}}
{{ ternary 80 443 (hasPrefix "http://" .) }}
{{- end -}}
{{- end }}

{{/* Secrets that pods name and that somebody has to make: YAML of their keys by their names. */}}
{{- define "pricon.secrets" -}}
{{- $profile := include "pricon.profile" . | fromYaml -}}
{{- $keys := dict -}}
{{- range list (include "pricon.trackingStorageSecret" .) ($profile.storage.secretName | default "") -}}
{{- $_ := set $keys . (list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY") -}}
{{- end -}}
{{- $_ := set $keys (dig "tracking" "secretName" "" $profile) (list "MLFLOW_TRACKING_USERNAME" "MLFLOW_TRACKING_PASSWORD") -}}
{{- with .Values.tracking -}}
{{- if .enabled -}}
{{- $_ := set $keys .database.existingSecret (list "uri" "auth-uri") -}}
{{- if .auth.enabled -}}
{{- $_ := set $keys .auth.existingSecret (list "admin-password" "flask-secret-key") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- omit $keys "" | toYaml -}}
{{- end }}
