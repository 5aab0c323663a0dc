// One binary that holds a whole Kubernetes: `kube PART ARGUMENTS` becomes that part. The kube tier and the cluster tier start it,
// as does `make cluster`; `tests/kube/part` knows the arguments.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/coredns/coredns/coremain"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	// What CoreDNS is built with: names of Services, and no more.
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"

	"klatch.dev/tests/kube/policies"
	"klatch.dev/tests/kube/volumes"
)

// Only the asked part's command is made: two in one process panic over the feature gates, which are global.
var commands = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubectl":                 func() *cobra.Command { return kubectl.NewDefaultKubectlCommand() },
	"local-volumes":           volumes.NewCommand,
	"network-policies":        policies.NewCommand,
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: kube PART ARGUMENTS")
		os.Exit(2)
	}
	part := os.Args[1]
	// Each part finds its name and its own arguments, as if it were alone.
	os.Args = append([]string{part}, os.Args[2:]...)
	switch part {
	case "etcd":
		etcdmain.Main(os.Args)
	case "coredns":
		coremain.Run()
	default:
		command, known := commands[part]
		if !known {
			fmt.Fprintf(os.Stderr, "kube: there is no part %s\n", part)
			os.Exit(2)
		}
		os.Exit(cli.Run(command()))
	}
}
