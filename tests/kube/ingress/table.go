package ingress

import (
	"context"
	"errors"
	"fmt"

	core "k8s.io/api/core/v1"
	net "k8s.io/api/networking/v1"
	kinds "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	netinformers "k8s.io/client-go/informers/networking/v1"
)

// What is known of the cluster.
type cluster struct {
	ingresses            netinformers.IngressInformer
	services             coreinformers.ServiceInformer
	secrets              coreinformers.SecretInformer
	gateways, httpRoutes informers.GenericInformer
}

// What follows from it, and from which objects.
type table struct {
	routes       []route
	certificates map[string]*core.Secret
	ingresses    []*net.Ingress
	httpRoutes   []*httpRoute
}

func (c *cluster) table() (table, error) {
	t := table{certificates: map[string]*core.Secret{}}
	all, err := c.ingresses.Lister().List(labels.Everything())
	if err != nil {
		return t, err
	}
	t.ingresses = all
	for _, one := range all {
		for _, rule := range one.Spec.Rules {
			if rule.HTTP == nil {
				continue
			}
			for _, path := range rule.HTTP.Paths {
				if service := path.Backend.Service; service != nil {
					exact := path.PathType != nil && *path.PathType == net.PathTypeExact
					c.route(&t, route{host: rule.Host, path: path.Path, exact: exact}, one.Namespace, service.Name, service.Port.Number)
				}
			}
		}
		for _, tls := range one.Spec.TLS {
			c.certify(&t, tls.Hosts, one.Namespace, tls.SecretName)
		}
	}
	return t, c.readHTTPRoutes(&t)
}

// A service that is not there yet comes as a change, and so does a certificate.
func (c *cluster) route(t *table, to route, namespace, name string, port int32) {
	service, err := c.services.Lister().Services(namespace).Get(name)
	if err == nil && port != 0 {
		to.service = fmt.Sprintf("%s:%d", service.Spec.ClusterIP, port)
		t.routes = append(t.routes, to)
	}
}

func (c *cluster) certify(t *table, hosts []string, namespace, name string) {
	if secret, err := c.secrets.Lister().Secrets(namespace).Get(name); err == nil {
		for _, host := range hosts {
			t.certificates[host] = secret
		}
	}
}

// Says in each Ingress where it is reached.
func (b *balancer) tellIngresses(ctx context.Context, all []*net.Ingress) error {
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
