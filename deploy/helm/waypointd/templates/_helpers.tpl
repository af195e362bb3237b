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
