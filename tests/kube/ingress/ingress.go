// Package ingress lets Debian's HAProxy or NGINX do what the Ingresses and HTTPRoutes of a cluster say, on the node: the one thing of a
// platform that a ChatCluster needs and a plain Kubernetes has not.
package ingress

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"klatch.dev/tests/kube/watch"
)

// Route is one path of one host, and the address of its Service.
type route struct {
	host, path string
	exact      bool
	service    string
}

// Where people come in.
type listen struct {
	address       string
	port, tlsPort int
}

type balancer struct {
	client     kubernetes.Interface
	dynamic    dynamic.Interface
	name       string
	product    product
	folder     string
	listen     listen
	program    []string
	running    *exec.Cmd
	configured string
}

// NewCommand is the part `ingress`. What comes after its flags is the command that becomes a program of the balancer's.
func NewCommand() *cobra.Command {
	var kubeconfig string
	b := balancer{}
	command := &cobra.Command{
		Use: "ingress",
		RunE: func(_ *cobra.Command, program []string) error {
			var isKnown bool
			if b.product, isKnown = products[b.name]; !isKnown {
				return fmt.Errorf("there is no balancer %q: haproxy or nginx", b.name)
			}
			b.program = program
			var err error
			if b.client, err = watch.Client(kubeconfig); err != nil {
				return err
			}
			if b.dynamic, err = watch.Dynamic(kubeconfig); err != nil {
				return err
			}
			ctx := context.Background()
			factory := informers.NewSharedInformerFactory(b.client, 0)
			known := cluster{
				ingresses: factory.Networking().V1().Ingresses(),
				services:  factory.Core().V1().Services(),
				secrets:   factory.Core().V1().Secrets(),
			}
			// Nobody waits for these: a cluster may come to know them later, or never.
			optional := dynamicinformer.NewDynamicSharedInformerFactory(b.dynamic, 0)
			known.gateways, known.httpRoutes = optional.ForResource(gateways), optional.ForResource(httpRoutes)
			watched := []cache.SharedIndexInformer{
				known.ingresses.Informer(), known.services.Informer(), known.secrets.Informer(),
				known.gateways.Informer(), known.httpRoutes.Informer(),
			}
			optional.Start(ctx.Done())
			return watch.Run(ctx, factory, watched, func() error {
				table, err := known.table()
				if err != nil {
					return err
				}
				if err := b.configure(table.routes, table.certificates); err != nil {
					return err
				}
				return errors.Join(b.tellIngresses(ctx, table.ingresses), b.tellHTTPRoutes(ctx, table.httpRoutes))
			})
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the apiserver")
	command.Flags().StringVar(&b.name, "balancer", "haproxy", "haproxy or nginx")
	command.Flags().StringVar(&b.folder, "folder", "", "where it is configured")
	command.Flags().StringVar(&b.listen.address, "address", "", "where it listens")
	command.Flags().IntVar(&b.listen.port, "port", 80, "where it listens without TLS")
	command.Flags().IntVar(&b.listen.tlsPort, "tls-port", 443, "where it listens with TLS")
	return command
}

// Writes what follows from the routes, and lets the balancer read it if it is news.
func (b *balancer) configure(routes []route, certificates map[string]*core.Secret) error {
	// The longest path of a host is asked first.
	sort.Slice(routes, func(one, other int) bool {
		if routes[one].host != routes[other].host {
			return routes[one].host < routes[other].host
		}
		return len(routes[one].path) > len(routes[other].path)
	})
	hosts := []string{}
	news := ""
	for host, secret := range certificates {
		pem := append(append([]byte{}, secret.Data[core.TLSCertKey]...), secret.Data[core.TLSPrivateKeyKey]...)
		if err := os.WriteFile(filepath.Join(b.folder, host+".pem"), pem, 0o600); err != nil {
			return err
		}
		hosts = append(hosts, host)
	}
	sort.Strings(hosts)
	for _, host := range hosts {
		news += host + certificates[host].ResourceVersion
	}
	text := b.product.configuration(b.folder, b.listen, routes, hosts)
	if text+news == b.configured {
		return nil
	}
	file := filepath.Join(b.folder, "balancer.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if err := b.read(file); err != nil {
		return err
	}
	b.configured = text + news
	return nil
}

func (b *balancer) read(file string) error {
	if b.running != nil {
		return b.product.reload(b.running.Process, b.folder)
	}
	arguments := append(append([]string{}, b.program...), b.product.command(b.folder, file)...)
	b.running = exec.Command(arguments[0], arguments[1:]...)
	b.running.Stdout, b.running.Stderr = os.Stdout, os.Stderr
	// Where tests/kube/sweep looks for it.
	b.running.Dir = b.folder
	if err := b.running.Start(); err != nil {
		return err
	}
	go func() {
		fmt.Println("the balancer ended:", b.running.Wait())
		os.Exit(1)
	}()
	return nil
}
