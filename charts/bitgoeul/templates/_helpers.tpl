{{- /* Names of cluster-wide objects: the release's, with ours in it where it is not. */}}
{{- define "bitgoeul.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name }}{{ end }}
{{- end }}

{{- define "bitgoeul.leaseNamespace" -}}
bitgoeul-system
{{- end }}

{{- define "bitgoeul.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /*
Without app.kubernetes.io/managed-by: Helm sets it to its own name, and what says "bitgoeul" there would be taken by the
operator for its own.
*/}}
{{- define "bitgoeul.labels" -}}
{{ include "bitgoeul.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "bitgoeul.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "bitgoeul.name" .) }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "bitgoeul.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}
