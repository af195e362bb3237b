{{- define "waypointd.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "waypointd.labels" -}}
app.kubernetes.io/name: waypointd
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "waypointd.redis" -}}
{{ .Values.redis.url | default (printf "redis://waypointd-redis.%s.svc:6379" .Release.Namespace) }}
{{- end }}

{{- define "waypointd.redisSecret" -}}
{{ if .Values.redis.url }}{{ .Values.redis.secret }}{{ else }}waypointd-redis{{ end }}
{{- end }}

{{- /* The settings of waypointd that say which keys of the Secret there are, mounted at /etc/waypointd/redis. */}}
{{- define "waypointd.redisSettings" -}}
{{- $files := dict "password" "PASSWORD_FILE" "ca.crt" "CA" "tls.crt" "CERT" "tls.key" "KEY" "sentinel-password" "SENTINEL_PASSWORD_FILE" }}
{{- $names := dict "username" "USERNAME" "sentinel-username" "SENTINEL_USERNAME" }}
{{- if include "waypointd.redisSecret" . | trim }}
{{- range ternary .Values.redis.secretKeys (list "password") (ne .Values.redis.url "") }}
{{- if hasKey $files . }}
- {name: WAYPOINT_REDIS_{{ get $files . }}, value: /etc/waypointd/redis/{{ . }}}
{{- else }}
- name: WAYPOINT_REDIS_{{ get $names . }}
  valueFrom: {secretKeyRef: {name: waypointd-redis-access, key: {{ . }}}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
