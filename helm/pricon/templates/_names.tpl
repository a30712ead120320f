{{/* Names, labels and images. */}}

{{/* The release's name, with `pricon` in it; short enough for a suffix. */}}
{{- define "pricon.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-pricon" .Release.Name) (contains "pricon" .Release.Name) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Labels that never change: selectors of workloads. Arguments: root, component. */}}
{{- define "pricon.selector" -}}
app.kubernetes.io/name: pricon
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of an object. Arguments: root, component. */}}
{{- define "pricon.labels" -}}
{{ include "pricon.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Metadata of an object. Arguments: root, component, name. */}}
{{- define "pricon.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "pricon.labels" . | nindent 2 }}
{{- end }}

{{/* An image by digest, else by tag. Arguments: repository, tag, digest. */}}
{{- define "pricon.imageOf" -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag }}
{{- end -}}
{{- end }}

{{- define "pricon.image" -}}
{{- with .Values.image -}}
{{- include "pricon.imageOf" (dict "repository" .repository "digest" .digest "tag" (.tag | default $.Chart.AppVersion)) -}}
{{- end -}}
{{- end }}

{{- define "pricon.trackingHost" -}}
{{ include "pricon.fullname" . }}-tracking.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "pricon.objectStoreHost" -}}
{{ include "pricon.fullname" . }}-object-store.{{ .Release.Namespace }}.svc
{{- end }}
