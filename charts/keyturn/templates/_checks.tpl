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
{{- $name := include "keyturn.fullname" . -}}
{{- $claim := printf "data-%s-0" $name -}}
{{- $hasClaim := not (or $persistence.ephemeral $persistence.existingClaim) -}}
{{- if and $hasClaim (not $persistence.storageClass) (not (lookup "v1" "PersistentVolumeClaim" .Release.Namespace $claim)) -}}
{{- include "keyturn.checkDefaultClass" . -}}
{{- end -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace $name -}}
{{- $parts := dict "root" $ "running" . "claim" $claim "hasClaim" $hasClaim "delete" (printf "kubectl delete statefulset %s -n %s" $name $.Release.Namespace) -}}
{{- include "keyturn.checkPlaceOfStore" $parts -}}
{{- include "keyturn.checkUnchangeable" $parts -}}
{{- end -}}
{{- end -}}

{{/* A StatefulSet neither gets nor loses a template of a claim, and its controller gives no pod another volume. */}}
{{- define "keyturn.checkPlaceOfStore" -}}
{{- $hadClaim := gt (len (dig "spec" "volumeClaimTemplates" list .running)) 0 -}}
{{- if ne $hadClaim .hasClaim -}}
{{- $kept := ternary .claim "" $hadClaim -}}
{{- range .running.spec.template.spec.volumes -}}
{{- if eq .name "data" -}}
{{- $kept = dig "persistentVolumeClaim" "claimName" $kept . -}}
{{- end -}}
{{- end -}}
{{- $then := "The store, which is in memory, is lost with the pod, as at any upgrade; Secrets that are in place stay, and are taken over as version 1" -}}
{{- if $kept -}}
{{- $then = printf "The claim %s stays, and the store in it: to take that along, copy its files as docs/backup.md says" $kept -}}
{{- end -}}
{{- fail (printf "an upgrade cannot move the store to or from the claim %s of the StatefulSet. Run `%s`, which ends the pod too, and upgrade again. %s" .claim .delete $then) -}}
{{- end -}}
{{- end -}}

{{/* What the apiserver changes in no StatefulSet, by the names of the values. */}}
{{- define "keyturn.checkUnchangeable" -}}
{{- $values := .root.Values -}}
{{- $was := dict "podManagementPolicy" .running.spec.podManagementPolicy -}}
{{- $is := dict "podManagementPolicy" $values.podManagementPolicy -}}
{{- range dig "spec" "volumeClaimTemplates" list .running -}}
{{- $class := ternary (dig "spec" "storageClassName" "" . | default "-") "" (hasKey .spec "storageClassName") -}}
{{- $was = merge $was (dict "persistence.size" .spec.resources.requests.storage "persistence.accessMode" (first .spec.accessModes) "persistence.storageClass" $class "persistence.annotations" (dig "metadata" "annotations" dict .)) -}}
{{- range $value := list "size" "accessMode" "storageClass" "annotations" -}}
{{- $_ := set $is (printf "persistence.%s" $value) (get $values.persistence $value) -}}
{{- end -}}
{{- if eq (include "keyturn.bytes" (get $was "persistence.size")) (include "keyturn.bytes" $values.persistence.size) -}}
{{- $_ := set $is "persistence.size" (get $was "persistence.size") -}}
{{- end -}}
{{- end -}}
{{- $changed := list -}}
{{- range $name, $before := $was -}}
{{- $after := get $is $name -}}
{{- if ne (toJson $before) (toJson $after) -}}
{{- $changed = append $changed (printf "%s (%s, now %s)" $name (toJson $before) (toJson $after)) -}}
{{- end -}}
{{- end -}}
{{- if $changed -}}
{{- $then := ternary (printf ". The claim %s stays as it is: its size is changed by `kubectl edit`, and to another class or mode go its files, as docs/backup.md says" .claim) "" (contains "persistence." (join "" $changed)) -}}
{{- fail (printf "an upgrade cannot change %s of the StatefulSet. Run `%s --cascade=orphan`, which leaves the pod, and upgrade again%s" (join ", " $changed) .delete $then) -}}
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
{{- $marks := dig "metadata" "annotations" dict . -}}
{{- if has "true" (list (get $marks "storageclass.kubernetes.io/is-default-class") (get $marks "storageclass.beta.kubernetes.io/is-default-class")) -}}
{{- $default = .metadata.name -}}
{{- end -}}
{{- end -}}
{{- if not $default -}}
{{- $found := ternary (printf "it has %s" (join ", " $names)) "it has none at all" (gt (len $names) 0) -}}
{{- fail (printf "the store needs a volume, and this cluster has no default StorageClass (%s). Set persistence.storageClass to a class, or to \"-\" for a volume made by hand; or persistence.existingClaim to a claim. For a try without a volume, where all versions are lost with the pod, set persistence.ephemeral to true" $found) -}}
{{- end -}}
{{- end -}}
{{- end -}}
