// Package policies enforces NetworkPolicies on the one node there is, by nftables: what is not allowed is dropped.
//
// kube-network-policies would do it with the kernel's packet queue, which an nftables rule cannot reach on every kernel.
package policies

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"klatch.dev/tests/kube/watch"
)

// NewCommand is the part `network-policies`.
func NewCommand() *cobra.Command {
	var kubeconfig string
	command := &cobra.Command{
		Use: "network-policies",
		RunE: func(*cobra.Command, []string) error {
			client, err := watch.Client(kubeconfig)
			if err != nil {
				return err
			}
			factory := informers.NewSharedInformerFactory(client, 0)
			policies := factory.Networking().V1().NetworkPolicies()
			pods := factory.Core().V1().Pods()
			namespaces := factory.Core().V1().Namespaces()
			watched := []cache.SharedIndexInformer{policies.Informer(), pods.Informer(), namespaces.Informer()}
			var applied string
			return watch.Run(context.Background(), factory, watched, func() error {
				var seen cluster
				var err error
				if seen.policies, err = policies.Lister().List(labels.Everything()); err != nil {
					return err
				}
				if seen.pods, err = pods.Lister().List(labels.Everything()); err != nil {
					return err
				}
				if seen.namespaces, err = namespaces.Lister().List(labels.Everything()); err != nil {
					return err
				}
				table := render(seen)
				if table == applied {
					return nil
				}
				applied = ""
				if err := apply(table); err != nil {
					return err
				}
				applied = table
				return nil
			})
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the apiserver")
	return command
}

// Replaces the whole table in one transaction: no packet meets half of it.
func apply(table string) error {
	command := exec.Command("nft", "-f", "-")
	command.Stdin = bytes.NewBufferString(table)
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft refuses the policies: %w: %s\n%s", err, said, table)
	}
	return nil
}
