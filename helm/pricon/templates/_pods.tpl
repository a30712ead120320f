{{/* What all pods of the chart have in common: Pod Security "restricted", and no more room than they need. */}}

{{/* Security context of a pod. 65532 is the user of deploy/Dockerfile. */}}
{{- define "pricon.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Security context of a container. */}}
{{- define "pricon.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Where pods of pricon's image come from. */}}
{{- define "pricon.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Environment of every process: no home directory, nothing written beside the code, nothing sent home. */}}
{{- define "pricon.quietEnvironment" -}}
- name: HOME
  value: /tmp
- name: PYTHONDONTWRITEBYTECODE
  value: "1"
- name: MLFLOW_DISABLE_TELEMETRY
  value: "true"
- name: MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT
  value: "true"
- name: RAY_USAGE_STATS_ENABLED
  value: "0"
- name: RAY_USAGE_STATS_REPORT_URL # Ray's head tells its makers even that it tells them nothing: to nobody, then
  value: http://127.0.0.1:9
{{- end }}

{{/* Environment of what reads and writes the bucket. Arguments: storage, secret. */}}
{{- define "pricon.storageEnvironment" -}}
{{- with .storage.endpointUrl }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ . | quote }}
- name: MLFLOW_S3_ENDPOINT_URL
  value: {{ . | quote }}
- name: AWS_REQUEST_CHECKSUM_CALCULATION # of boto3's checksums, some stores refuse what only AWS knows
  value: when_required
{{- end }}
{{- with .storage.region }}
- name: AWS_DEFAULT_REGION
  value: {{ . | quote }}
{{- end }}
{{- with .secret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- {{ include "pricon.secretVariable" (dict "name" . "secret" $.secret "key" .) | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- end }}

{{/* A variable from a secret. Arguments: name, secret, key. */}}
{{- define "pricon.secretVariable" -}}
name: {{ .name }}
valueFrom:
  secretKeyRef:
    name: {{ .secret }}
    key: {{ .key }}
{{- end }}
