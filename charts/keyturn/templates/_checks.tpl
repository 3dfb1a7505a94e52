{{/* What a schema cannot say, and what only the cluster knows; a dry run of the client asks no cluster. */}}

{{- define "keyturn.checkValues" -}}
{{- $persistence := .Values.persistence -}}
{{- if and $persistence.ephemeral $persistence.existingClaim -}}
{{- fail "persistence.ephemeral and persistence.existingClaim exclude each other: take one of them away" -}}
{{- end -}}
{{- if eq .Values.jobs.namespace .Release.Namespace -}}
{{- fail "jobs.namespace: Jobs must not run beside the operator; take another namespace than that of the release" -}}
{{- end -}}
{{- range .Values.watch.namespaces -}}
{{- if has . (splitList "," (include "keyturn.reservedNamespaces" $)) -}}
{{- fail (printf "watch.namespaces: Keyturn projects no Secrets into %s; take it away" .) -}}
{{- end -}}
{{- end -}}
{{- if not (or $persistence.ephemeral $persistence.existingClaim) -}}
{{- include "keyturn.checkClaim" . -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.checkClaim" -}}
{{- $name := include "keyturn.fullname" . -}}
{{- $claim := lookup "v1" "PersistentVolumeClaim" .Release.Namespace (printf "data-%s-0" $name) -}}
{{- if not (or $claim .Values.persistence.storageClass) -}}
{{- include "keyturn.checkDefaultClass" . -}}
{{- end -}}
{{- $running := lookup "apps/v1" "StatefulSet" .Release.Namespace $name -}}
{{- range dig "spec" "volumeClaimTemplates" list $running -}}
{{- $was := list .spec.resources.requests.storage (first .spec.accessModes) -}}
{{- $is := list $.Values.persistence.size $.Values.persistence.accessMode -}}
{{- $isSameSize := eq (include "keyturn.bytes" (first $was)) (include "keyturn.bytes" (first $is)) -}}
{{- if not (and $isSameSize (eq (last $was) (last $is))) -}}
{{- fail (printf "the claim of a StatefulSet cannot be changed (%s, now %s). Change the claim data-%s-0 itself, then run `kubectl delete statefulset %s -n %s --cascade=orphan`, and upgrade again" (join ", " $was) (join ", " $is) $name $name $.Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* How many bytes a quantity is: the apiserver writes 1024Mi as 1Gi. */}}
{{- define "keyturn.bytes" -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $units := dict "Ki" 10 "Mi" 20 "Gi" 30 "Ti" 40 "Pi" 50 "k" 3 "M" 6 "G" 9 "T" 12 "P" 15 -}}
{{- $unit := trimPrefix $number . -}}
{{- $bytes := float64 $number -}}
{{- range until (get $units $unit | default 0 | int) -}}
{{- $bytes = mulf $bytes (ternary 2 10 (hasSuffix "i" $unit)) -}}
{{- end -}}
{{- $bytes -}}
{{- end -}}

{{- define "keyturn.checkDefaultClass" -}}
{{- $classes := lookup "storage.k8s.io/v1" "StorageClass" "" "" -}}
{{- if hasKey $classes "items" -}}
{{- $names := list -}}
{{- $default := "" -}}
{{- range $classes.items -}}
{{- $names = append $names .metadata.name -}}
{{- if eq "true" (dig "metadata" "annotations" "storageclass.kubernetes.io/is-default-class" "" .) -}}
{{- $default = .metadata.name -}}
{{- end -}}
{{- end -}}
{{- if not $default -}}
{{- $found := ternary (printf "it has %s" (join ", " $names)) "it has none at all" (gt (len $names) 0) -}}
{{- fail (printf "the store needs a volume, and this cluster has no default StorageClass (%s). Set persistence.storageClass to a class, or to \"-\" for a volume made by hand; or persistence.existingClaim to a claim. For a try without a volume, where all versions are lost with the pod, set persistence.ephemeral to true" $found) -}}
{{- end -}}
{{- end -}}
{{- end -}}
