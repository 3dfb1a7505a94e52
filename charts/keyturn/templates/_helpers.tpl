{{/* What the others use. */}}

{{- define "keyturn.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "keyturn.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "keyturn.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "keyturn.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.serviceAccountName" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "keyturn.fullname" . -}}
{{- else -}}
{{- fail "serviceAccount.create is false: set serviceAccount.name to an account that nothing else uses; the policies cage it" -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What never changes: selectors cannot. */}}
{{- define "keyturn.selectorLabels" -}}
app.kubernetes.io/name: {{ include "keyturn.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "keyturn.labels" -}}
{{- $labels := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
-}}
{{- merge (include "keyturn.selectorLabels" . | fromYaml) $labels .Values.commonLabels | toYaml -}}
{{- end -}}

{{/* The namespaces where the operator may write no Secrets, and so does not watch either. */}}
{{- define "keyturn.reservedNamespaces" -}}
{{- list "kube-system" "kube-public" "kube-node-lease" .Values.jobs.namespace .Release.Namespace | join "," -}}
{{- end -}}

{{/* Leaves the security of a pod or container to OpenShift where that gives out users itself. */}}
{{- define "keyturn.securityContext" -}}
{{- $context := deepCopy .context -}}
{{- $adapt := .root.Values.openshift.adaptSecurityContext -}}
{{- $isOpenShift := .root.Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- if or (eq $adapt "force") (and (eq $adapt "auto") $isOpenShift) -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/*
The objects of files/, a JSON list of those whose kind is in `kinds`; with the names of this release.

The files are those of the repository's crds/ and rbac/, to the letter. What is said there of the ServiceAccount
keyturn in keyturn-system, in the CEL of policies and CRDs too, is said here of this release's account and namespace.
No value can hold an @, so what was put in is not replaced again.
*/}}
{{- define "keyturn.objects" -}}
{{- $root := .root -}}
{{- $account := include "keyturn.serviceAccountName" $root -}}
{{- $objects := list -}}
{{- range $path, $_ := $root.Files.Glob .files -}}
{{- $text := $root.Files.Get $path
  | replace "keyturn-system" "@system@"
  | replace "keyturn-jobs" "@jobs@"
  | replace "system:serviceaccount:@system@:keyturn" (printf "system:serviceaccount:@system@:%s" $account)
  | replace "@system@" $root.Release.Namespace
  | replace "@jobs@" $root.Values.jobs.namespace
-}}
{{- range regexSplit "(?m)^---\\s*$" $text -1 -}}
{{- $object := fromYaml . -}}
{{- if hasKey $object "Error" -}}
{{- fail (printf "%s: %s" $path $object.Error) -}}
{{- end -}}
{{- if has $object.kind $.kinds -}}
{{- $labels := merge (include "keyturn.labels" $root | fromYaml) (default dict $object.metadata.labels) -}}
{{- $_ := set $object.metadata "labels" $labels -}}
{{- $objects = append $objects $object -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $objects -}}
{{- end -}}

{{/* Writes an object; `keep` leaves it when the release is uninstalled. */}}
{{- define "keyturn.object" -}}
{{- $object := .object -}}
{{- $annotations := merge (dict) (default dict .annotations) (default dict $object.metadata.annotations) -}}
{{- if .keep -}}
{{- $_ := set $annotations "helm.sh/resource-policy" "keep" -}}
{{- end -}}
{{- if $annotations -}}
{{- $_ := set $object.metadata "annotations" $annotations -}}
{{- end -}}
---
{{ toYaml $object }}
{{ end -}}
