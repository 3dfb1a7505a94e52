// Command kindconfig reads a configuration of kind strictly, by kind's own types, with the patches in
// it for the kubelet, and prints how many nodes it has. It exits with 1 on a field that is not one.
package main

import (
	"bytes"
	"fmt"
	"os"

	"go.yaml.in/yaml/v3"
	kubelet "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	k8syaml "sigs.k8s.io/yaml"
)

const apiVersion = "kind.x-k8s.io/v1alpha4"

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: kindconfig FILE"))
	}
	raw, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(err)
	}
	cluster, err := read(raw)
	if err != nil {
		fail(err)
	}
	fmt.Println(len(cluster.Nodes))
}

func read(raw []byte) (*v1alpha4.Cluster, error) {
	cluster := &v1alpha4.Cluster{}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(cluster); err != nil {
		return nil, err
	}
	if cluster.Kind != "Cluster" || cluster.APIVersion != apiVersion {
		return nil, fmt.Errorf("expected a Cluster of %s, saw %s of %s", apiVersion, cluster.Kind, cluster.APIVersion)
	}
	patches := cluster.KubeadmConfigPatches
	for _, node := range cluster.Nodes {
		patches = append(patches, node.KubeadmConfigPatches...)
	}
	for _, patch := range patches {
		if err := readPatch([]byte(patch)); err != nil {
			return nil, err
		}
	}
	v1alpha4.SetDefaultsCluster(cluster)
	return cluster, nil
}

// readPatch takes patches of the kubelet alone: kind itself would ignore one of an unknown kind.
func readPatch(patch []byte) error {
	kind := struct{ Kind string }{}
	if err := k8syaml.Unmarshal(patch, &kind); err != nil {
		return err
	}
	if kind.Kind != "KubeletConfiguration" {
		return fmt.Errorf("a patch of the kind %q, which nobody reads here", kind.Kind)
	}
	return k8syaml.UnmarshalStrict(patch, &kubelet.KubeletConfiguration{})
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}
