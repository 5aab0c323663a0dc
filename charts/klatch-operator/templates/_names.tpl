{{- define "klatch-operator.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- /* Values of an earlier chart do not say it. */ -}}
{{- define "klatch-operator.makesAccount" -}}
{{- if dig "create" true .Values.serviceAccount }}true{{ end -}}
{{- end -}}
{{- define "klatch-operator.account" -}}
{{- if include "klatch-operator.makesAccount" . -}}
{{- .Values.serviceAccount.name | default (include "klatch-operator.name" .) -}}
{{- else -}}
{{- required "serviceAccount.create is false: write as serviceAccount.name which account there is" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}
{{- /* NetworkPolicies of ChatClusters let pods with this name in to the brokers' management. */ -}}
{{- define "klatch-operator.selector" -}}
app.kubernetes.io/name: klatch-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- define "klatch-operator.labels" -}}
{{ include "klatch-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
{{- /* The metrics API is the whole cluster's: an operator of some namespaces does not serve it. */ -}}
{{- define "klatch-operator.metricsAPI" -}}
{{- if .Values.watchNamespaces }}Disabled{{ else }}{{ .Values.metricsAPI | default "Auto" }}{{ end -}}
{{- end -}}
{{- /* Everything that the operator does, and nothing else: a test compares it with what it was seen to do. */ -}}
{{- define "klatch-operator.rules" -}}
- apiGroups: [klatch.dev]
  resources: [chatclusters]
  verbs: [get, list, watch]
- apiGroups: [klatch.dev]
  resources: [chatclusters/status]
  verbs: [patch]
# What the user names is read by name; what it makes itself is made once.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch]
# Never deleted: they hold data. They are enlarged.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [list, patch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, list, watch, create, patch, delete]
# Why a migration failed; how many connections gateways hold, and which of them may go first.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
