{{/* A pod of the shared Ray cluster. Pods of runs are rendered by pricon-submit.
Arguments: root, component, profile, role (head or worker), place (a PlacementSpec or PoolSpec). */}}
{{- define "pricon.rayPod" -}}
{{- $place := .place -}}
metadata:
  labels:
    {{- include "pricon.labels" .component | nindent 4 }}
    pricon.dev/role: {{ .role }}
spec:
  serviceAccountName: {{ .profile.serviceAccount }}
  automountServiceAccountToken: false # the autoscaler mounts volume `api`
  enableServiceLinks: false
  restartPolicy: Never # KubeRay makes a new pod; the autoscaler must not count one twice
  {{- with .profile.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $place.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $place.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $place.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with .profile.priorityClass }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- include "pricon.podSecurity" .root | nindent 4 }}
  containers:
    - name: ray-{{ .role }}
      image: {{ .profile.image }}
      imagePullPolicy: {{ .profile.imagePullPolicy }}
      securityContext:
        {{- include "pricon.containerSecurity" .root | nindent 8 }}
      env:
        {{- include "pricon.quietEnvironment" .root | nindent 8 }}
        {{- with include "pricon.storageEnvironment" (dict "storage" .profile.storage "secret" .profile.storage.secretName) | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- if eq .role "head" }}
        - name: GRPC_ENABLE_FORK_SUPPORT # else servers that Ray forks for `ray://` may die on a busy node
          value: "0"
        {{- with include "pricon.trackingEnvironment" .profile | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- end }}
      resources:
        {{- $resources := dict "cpu" (toString $place.cpus) "memory" $place.memory "ephemeral-storage" ($place.scratch | default "10Gi") }}
        {{- if $place.gpus }}
        {{- $_ := set $resources ($place.gpuResource | default "nvidia.com/gpu") (toString $place.gpus) }}
        {{- end }}
        requests:
          {{- toYaml $resources | nindent 10 }}
        limits:
          {{- toYaml $resources | nindent 10 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: shm, mountPath: /dev/shm}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: {{ $place.scratch | default "10Gi" }}}
    - name: shm # Ray's objects, and NCCL's exchange between GPUs
      emptyDir: {medium: Memory, sizeLimit: {{ max 1 (int $place.gpus) }}Gi}
    {{- if eq .role "head" }}
    {{- include "pricon.apiVolume" . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* What Kubernetes mounts into every container where accounts automount, as a volume that one container chooses. */}}
{{- define "pricon.apiVolume" -}}
- name: api
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap:
          name: kube-root-ca.crt
          items:
            - {key: ca.crt, path: ca.crt}
      - downwardAPI:
          items:
            - path: namespace
              fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}
{{- end }}

{{/* What pods of a run know about the tracking server. Argument: profile. */}}
{{- define "pricon.trackingEnvironment" -}}
{{- with .tracking }}
- name: MLFLOW_TRACKING_URI
  value: {{ .uri | quote }}
{{- with .secretName }}
{{- $secret := . }}
{{- range list "MLFLOW_TRACKING_USERNAME" "MLFLOW_TRACKING_PASSWORD" }}
- {{ include "pricon.secretVariable" (dict "name" . "secret" $secret "key" .) | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
