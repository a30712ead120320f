{{/* A pod of `helm test`. Arguments: root, name, account, token, role, seconds, environment, weight (pods of a larger one
wait for the others), and script (a file of the chart, for Python) or command. */}}
{{- define "pricon.testPod" -}}
{{- $name := printf "%s-test-%s" (include "pricon.fullname" .root) .name -}}
{{- $component := dict "root" .root "component" (printf "test-%s" .name) "name" $name -}}
apiVersion: v1
kind: Pod
metadata:
  {{- include "pricon.metadata" $component | nindent 2 }}
    pricon.dev/role: {{ .role }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-weight: {{ .weight | default 0 | quote }}
    helm.sh/hook-delete-policy: before-hook-creation # its log stays: helm test --logs
spec:
  restartPolicy: Never
  activeDeadlineSeconds: {{ .seconds }}
  serviceAccountName: {{ include "pricon.fullname" .root }}-{{ .account }}
  automountServiceAccountToken: {{ .token }}
  enableServiceLinks: false
  {{- with include "pricon.pullSecrets" .root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext:
    {{- include "pricon.podSecurity" .root | nindent 4 }}
  containers:
    - name: test
      image: {{ include "pricon.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      {{- if .script }}
      command: [python, -c]
      args:
        - |
          {{- .root.Files.Get (printf "files/%s" .script) | nindent 10 }}
      {{- else }}
      command: [{{ join ", " .command }}]
      {{- end }}
      env:
        {{- include "pricon.quietEnvironment" .root | nindent 8 }}
        {{- with .environment }}
        {{- trim . | nindent 8 }}
        {{- end }}
      securityContext:
        {{- include "pricon.containerSecurity" .root | nindent 8 }}
      resources:
        requests: {cpu: 100m, memory: 512Mi}
        limits: {memory: 1Gi}
      volumeMounts:
        - {name: job, mountPath: /job, readOnly: true}
        - {name: profile, mountPath: /profile, readOnly: true}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: job
      configMap:
        name: {{ include "pricon.fullname" .root }}-test-job
    - name: profile
      configMap:
        name: {{ .root.Values.profileName }}
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
{{- end }}
