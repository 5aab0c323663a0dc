// Package ingress lets Debian's HAProxy or NGINX do what the Ingresses of a cluster say, on the node: the one thing of a platform
// that a ChatCluster needs and a plain Kubernetes has not.
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
	net "k8s.io/api/networking/v1"
	kinds "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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
	product    product
	folder     string
	listen     listen
	program    []string
	running    *exec.Cmd
	configured string
}

// NewCommand is the part `ingress`. What comes after its flags is the command that becomes a program of the balancer's.
func NewCommand() *cobra.Command {
	var kubeconfig, name string
	b := balancer{}
	command := &cobra.Command{
		Use: "ingress",
		RunE: func(_ *cobra.Command, program []string) error {
			var known bool
			if b.product, known = products[name]; !known {
				return fmt.Errorf("there is no balancer %q: haproxy or nginx", name)
			}
			b.program = program
			var err error
			if b.client, err = watch.Client(kubeconfig); err != nil {
				return err
			}
			factory := informers.NewSharedInformerFactory(b.client, 0)
			ingresses := factory.Networking().V1().Ingresses()
			services := factory.Core().V1().Services()
			secrets := factory.Core().V1().Secrets()
			watched := []cache.SharedIndexInformer{ingresses.Informer(), services.Informer(), secrets.Informer()}
			ctx := context.Background()
			return watch.Run(ctx, factory, watched, func() error {
				all, err := ingresses.Lister().List(labels.Everything())
				if err != nil {
					return err
				}
				routes, certificates := []route{}, map[string]*core.Secret{}
				for _, one := range all {
					for _, rule := range one.Spec.Rules {
						routes = append(routes, routesOf(rule, func(name string) string {
							service, err := services.Lister().Services(one.Namespace).Get(name)
							if err != nil {
								return ""
							}
							return service.Spec.ClusterIP
						})...)
					}
					for _, tls := range one.Spec.TLS {
						// One that is not there yet comes as a change.
						if secret, err := secrets.Lister().Secrets(one.Namespace).Get(tls.SecretName); err == nil {
							for _, host := range tls.Hosts {
								certificates[host] = secret
							}
						}
					}
				}
				if err := b.configure(routes, certificates); err != nil {
					return err
				}
				return b.tell(ctx, all)
			})
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the apiserver")
	command.Flags().StringVar(&name, "balancer", "haproxy", "haproxy or nginx")
	command.Flags().StringVar(&b.folder, "folder", "", "where it is configured")
	command.Flags().StringVar(&b.listen.address, "address", "", "where it listens")
	command.Flags().IntVar(&b.listen.port, "port", 80, "where it listens without TLS")
	command.Flags().IntVar(&b.listen.tlsPort, "tls-port", 443, "where it listens with TLS")
	return command
}

func routesOf(rule net.IngressRule, addressOf func(service string) string) (routes []route) {
	if rule.HTTP == nil {
		return nil
	}
	for _, path := range rule.HTTP.Paths {
		service := path.Backend.Service
		if service == nil || service.Port.Number == 0 {
			continue
		}
		if address := addressOf(service.Name); address != "" {
			exact := path.PathType != nil && *path.PathType == net.PathTypeExact
			routes = append(routes, route{rule.Host, path.Path, exact, fmt.Sprintf("%s:%d", address, service.Port.Number)})
		}
	}
	return routes
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
	b.configured = text + news
	return b.read(file)
}

func (b *balancer) read(file string) error {
	if b.running != nil {
		return b.running.Process.Signal(b.product.reload)
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

// Says in each Ingress where it is reached.
func (b *balancer) tell(ctx context.Context, all []*net.Ingress) error {
	var failed []error
	for _, one := range all {
		if known := one.Status.LoadBalancer.Ingress; len(known) == 1 && known[0].IP == b.listen.address {
			continue
		}
		told := one.DeepCopy()
		told.Status.LoadBalancer.Ingress = []net.IngressLoadBalancerIngress{{IP: b.listen.address}}
		_, err := b.client.NetworkingV1().Ingresses(one.Namespace).UpdateStatus(ctx, told, meta.UpdateOptions{})
		if err != nil && !kinds.IsNotFound(err) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
