{{/* What the operator's pod and that of `helm test` have in common. */}}

{{- define "keyturn.podSpec" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "keyturn.securityContext" (dict "root" . "context" .Values.podSecurityContext) | nindent 2 }}
enableServiceLinks: false
{{- if .Values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- if kindIs "bool" .Values.hostUsers }}
hostUsers: {{ .Values.hostUsers }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" .Values.hostNetwork) }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "keyturn.container" -}}
image: {{ include "keyturn.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "keyturn.securityContext" (dict "root" . "context" .Values.securityContext) | nindent 2 }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The variables of the operator: those of extraEnv, and the chart's own as far as they are not among them. */}}
{{- define "keyturn.environment" -}}
{{- $given := list -}}
{{- range .Values.extraEnv -}}
{{- $given = append $given .name -}}
{{- end -}}
{{- $environment := list -}}
{{- range include "keyturn.settings" . | fromYamlArray -}}
{{- if not (has .name $given) -}}
{{- $environment = append $environment . -}}
{{- end -}}
{{- end -}}
{{- concat $environment .Values.extraEnv | toYaml -}}
{{- end -}}

{{/* The settings that the chart knows; docs/operating.md explains each. */}}
{{- define "keyturn.settings" -}}
- {name: KEYTURN_NAMESPACE, value: {{ .Release.Namespace | quote }}}
- {name: KEYTURN_JOBS_NAMESPACE, value: {{ .Values.jobs.namespace | quote }}}
{{- with .Values.watch.namespaces }}
- {name: KEYTURN_WATCH_NAMESPACES, value: {{ join "," . | quote }}}
{{- end }}
- {name: KEYTURN_MODE, value: {{ .Values.mode | quote }}}
- {name: KEYTURN_REAPPLY_INTERVAL, value: {{ .Values.reapplyInterval | quote }}}
- {name: KEYTURN_STORE_WAIT, value: {{ .Values.storeWait | quote }}}
- {name: KEYTURN_WORKERS, value: {{ int .Values.workers | quote }}}
- {name: KEYTURN_ROTATIONS, value: {{ int .Values.rotations | quote }}}
- {name: KEYTURN_PAYLOAD_LIMIT, value: {{ int .Values.payloadLimit | quote }}}
- {name: KEYTURN_RESTARTS_PER_NAMESPACE, value: {{ int .Values.consumers.restartsPerNamespace | quote }}}
- {name: KEYTURN_RELOADER, value: {{ ternary "on" "off" .Values.consumers.reloader | quote }}}
{{- with .Values.consumers.reloadAllow }}
- {name: KEYTURN_RELOAD_ALLOW, value: {{ join "," . | quote }}}
{{- end }}
- {name: KEYTURN_LEASE, value: {{ .Values.lease | quote }}}
- {name: KEYTURN_LOG_LEVEL, value: {{ .Values.log.level | quote }}}
- {name: KEYTURN_HEALTH_ADDRESS, value: {{ .Values.health.address | quote }}}
- {name: KEYTURN_HEALTH_PORT, value: {{ int .Values.health.port | quote }}}
{{- with .Values.events }}
{{- if .url }}
- {name: KEYTURN_EVENTS_URL, value: {{ .url | quote }}}
- {name: KEYTURN_EVENTS_FORMAT, value: {{ .format | quote }}}
{{- end }}
{{- if .caSecret.name }}
- {name: KEYTURN_EVENTS_CA_FILE, value: {{ printf "/etc/keyturn/events-ca/%s" .caSecret.key | quote }}}
{{- end }}
{{- if .signingSecret.name }}
- {name: KEYTURN_EVENTS_KEY_FILE, value: {{ printf "/etc/keyturn/events-keys/%s" .signingSecret.key | quote }}}
{{- end }}
{{- end }}
{{- end -}}
