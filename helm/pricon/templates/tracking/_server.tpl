{{/* What the two containers of the tracking server share. */}}

{{- define "pricon.trackingMounts" -}}
- {name: data, mountPath: /var/lib/mlflow}
- {name: config, mountPath: /run/mlflow}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{/* MLFLOW_BACKEND_STORE_URI is MLflow's own name; the other one is prepare_tracking.py's. */}}
{{- define "pricon.trackingDatabase" -}}
{{- with .Values.tracking.database.existingSecret }}
- {{ include "pricon.secretVariable" (dict "name" "MLFLOW_BACKEND_STORE_URI" "secret" . "key" "uri") | nindent 2 | trim }}
{{- else }}
- name: MLFLOW_BACKEND_STORE_URI
  value: sqlite:////var/lib/mlflow/mlflow.db
{{- end }}
{{- end }}

{{/* What makes the accounts; the server itself never sees a password. */}}
{{- define "pricon.trackingAccounts" -}}
{{- $auth := .Values.tracking.auth -}}
- name: AUTH_CONFIG
  value: /run/mlflow/auth.ini
- name: DEFAULT_PERMISSION
  value: {{ $auth.defaultPermission }}
- name: REMEMBER_SECONDS
  value: {{ $auth.rememberSeconds | quote }}
- name: ADMIN_USERNAME
  value: {{ $auth.adminUsername | quote }}
- {{ include "pricon.secretVariable" (dict "name" "ADMIN_PASSWORD" "secret" $auth.existingSecret "key" "admin-password") | nindent 2 | trim }}
- {{ include "pricon.secretVariable" (dict "name" "RUN_USERNAME" "secret" $auth.runSecret "key" "MLFLOW_TRACKING_USERNAME") | nindent 2 | trim }}
- {{ include "pricon.secretVariable" (dict "name" "RUN_PASSWORD" "secret" $auth.runSecret "key" "MLFLOW_TRACKING_PASSWORD") | nindent 2 | trim }}
{{- with .Values.tracking.database.existingSecret }}
- {{ include "pricon.secretVariable" (dict "name" "AUTH_DATABASE_URI" "secret" . "key" "auth-uri") | nindent 2 | trim }}
{{- else }}
- name: AUTH_DATABASE_URI
  value: sqlite:////var/lib/mlflow/auth.db
{{- end }}
{{- end }}

{{- define "pricon.trackingArguments" -}}
- --host=0.0.0.0
- --port=5000
- --workers={{ .Values.tracking.workers }}
- --serve-artifacts
- --artifacts-destination={{ include "pricon.artifacts" . }}
- --allowed-hosts={{ include "pricon.allowedHosts" . }}
{{- if .Values.tracking.ingress.enabled }}
- --cors-allowed-origins=https://{{ .Values.tracking.ingress.host }}
{{- end }}
{{- if .Values.tracking.auth.enabled }}
- --app-name=basic-auth
{{- end }}
{{- end }}

{{/* MLflow compares Host headers as they come, with the port: the Service by each of its names, a forwarded
port, the ingress. */}}
{{- define "pricon.allowedHosts" -}}
{{- $service := printf "%s-tracking" (include "pricon.fullname" .) -}}
{{- $hosts := list "localhost:*" "127.0.0.1:*" -}}
{{- range list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) (printf "%s.%s.svc.%s" $service .Release.Namespace .Values.clusterDomain) -}}
{{- $hosts = append $hosts (printf "%s:5000" .) -}}
{{- end -}}
{{- with .Values.tracking.ingress -}}
{{- if .enabled -}}
{{- $hosts = concat $hosts (list .host (printf "%s:443" .host)) -}}
{{- end -}}
{{- end -}}
{{- concat $hosts .Values.tracking.allowedHosts | join "," -}}
{{- end }}
