// Command kstatus reads Kubernetes objects, a JSON list on stdin, and prints for each what Flux makes of it, by
// the library that Flux uses: Current, InProgress, Failed, Terminating.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	var objects []any
	// This one, as the apiserver does, reads whole numbers as such.
	if err := json.Unmarshal(text, &objects); err != nil {
		fail(err)
	}
	for _, object := range objects {
		result, err := status.Compute(&unstructured.Unstructured{Object: object.(map[string]any)})
		if err != nil {
			fail(err)
		}
		fmt.Println(result.Status)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}
