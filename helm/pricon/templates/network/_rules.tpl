{{/* Peers of network policies. Pods are told apart by `pricon.dev/role`: head, worker and submitter of runs;
tracking, object-store and test of the chart. */}}

{{/* Pods of these roles. Argument: list of roles. */}}
{{- define "pricon.roles" -}}
matchExpressions:
  - key: pricon.dev/role
    operator: In
    values: [{{ join ", " . }}]
{{- end }}

{{/* Pods of these namespaces. */}}
{{- define "pricon.namespaces" -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values: [{{ join ", " . }}]
{{- end }}

{{/* Addresses and namespaces outside of the release. Link-local addresses, where clouds hand out credentials of
the node, are left out of every range. Arguments: cidrs, namespaces. */}}
{{- define "pricon.outside" -}}
{{- range .cidrs }}
- ipBlock:
    cidr: {{ . }}
    {{- if eq . "0.0.0.0/0" }}
    except: [169.254.0.0/16]
    {{- else if eq . "::/0" }}
    except: ["fd00:ec2::/32"]
    {{- end }}
{{- end }}
{{- with .namespaces }}
- namespaceSelector:
    {{- include "pricon.namespaces" . | nindent 4 }}
{{- end }}
{{- end }}
